"""Noise and PSF size of stamps whose packet says neither."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..images.robust import robust_sigma

__all__ = ["estimated_fwhm", "noise_away"]

_WIDTHS = np.geomspace(1.2, 10.0, 22)  # FWHM tried, pixels
_REACH = 12  # pixels on either side that are looked at


def noise_away(plane: NDArray[np.float32], fwhm: float) -> float:
    """Return the robust sigma of a difference away from its source, in its units; NaN where too little is left.

    Parameters
    ----------
    plane : ndarray of float32, shape (S, S)
        The source on ``[S // 2, S // 2]``, NaN where there are no data.
    fwhm : float
        Pixels: what lies within 2.5 of it (5 to 12 px) belongs to the source.

    Examples
    --------
    >>> plane = np.random.default_rng(1).normal(0, 3, (64, 64)).astype("float32")
    >>> plane[30:35, 30:35] += 500
    >>> round(noise_away(plane, 2.0), 1)
    3.0
    """
    away = plane[_outside(len(plane), int(np.clip(np.ceil(2.5 * fwhm), 5, 12)))]
    away = away[away == away]
    return robust_sigma(away) if away.size >= 50 else float("nan")


@lru_cache(maxsize=32)
def _outside(size: int, radius: int) -> NDArray[np.bool_]:
    step = np.arange(size) - size // 2
    return np.asarray(step[:, None] ** 2 + step[None, :] ** 2 > radius**2)


def estimated_fwhm(plane: NDArray[np.float32], noise: float) -> float:
    """Return the FWHM of the Gaussian that a difference's source is most significant with, pixels.

    Significance with a Gaussian of any width, ``|sum d g| / (noise sqrt(sum g^2))``, is greatest at the source's
    own. NaN where it stays below 10, or where the best width is the first or the last of those tried (1.2 to 10 px):
    hot pixels, trails and steps have no PSF.

    Parameters
    ----------
    plane : ndarray of float32, shape (S, S)
        The source on ``[S // 2, S // 2]``, NaN where there are no data.
    noise : float
        Sigma of a pixel.

    Examples
    --------
    >>> y, x = np.mgrid[-32:32, -32:32]
    >>> star = 100 * np.exp(-4 * np.log(2) * (x**2 + y**2) / 4.2**2)
    >>> round(estimated_fwhm(star.astype("float32"), 1.0), 1)
    4.2
    """
    middle = len(plane) // 2
    inner = plane[middle - _REACH : middle + _REACH + 1, middle - _REACH : middle + _REACH + 1].astype(np.float64)
    there = np.isfinite(inner)
    if not noise > 0 or there.sum() < 50:
        return float("nan")
    level = float(np.median(plane[np.isfinite(plane)]))
    signal = np.where(there, inner - level, 0.0)
    step = np.arange(-_REACH, _REACH + 1)
    profiles = np.exp(-4 * np.log(2) * (step[None, :] / _WIDTHS[:, None]) ** 2)
    sums = np.abs(((profiles @ signal) * profiles).sum(axis=1))
    weights = ((profiles**2 @ there.astype(float)) * profiles**2).sum(axis=1)
    significance = sums / (noise * np.sqrt(weights))
    best = int(np.argmax(significance))
    if significance[best] < 10 or best in (0, len(_WIDTHS) - 1):
        return float("nan")
    a, b, c = significance[best - 1 : best + 2]
    shift = 0.5 * (a - c) / (a - 2 * b + c)
    return float(_WIDTHS[best] * (_WIDTHS[1] / _WIDTHS[0]) ** shift)
