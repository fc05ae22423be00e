"""HOTPANTS (Becker 2015), run as a program where its binary is on PATH."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ...errors import SubtractionError
from ..frame import NODATA, SATURATED
from .alard_lupton import side_to_convolve
from .basis import gaussian_sigmas, kernel_half_width
from .noise import correlation_factor, photon_variance, psf_weight
from .pair import Matched, Pair

__all__ = ["command", "hotpants"]

_FILL = 1e-30  # what HOTPANTS writes where it gives no value
_TIMEOUT_S = 600.0
_SIGMA_PER_FWHM = 1 / 2.3548


def command(
    program: str,
    folder: Path,
    *,
    sharp_fwhm: float,
    broad_fwhm: float,
    convolve: str,
    upper: tuple[float, float],
    lower: tuple[float, float],
    gain: tuple[float, float],
    read_noise: tuple[float, float],
    shape: tuple[int, int],
) -> list[str]:
    """Write the command line; nothing is run.

    Parameters
    ----------
    program : str
        Path of the binary.
    folder : Path
        Where `science.fits`, `reference.fits` and their `_noise.fits` lie and the output goes.
    sharp_fwhm, broad_fwhm : float
        Pixels. The three Gaussians are 0.5, 1 and 2 times the one that matches them, never equal:
        two equal sigmas give an image of NaN.
    convolve : str
        "reference" or "science".
    upper, lower, gain, read_noise : (float, float)
        Of the science frame and the reference: valid range in ADU, e/ADU, electrons.
    shape : (int, int)
        (H, W) of the frame.

    Returns
    -------
    list of str

    Examples
    --------
    >>> line = command("hotpants", Path("w"), sharp_fwhm=2.5, broad_fwhm=4.0, convolve="science",
    ...     upper=(5e4, 5e4), lower=(-100, -100), gain=(1, 12), read_noise=(5, 5), shape=(500, 650))
    >>> line[line.index("-c") + 1], line[line.index("-n") + 1]
    ('i', 'i')
    """
    sigmas = gaussian_sigmas(sharp_fwhm, broad_fwhm)
    gaussians = tuple(zip((6, 4, 2), sigmas, strict=True))
    options: dict[str, Sequence[object]] = {
        "-inim": (folder / "science.fits",),
        "-tmplim": (folder / "reference.fits",),
        "-outim": (folder / "difference.fits",),
        "-ini": (folder / "science_noise.fits",),
        "-tni": (folder / "reference_noise.fits",),
        "-oni": (folder / "noise.fits",),
        "-iu": (_number(upper[0]),),
        "-tu": (_number(upper[1]),),
        "-il": (_number(lower[0]),),
        "-tl": (_number(lower[1]),),
        "-ig": (_number(gain[0]),),
        "-tg": (_number(gain[1]),),
        "-ir": (_number(read_noise[0]),),
        "-tr": (_number(read_noise[1]),),
        "-r": (kernel_half_width(sigmas),),
        "-rss": (int(np.ceil(2.0 * broad_fwhm)) + 4,),
        "-nsx": (int(np.clip(round(shape[1] / 170), 3, 12)),),
        "-nsy": (int(np.clip(round(shape[0] / 170), 3, 12)),),
        "-ko": (2,) if min(shape) >= 1000 else (1,),
        "-bgo": (1,),
        "-ng": (3, *(item for degree, sigma in gaussians for item in (degree, _number(sigma)))),
        "-c": ("i" if convolve == "science" else "t",),
        "-n": ("i",),  # difference on the science frame's flux scale
        "-fi": (_number(_FILL),),
        "-v": (0,),
    }
    return [program, *(str(item) for name, values in options.items() for item in (name, *values))]


def hotpants(pair: Pair, *, jobs: int = 1, timeout_s: float = _TIMEOUT_S) -> Matched:
    """Subtract with HOTPANTS; its answer goes before the same judge as everyone's.

    Parameters
    ----------
    pair : Pair
    jobs : int
        Not used: HOTPANTS runs on one core.
    timeout_s : float
        Seconds after which the program is stopped.

    Returns
    -------
    Matched

    Raises
    ------
    SubtractionError
        No binary on PATH, a failure, a timeout, or no output.
    """
    program = shutil.which("hotpants")
    if program is None:
        raise SubtractionError(
            "no program `hotpants` on PATH: build it from github.com/acbecker/hotpants and put it there, "
            'or use method="alard-lupton", which needs no other program'
        )
    convolve = side_to_convolve(pair)
    with tempfile.TemporaryDirectory(prefix="realbogus-hotpants-") as name:
        folder = Path(name)
        line = _write_inputs(pair, program, folder, convolve)
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise SubtractionError(f'hotpants did not end within {timeout_s:g} s: use method="alard-lupton"') from None
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        if done.returncode != 0:
            raise SubtractionError(f"hotpants left with status {done.returncode}: {said or 'it said nothing'}")
        difference, noise, scale, used = _read_outputs(folder, pair, said)
    invalid = ~np.isfinite(difference) | ~np.isfinite(noise) | (difference == np.float32(_FILL))
    difference[invalid] = 0
    noise[invalid] = pair.science_noise
    kernel = _gaussian(pair)
    return Matched(
        pixels=difference,
        noise=np.maximum(noise, np.float32(1e-10)),
        convolved=used,
        scale=scale,
        stars=len(pair.stars),
        correlation=1.0 if used == "reference" else correlation_factor(kernel),
        psf_correlation=1.0 if used == "reference" else correlation_factor(kernel, weight=psf_weight(pair.broad_fwhm)),
        invalid=invalid,
    )


def _number(value: float) -> str:
    return f"{float(value):.6g}"


def _gaussian(pair: Pair) -> NDArray[np.float64]:
    """Gaussian that matches the two PSF sizes, for the correlation HOTPANTS does not tell."""
    sigma = max(np.sqrt(abs(pair.science_fwhm**2 - pair.reference_fwhm**2)) * _SIGMA_PER_FWHM, 0.3)
    grid = np.arange(-20, 21)
    return np.asarray(np.exp(-0.5 * (grid[:, None] ** 2 + grid**2) / sigma**2))


def _write_inputs(pair: Pair, program: str, folder: Path, convolve: str) -> list[str]:
    """Write both sides with their noise; masked pixels fall below the lower limit."""
    limits = []
    sides = (("science", pair.science, pair.science_mask), ("reference", pair.reference, pair.reference_mask))
    for side, pixels, mask in sides:
        lost = (mask & np.uint8(NODATA | SATURATED)) != 0
        good = pixels[~lost]
        low, high = float(good.min()), float(good.max())
        width = max(high - low, 1.0)
        limits.append((low - 0.5 * width, high + 0.5 * width))
        filled = np.where(lost, np.float32(low - width), pixels)
        fits.writeto(folder / f"{side}.fits", filled, overwrite=True)
    variance = photon_variance(pair.science, np.zeros_like(pair.science), pair.science_noise, pair.gain)
    fits.writeto(folder / "science_noise.fits", np.sqrt(variance), overwrite=True)
    noise = np.sqrt(pair.reference_variance(lambda a: a))
    fits.writeto(folder / "reference_noise.fits", noise, overwrite=True)
    return command(
        program,
        folder,
        sharp_fwhm=min(pair.science_fwhm, pair.reference_fwhm),
        broad_fwhm=pair.broad_fwhm,
        convolve=convolve,
        upper=(limits[0][1], limits[1][1]),
        lower=(limits[0][0], limits[1][0]),
        gain=(pair.gain, pair.gain),
        read_noise=(pair.science_noise * pair.gain, pair.science_noise * pair.gain),
        shape=pair.shape,
    )


def _read_outputs(folder: Path, pair: Pair, said: str) -> tuple[NDArray[np.float32], NDArray[np.float32], float, str]:
    """Difference, noise, flux ratio science / reference and the side that was convolved."""
    try:
        with fits.open(folder / "difference.fits", memmap=False) as file:
            difference = np.asarray(file[0].data, dtype=np.float32)
            header = file[0].header
        noise = np.asarray(fits.getdata(folder / "noise.fits", memmap=False), dtype=np.float32)
        total = float(header["KSUM00"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise SubtractionError(
            f"hotpants left with status 0 but no usable image ({error}): {said or 'it said nothing'}"
        ) from None
    if difference.shape != pair.shape or noise.shape != pair.shape:
        raise SubtractionError(f"hotpants wrote {difference.shape} pixels, {pair.shape} were expected")
    if not (np.isfinite(total) and total > 0):
        raise SubtractionError(f"hotpants says a kernel sum of {total:g}, a positive one was expected: {said}")
    science = str(header.get("CONVOL00", "TEMPLATE")).strip().upper() == "IMAGE"
    return difference, noise, 1 / total if science else total, "science" if science else "reference"
