"""FITS files in, frames out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError, InputError
from ..files import shown
from .badpixels import find_bad, find_saturation, saturated_pixels, star_sharpness
from .fits_file import load_fits, missing_pixels
from .frame import BAD, NODATA, SATURATED, Frame
from .headers import card, celestial_wcs, mid_exposure_mjd, number, text, wcs_scale_arcsec
from .measure import background
from .robust import clipped
from .telescope import Telescope
from .telescope import telescope as profile_of

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["find_frames", "read_frame"]

_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz", ".fit.fz", ".fz")
_FULL_RANGE = 65535.0
_LARGEST_READ_NOISE = 40.0  # electrons; of any camera whose header says nothing of it
_BLOCK = 1024  # px: bad pixels are searched tile by tile so that a 61 Mpix frame is not copied


def find_frames(folder: Path | str) -> list[Path]:
    """Return the FITS files of a folder, sorted by name.

    Parameters
    ----------
    folder : Path or str
        Not searched recursively. Suffixes .fits .fit .fts, also with .gz or .fz, in any case.

    Raises
    ------
    InputError
        No such folder, or no FITS file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the folder that holds a night's FITS frames")
    # a link into nowhere is a frame too, one that fails
    found = sorted(p for p in folder.iterdir() if p.name.lower().endswith(_SUFFIXES) and not p.is_dir())
    found = [path for path in found if not path.name.startswith(".")]
    if not found:
        raise InputError(f"no FITS frame in {folder}: expected files ending in {', '.join(_SUFFIXES)}")
    return found


def read_frame(path: Path | str, telescope: str | Telescope = "generic") -> Frame:
    """Read one FITS image and find out what image work needs to know of it.

    Byte order, integer scaling, compression, NaN, sentinels and broken header cards are dealt
    with here and nowhere else. Saturated and bad pixels are found from the pixels.

    Parameters
    ----------
    path : Path or str
        FITS file, plain, gzipped or tile-compressed. The first extension named SCI or IMAGE is
        taken, else the first with a two-dimensional image.
    telescope : str or Telescope
        Profile: a shipped name, the path of a .toml, or a `Telescope`.

    Returns
    -------
    Frame
        `notes` says what was estimated.

    Raises
    ------
    FrameError
        Missing, empty, truncated or no FITS file; no image; too small, constant, without data or
        saturated all over.
    """
    path = Path(path)
    if shown(path.name) != path.name:
        raise FrameError(
            f"{shown(path.name)} has a name that is no UTF-8, and tables could not hold it: rename the file"
        )
    profile = profile_of(telescope)
    pixels, stored_mask, header, depth = load_fits(path)
    notes: dict[str, Any] = {}
    missing = missing_pixels(pixels, path)
    if stored_mask is not None:
        missing |= (stored_mask & NODATA) != 0
    share = float(missing.mean())
    if share > 0:
        notes["missing_share"] = round(share, 6)
    claimed = number(header, profile.saturation)
    if _normalised(pixels, missing, depth):
        # Stacking programs write fractions of the full range; everything downstream thinks in ADU.
        pixels *= np.float32(_FULL_RANGE)
        depth = _FULL_RANGE
        claimed = claimed * _FULL_RANGE if claimed is not None and claimed <= 1.5 else claimed
        notes["unit"] = "fractions of the full range, multiplied by 65535"
    _refuse_mosaic(pixels, header, path)
    sample = _sample(pixels, missing)
    sky, _ = clipped(sample)
    noise = _noise(pixels, missing)
    if share > 0:
        pixels[missing] = sky
    saturation = _saturation(pixels, missing, sky, noise, depth, claimed, notes)
    mask = missing.view(np.uint8) * np.uint8(NODATA)
    if np.isfinite(saturation):
        full = saturated_pixels(pixels, saturation)
        full &= ~missing
        mask[full] |= SATURATED
        clipped_share = full.sum() / (full.size * (1 - share))
        if clipped_share >= 0.9:
            raise FrameError(
                f"{path}: {clipped_share:.0%} of the pixels are saturated (at or above "
                f"{saturation:g} ADU), expected below 90 %: leave this frame out or correct `saturation`"
            )
    gain, read_noise = _gain(header, profile, sky, noise, notes)
    if stored_mask is not None:
        mask |= stored_mask & np.uint8(SATURATED | BAD)
    else:
        _flag_bad(pixels, mask, noise, gain)
    exposure = number(header, profile.exposure)
    wcs = celestial_wcs(header, (pixels.shape[0], pixels.shape[1]))
    scale = wcs_scale_arcsec(wcs) if wcs is not None else number(header, profile.pixel_scale_arcsec)
    return Frame(
        name=path.name,
        pixels=pixels,
        mask=mask,
        gain=gain,
        read_noise=read_noise,
        saturation=saturation,
        exposure_s=exposure,
        mjd=mid_exposure_mjd(header, profile.time, exposure),
        band=text(header, profile.band),
        pixel_scale_arcsec=scale,
        wcs=wcs,
        telescope=profile.name,
        notes=notes,
    )


