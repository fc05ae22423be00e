"""A PSF from a frame's own stars, without resampling them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

__all__ = ["fwhm_nea", "psf_ellipticity", "stack_psf"]

_Float = NDArray[np.float64]


def fwhm_nea(psf: NDArray[np.floating]) -> float:
    """Return FWHM_NEA = 2.355 sqrt(N_eff / 4 pi), N_eff = (sum P)^2 / sum P^2, pixels.

    N_eff is the noise-equivalent area: the S/N of a source in noise sigma is
    flux / (sigma sqrt(N_eff)). For a Gaussian FWHM_NEA is the FWHM.

    Parameters
    ----------
    psf : ndarray, shape (P, P)
        A point source without sky, any normalisation.

    Examples
    --------
    >>> y, x = np.mgrid[-20:21, -20:21]
    >>> round(fwhm_nea(np.exp(-(x**2 + y**2) / (2 * 2.0**2))), 2)
    4.71
    """
    p = np.asarray(psf, dtype=np.float64)
    area = p.sum() ** 2 / (p**2).sum()
    return float(2.355 * np.sqrt(area / (4 * np.pi)))


def psf_ellipticity(psf: NDArray[np.floating], fwhm: float) -> float:
    """Return 1 - b/a from the second moments within two FWHM of the middle, 0 is round."""
    p = np.asarray(psf, dtype=np.float64)
    half = p.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    p = np.where(np.hypot(x, y) <= 2 * fwhm + 1, np.maximum(p, 0), 0)
    total = p.sum()
    x = x - (p * x).sum() / total
    y = y - (p * y).sum() / total
    xx, yy, xy = ((p * q).sum() / total for q in (x * x, y * y, x * y))
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return float(1 - np.sqrt(max(middle - spread, 1e-12) / (middle + spread)))


def stack_psf(
    stamps: NDArray[np.floating],
    offsets: NDArray[np.floating],
    valid: NDArray[np.bool_],
    noise: float,
    fwhm: float,
) -> NDArray[np.float32]:
    """Combine stamps of stars into one PSF centred on the middle pixel.

    Nothing is interpolated, so undersampled stars are not broadened: every pixel of the PSF is
    the intercept of a quadratic in the stars' sub-pixel offsets, fitted through that pixel of all
    stamps (a local form of the effective PSF of Anderson & King 2000, PASP 112, 1360). Outliers
    and invalid pixels (neighbours, hot pixels) are replaced by the fit and the fit repeated.
    With fewer than nine stars the stamps are shifted by cubic splines and their median taken.
    Wings beyond two FWHM are averaged in rings, so that their noise does not enter sum P^2.

    Parameters
    ----------
    stamps : ndarray, shape (N, P, P), P odd
        Sky-subtracted stars cut on the native grid, the star within half a pixel of the middle.
    offsets : ndarray, shape (N, 2)
        x and y of the star minus that of the middle pixel, -0.5 to 0.5.
    valid : ndarray of bool, shape (N, P, P)
        False where a pixel belongs to something else.
    noise : float
        Sigma of one stamp pixel.
    fwhm : float
        Rough size of the PSF, pixels.

    Returns
    -------
    ndarray of float32, shape (P, P)
        Unit sum.
    """
    count, size, _ = stamps.shape
    half = size // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    radius = np.hypot(x, y)
    data = np.where(valid, stamps, np.nan).astype(float)
    model = _first_guess(data, radius <= 1.5 * fwhm + 1)
    design = _design(offsets) if count >= 9 else None
    middle = model
    for phase in (0.6, 0.4, 0.2, 0.1):  # wide at first: the guess knows no sub-pixel offsets
        scale = _scales(data, model, radius <= 1.5 * fwhm + 1)
        sharp = model if model.ndim == 3 else model[None]
        # half a pixel's shift changes a pixel by about half the range around it
        steep = ndimage.maximum_filter(sharp, (1, 3, 3)) - ndimage.minimum_filter(sharp, (1, 3, 3))
        limit = 4 * noise / scale[:, None, None] + 0.15 * np.abs(sharp) + phase * steep
        unit = data / scale[:, None, None]
        unit = np.where(np.abs(unit - sharp) <= limit, unit, sharp)  # NaN compares false
        if design is None:
            middle = np.median([_moved(u, -o) for u, o in zip(unit, offsets, strict=True)], axis=0)
            model = np.array([_moved(middle, o) for o in offsets])
        else:
            weight = np.sqrt(np.minimum(scale, 3 * np.median(scale)) / np.median(scale))[:, None]
            values = unit.reshape(count, -1)
            solution = np.linalg.lstsq(design * weight, values * weight, rcond=None)[0]
            middle = solution[0].reshape(size, size)
            model = (design @ solution).reshape(count, size, size)
    return _finish(middle, radius, half, fwhm)


def _moved(image: _Float, offset: NDArray[np.floating]) -> _Float:
    """Shift an image by (x, y) pixels with cubic splines."""
    return np.asarray(ndimage.shift(image, (offset[1], offset[0]), order=3, mode="nearest"))


def _design(offsets: NDArray[np.floating]) -> _Float:
    dx, dy = np.asarray(offsets, dtype=float).T
    if len(dx) < 15:
        return np.stack([np.ones_like(dx), dx, dy, dx * dx + dy * dy], axis=1)
    return np.stack([np.ones_like(dx), dx, dy, dx * dx, dx * dy, dy * dy], axis=1)


def _first_guess(data: _Float, core: NDArray[np.bool_]) -> _Float:
    inside = np.where(core, data, 0.0)
    flux = np.maximum(np.nansum(inside, axis=(1, 2)), 1e-9)
    unit = data / flux[:, None, None]
    empty = np.isnan(unit).all(axis=0)
    unit[:, empty] = 0
    return np.asarray(np.nanmedian(unit, axis=0))


def _scales(data: _Float, model: _Float, core: NDArray[np.bool_]) -> _Float:
    """Least-squares flux of every star in units of the model, by its core."""
    sharp = np.broadcast_to(model, data.shape)
    use = core & np.isfinite(data)
    top = np.where(use, data * sharp, 0).sum(axis=(1, 2))
    bottom = np.where(use, sharp * sharp, 0).sum(axis=(1, 2))
    return np.asarray(np.maximum(top / np.maximum(bottom, 1e-30), 1e-9))


def _finish(middle: _Float, radius: _Float, half: int, fwhm: float) -> NDArray[np.float32]:
    """Average the wings in rings; where those drown in noise, continue a Moffat profile."""
    psf = np.where(radius > half, 0.0, middle)
    ring = np.rint(radius).astype(int)
    inside = radius <= half
    counts = np.maximum(np.bincount(ring[inside]), 1)
    means = np.bincount(ring[inside], weights=psf[inside]) / counts
    wings = (radius > 2 * fwhm + 1) & inside
    if wings.any():
        spread = 1.4826 * np.median(np.abs(middle[wings] - means[ring[wings]]))
        errors = np.maximum(spread / np.sqrt(counts), 1e-3 * means[0] / np.sqrt(counts))
        reach = np.arange(len(means))
        lost = np.nonzero((means < 3 * errors) & (reach > 1.5 * fwhm))[0]
        if lost.size:
            means[lost[0] :] = _moffat(means, errors, fwhm)[lost[0] :]
        wings = inside & (radius > min(2 * fwhm + 1, lost[0] - 0.5 if lost.size else np.inf))
        psf[wings] = np.maximum(means, 0)[ring[wings]]
    return np.asarray(psf / psf.sum(), dtype=np.float32)


def _moffat(means: _Float, errors: _Float, fwhm: float) -> _Float:
    """Moffat profile A (1 + r^2 / a^2)^-beta fitted to ring means."""
    r = np.arange(len(means), dtype=float)
    top = max(float(means[0]), 1e-30)

    def profile(p: _Float) -> _Float:
        return np.asarray(top * np.exp(p[0] - p[2] * np.log1p(r**2 / np.exp(2 * p[1]))))

    start = np.array([0.0, np.log(0.8 * max(fwhm, 1.0)), 3.0])
    # the innermost rings are pixel-shaped, so they are let off 5 %
    scale = np.hypot(errors, 0.05 * np.abs(means))
    fit = optimize.least_squares(
        lambda p: (profile(p) - means) / scale, start, bounds=([-3, -3, 1.8], [3, 5, 12]), max_nfev=60
    )
    return profile(fit.x)
