"""Everything that rises out of a difference image, brighter or fainter than before.

Noise and threshold
-------------------
The threshold counts sigmas of one pixel while the image compared with it is smoothed by a
3x3 pyramid: Source Extractor's convention, so 2.5 means what an astronomer expects of
``DETECT_THRESH 2.5``. (White noise shrinks to 3/8 in that smoothing; 2.5 sigma in this sense
is 6.7 of the smoothed image.) Where the subtraction convolved the science frame its noise is
correlated and shrinks less, so the threshold is multiplied by ``difference.correlation``.

The sigma of a pixel is the larger of two: the clipped rms measured in the difference around
it (mesh of 64 px), and the expected noise, which alone knows the photon noise of a star that
has been subtracted, brought to the measured level of blank sky. Photon noise of bright stars
so makes no detections; residuals of bad subtraction, which exceed it, do, and stay for the
classifier. Flagged pixels (no data, saturated) take no part; bad pixels do, and are flagged.
"""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import FrameError, InputError
from ..registry import Registry
from .detect_photometry import any_within, psf_flux, refine
from .detect_sep import Detector, detect_sep
from .detect_sextractor import detect_sextractor
from .frame import BAD, NODATA, SATURATED
from .measure import background
from .subtract.difference import Difference

__all__ = [
    "BLENDED",
    "DETECTORS",
    "DIPOLE",
    "EDGE",
    "NEAR_MASK",
    "ON_BAD_PIXEL",
    "SATURATED_NEAR",
    "detect",
]

#: Flag bit: split from a neighbour of the same sign.
BLENDED = 1
#: Flag bit: a pixel without data or saturated lies within two FWHM.
NEAR_MASK = 2
#: Flag bit: a bad (hot, dead, unstable) pixel lies within half a FWHM, at least one pixel.
ON_BAD_PIXEL = 4
#: Flag bit: the frame ends within two FWHM, or cuts the detection.
EDGE = 8
#: Flag bit: a saturated pixel lies within two FWHM.
SATURATED_NEAR = 16
#: Flag bit: a detection of the other sign lies within 1.5 FWHM.
DIPOLE = 32

#: Ways to find sources; each entry is a `Detector`.
DETECTORS: Registry[Detector] = Registry("detector")
DETECTORS.register("sep")(detect_sep)
DETECTORS.register("source-extractor")(detect_sextractor)

_MESH = 64  # px, of the background and rms maps
_DENSEST = 20_000  # detections per Mpix; beyond it the image is no difference
_ROWS = 512  # rows worked at a time, so that maps of large frames need no second copy


def detect(
    difference: Difference,
    *,
    threshold: float = 2.5,
    min_area: int | None = None,
    method: str | Detector = "sep",
) -> Table:
    """Find sources of both signs in a difference image.

    Parameters
    ----------
    difference : Difference
    threshold : float
        Sigmas of one pixel that the 3x3-smoothed image must exceed (see the module's head).
    min_area : int, optional
        Connected pixels above the threshold; by the size of the PSF where absent: 5, of an
        undersampled one (FWHM below 2.7 px) 4, below 2 px 3. A faint star has no more.
    method : str or Detector
        A name in `DETECTORS`, or such a function.

    Returns
    -------
    astropy.table.Table
        One row per detection, falling in ``abs(snr)``:

        - ``x``, ``y``: windowed centre, 0-based pixels;
        - ``flux``, ``flux_err``: through a Gaussian of the PSF's size, ADU, negative where the
          source faded; the error holds the photon noise that the noise map knows;
        - ``snr``: ``flux / (sigma psf_correlation sqrt(N_eff))`` with the frame's one
          ``difference.sigma``: S/N against blank sky, the house's definition;
        - ``peak``: most extreme pixel, ADU, signed;
        - ``sign``: +1 or -1 (int8);
        - ``a``, ``b``, ``theta``: rms sizes in pixels, angle in radians from x towards y;
        - ``npix``: pixels above the threshold;
        - ``flags``: `BLENDED`, `NEAR_MASK`, `ON_BAD_PIXEL`, `EDGE`, `SATURATED_NEAR`, `DIPOLE`.

        Its ``meta`` holds threshold, min_area and method.

    Raises
    ------
    InputError
        A threshold or area that is not positive, or a program that is not installed.
    UnknownNameError
        `method` is in no line of the table.
    FrameError
        No usable pixel, no noise, or more than 20,000 detections per Mpix.

    Examples
    --------
    >>> from realbogus.images.subtract.difference import Difference
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.mgrid[:128, :128]
    >>> star = np.exp(-((x - 40.0) ** 2 + (y - 90.0) ** 2) / (2 * 1.5**2)) / (2 * np.pi * 1.5**2)
    >>> pixels = np.float32(rng.normal(size=star.shape) + 200 * star)
    >>> difference = Difference(
    ...     pixels, np.ones_like(pixels), np.zeros(star.shape, np.uint8), sigma=1.0, fwhm=3.53,
    ...     correlation=1.0, convolved="reference", scale=1.0, noise_ratio=1.0, finite_fraction=1.0,
    ...     stars=20, method="plain")
    >>> found = detect(difference)
    >>> [(round(row["x"]), round(row["y"]), int(row["sign"])) for row in found]
    [(40, 90, 1)]
    """
    if min_area is None:
        min_area = 3 if difference.fwhm < 2.0 else 4 if difference.fwhm < 2.7 else 5
    if not (np.isfinite(threshold) and threshold > 0 and min_area >= 1):
        raise InputError(f"threshold {threshold} and min_area {min_area} must be positive numbers")
    detector = DETECTORS.resolve(method)
    pixels, noise, unusable = _prepare(difference)
    found = []
    for side in (1, -1):
        part = detector(pixels, noise, unusable, float(threshold) * difference.correlation, min_area)
        _check_density(len(part), pixels.size, threshold)
        x, y = refine(pixels, unusable, part["x"], part["y"], difference.fwhm)
        found.append((side, part, x, y))
        np.negative(pixels, out=pixels)  # after two turns the pixels are as they were
    rows = np.concatenate([entry[1] for entry in found])
    sign = np.concatenate([np.full(len(entry[1]), entry[0], dtype=np.int8) for entry in found])
    x = np.concatenate([entry[2] for entry in found])
    y = np.concatenate([entry[3] for entry in found])

    flux, error, area = psf_flux(pixels, noise, unusable, x, y, difference.fwhm)
    # Too little of the PSF is left in a few rows beside masks: what the isophote holds has to do.
    lost = np.isnan(flux)
    columns = np.clip(np.rint(x), 0, pixels.shape[1] - 1).astype(int)
    lines = np.clip(np.rint(y), 0, pixels.shape[0] - 1).astype(int)
    flux = np.where(lost, sign * rows["flux"], flux)
    area = np.where(lost, rows["npix"], area)
    error = difference.psf_correlation * np.where(lost, noise[lines, columns] * np.sqrt(area), error)
    snr = flux / (difference.sigma * difference.psf_correlation * np.sqrt(area))

    table = Table(
        {
            "x": x,
            "y": y,
            "flux": flux,
            "flux_err": error,
            "snr": snr,
            "peak": sign * rows["peak"],
            "sign": sign,
            "a": rows["a"],
            "b": rows["b"],
            "theta": rows["theta"],
            "npix": rows["npix"].astype(np.int32),
            "flags": _flags(difference, rows, sign, x, y),
        },
        meta={"threshold": float(threshold), "min_area": int(min_area), "method": str(method)},
    )
    return table[np.argsort(-np.abs(snr), kind="stable")]