def _normalised(pixels: NDArray[np.float32], missing: NDArray[np.bool_], depth: float) -> bool:
    """Tell floats that are fractions of the full range, 0 to 1, from ADU."""
    if np.isfinite(depth):
        return False
    good = ~missing
    top = float(np.max(pixels, where=good, initial=-np.inf))
    return 0 < top <= 1.5 and float(np.min(pixels, where=good, initial=np.inf)) >= -0.5


def _refuse_mosaic(pixels: NDArray[np.float32], header: Header, path: Path) -> None:
    """Raise `FrameError` for a raw colour mosaic: its neighbouring pixels see different light."""
    pattern = card(header, "BAYERPAT") or card(header, "COLORTYP")
    if not pattern:
        return
    phases = [float(np.median(pixels[i::2, j::2])) for i in (0, 1) for j in (0, 1)]
    same = pixels[::2, ::2]
    noise = clipped(same[1:] - same[:-1])[1] / np.sqrt(2)
    if max(phases) - min(phases) > 0.3 * noise:
        raise FrameError(
            f"{path} is a raw colour mosaic ({pattern}), expected one colour a frame: "
            "debayer it and give one channel, or bin it 2x2"
        )


def _sample(pixels: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    step = max(1, int(np.sqrt(pixels.size / 2e5)))
    some = pixels[::step, ::step]
    kept: NDArray[np.float32] = some[~missing[::step, ::step]]
    return kept if kept.size >= 100 else pixels[~missing]


def _noise(pixels: NDArray[np.float32], missing: NDArray[np.bool_]) -> float:
    """Sigma of one pixel from differences of neighbours, which no sky gradient can widen."""
    step = max(1, int(np.sqrt(pixels.size / 2e5)))
    good = ~(missing[::step, 1::step] | missing[::step, :-1:step])
    steps = (pixels[::step, 1::step] - pixels[::step, :-1:step])[good]
    return clipped(steps)[1] / np.sqrt(2) if steps.size >= 100 else 0.0


def _saturation(
    pixels: NDArray[np.float32],
    missing: NDArray[np.bool_],
    sky: float,
    noise: float,
    depth: float,
    claimed: float | None,
    notes: dict[str, Any],
) -> float:
    """Return the lowest of what pixels, header and data type say."""
    level = depth
    if claimed is not None:
        if claimed > sky + 20 * noise:
            level = min(level, claimed)
        else:
            notes["saturation_ignored"] = claimed
    seen = find_saturation(pixels, sky, noise, ~missing)
    if seen is not None and seen < level:
        notes["saturation"] = "found from the pixels"
        level = seen
    elif claimed is None and np.isfinite(depth):
        notes["saturation"] = "largest value of the data type"
    return float(level)


def _gain(header: Header, profile: Telescope, sky: float, noise: float, notes: dict[str, Any]) -> tuple[float, float]:
    """Gain (e/ADU) and read noise (e); what header and profile lack is guessed and noted."""
    gain, read_noise = number(header, profile.gain), number(header, profile.read_noise, positive=False)
    if read_noise is not None and read_noise < 0:
        read_noise = None
    # some programs write the pedestal they added, some the one to add
    light = sky - abs(number(header, profile.pedestal, positive=False) or 0.0)
    lit = noise > 0 and light > 3 * noise
    # Photon transfer in one point: (gain noise)^2 = gain light + read noise^2, electrons. A gain far above light /
    # noise^2 leaves the rest to the read noise: true of a short or dark exposure, but not with hundreds of electrons.
    # twice what is stated, since the noise holds faint sources too; one that is stated as 1 may be in other units
    allowed = max(2 * read_noise, 10.0) if read_noise else _LARGEST_READ_NOISE
    if gain is not None and lit and gain > 5 * light / noise**2 and (gain * noise) ** 2 - gain * light > allowed**2:
        notes["gain_ignored"] = f"{gain:g} e/ADU is more than the noise allows: a camera's setting, no gain"
        gain = None
    if gain is None:
        gain = float(np.clip(light / noise**2, 0.05, 100.0)) if lit else 1.0
        notes["gain"] = "estimated from sky and noise" if lit else "unknown (no sky to estimate it from), taken as 1"
    if read_noise is None:
        read_noise = 0.0
        notes["read_noise"] = "unknown, taken as 0: the measured background noise holds it"
    return gain, read_noise


def _flag_bad(pixels: NDArray[np.float32], mask: NDArray[np.uint8], noise: float, gain: float) -> None:
    """Set BAD in `mask`, tile by tile."""
    if not noise > 0:
        return
    height, width = pixels.shape
    for y in range(0, height, _BLOCK):
        for x in range(0, width, _BLOCK):
            # one row and column of the neighbours, so that seams are judged like the rest
            y0, x0 = max(y - 1, 0), max(x - 1, 0)
            box = np.s_[y0 : y + _BLOCK + 1, x0 : x + _BLOCK + 1]
            part, out = pixels[box], mask[box]
            if min(part.shape) < 3:
                continue
            level, _ = background(part, out != 0)
            excess = part - level
            sharp = star_sharpness(excess, noise, out != 0)
            out[find_bad(excess, noise, gain=gain, sharpness=sharp, exclude=out != 0)] |= BAD