def _prepare(
    difference: Difference,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return background-subtracted pixels, the sigma of each and the mask of the unusable."""
    for name in ("sigma", "fwhm", "correlation", "psf_correlation"):
        value = getattr(difference, name)
        if not (np.isfinite(value) and value > 0):
            raise FrameError(f"the difference has {name} = {value}, expected a positive number: subtract anew")
    pixels = difference.pixels
    unusable = (difference.mask & (NODATA | SATURATED)) != 0
    unusable |= ~np.isfinite(pixels)
    if unusable.all():
        raise FrameError("the difference has no usable pixel: nothing can be detected in it")
    level, rms = background(np.where(unusable, np.float32(0), pixels), unusable, mesh=_MESH)
    ratio = _blank_sky_ratio(rms, difference.noise, unusable)
    for top in range(0, len(rms), _ROWS):
        part = slice(top, top + _ROWS)
        np.subtract(pixels[part], level[part], out=level[part])
        if ratio is not None:
            expected = ratio * difference.noise[part]
            np.fmax(rms[part], expected, out=rms[part])
        unusable[part] |= ~(np.isfinite(rms[part]) & (rms[part] > 0))
        level[part][unusable[part]] = 0
    return level, rms, unusable


def _blank_sky_ratio(
    rms: NDArray[np.float32], expected: NDArray[np.float32], unusable: NDArray[np.bool_]
) -> np.float32 | None:
    """Return measured over expected sigma in the median pixel, which is blank sky; None if unknown.

    A wrong gain or a noise map forgotten in other units must not decide what is detected.
    """
    step = max(1, int(np.sqrt(rms.size / 250_000)))
    sparse = (slice(None, None, step), slice(None, None, step))
    measured, wanted = rms[sparse], expected[sparse]
    good = ~unusable[sparse] & np.isfinite(wanted) & (wanted > 0) & (measured > 0)
    return np.float32(np.median(measured[good] / wanted[good])) if good.any() else None


def _check_density(count: int, size: int, threshold: float) -> None:
    if count > max(500.0, _DENSEST * size / 1e6):
        raise FrameError(
            f"{count} detections of one sign in {size / 1e6:.2f} Mpix, at most {_DENSEST} per Mpix are "
            f"credible: the subtraction failed, or the threshold ({threshold:g} sigma) is too low"
        )


def _flags(
    difference: Difference,
    rows: NDArray[np.void],
    sign: NDArray[np.int8],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.int32]:
    height, width = difference.pixels.shape
    fwhm, mask = difference.fwhm, difference.mask
    near = 2.0 * fwhm
    border = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)) < near
    saturated = any_within((mask & SATURATED) != 0, x, y, near)
    states = {
        BLENDED: rows["blended"],
        NEAR_MASK: saturated | any_within((mask & NODATA) != 0, x, y, near),
        ON_BAD_PIXEL: any_within((mask & BAD) != 0, x, y, max(1.0, 0.5 * fwhm)),
        EDGE: border | rows["truncated"],
        SATURATED_NEAR: saturated,
        DIPOLE: _opposite_within(sign, x, y, 1.5 * fwhm),
    }
    flags = np.zeros(len(x), dtype=np.int32)
    for bit, state in states.items():
        flags[state] |= bit
    return flags


def _opposite_within(
    sign: NDArray[np.int8], x: NDArray[np.float64], y: NDArray[np.float64], radius: float
) -> NDArray[np.bool_]:
    """Say of each detection whether one of the other sign lies within `radius` pixels."""
    near = np.zeros(len(x), dtype=np.bool_)
    points = np.column_stack([x, y])
    for side in (1, -1):
        own, other = sign == side, sign == -side
        if own.any() and other.any():
            near[own] = cKDTree(points[other]).query(points[own])[0] <= radius
    return near
