"""Whether something is detected at a stamp's centre, told from its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate1d

from ..errors import InputError

__all__ = ["centre_snr"]

_SIGMA_PER_FWHM = 1.0 / 2.354820045
_LEAST_REACH_PX = 2.5
_BLOCK = 1024


def centre_snr(
    difference: ArrayLike, noise: ArrayLike, fwhm: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Measure the most significant source, of either sign, in the middle of difference stamps.

    The stamp is matched with a Gaussian of the PSF's size, and the extreme of the signal to noise

    .. math:: S/N = \frac{\sum P D}{\sigma \sqrt{\sum P^2}}

    is looked for within max(2.5 px, FWHM) of the centre; D is the difference less its median, P the PSF, sigma
    the noise of a pixel.

    Parameters
    ----------
    difference : array_like, shape (N, S, S)
        Stamps whose source should be on pixel [S // 2, S // 2].
    noise : array_like, shape (N,)
        One sigma of a pixel, in the units of the stamps.
    fwhm : array_like, shape (N,)
        PSF size, pixels.

    Returns
    -------
    snr : ndarray of float, shape (N,)
        Of the extreme, with its sign; NaN where noise or fwhm is not above zero or not finite.
    offset : ndarray of float, shape (N,)
        Its distance from the centre, pixels.

    Raises
    ------
    InputError
        The shapes disagree.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> star = np.exp(-((x - 33.0) ** 2 + (y - 32.0) ** 2) / (2 * 1.5**2))
    >>> snr, offset = centre_snr([-9 * star], [1.0], [1.5 * 2.355])
    >>> snr.round(1).tolist(), offset.tolist()
    ([-23.9], [1.0])
    """
    stamps = np.asanyarray(difference)
    sigma, size = np.asarray(noise, dtype=float), np.asarray(fwhm, dtype=float)
    if stamps.ndim != 3 or sigma.shape != (len(stamps),) or size.shape != (len(stamps),):
        raise InputError(
            f"stamps of shape {stamps.shape}, noise {sigma.shape} and fwhm {size.shape}: expected (N, S, S), (N,), (N,)"
        )
    snr, offset = np.full(len(stamps), np.nan), np.full(len(stamps), np.nan)
    good = np.isfinite(sigma) & (sigma > 0) & np.isfinite(size) & (size > 0)
    steps = np.round(size, 1)  # one kernel for all stamps of nearly one PSF size
    for step in np.unique(steps[good]):
        rows = np.flatnonzero(good & (steps == step))
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            snr[part], offset[part] = _extreme(np.asarray(stamps[part], dtype=np.float64), sigma[part], float(step))
    return snr, offset


def _extreme(
    stamps: NDArray[np.float64], sigma: NDArray[np.float64], fwhm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    width = max(fwhm, 0.5) * _SIGMA_PER_FWHM
    half = max(1, int(np.ceil(3 * width)))
    reach = max(_LEAST_REACH_PX, fwhm)
    middle, side = stamps.shape[1] // 2, int(np.ceil(reach))
    level = np.median(stamps, axis=(1, 2), keepdims=True)
    outer = slice(max(0, middle - side - half), middle + side + half + 1)
    core = stamps[:, outer, outer] - level
    profile = np.exp(-0.5 * (np.arange(-half, half + 1) / width) ** 2)
    for axis in (1, 2):
        core = correlate1d(core, profile, axis=axis, mode="constant")
    core /= sigma[:, None, None] * np.sum(profile**2)
    step = np.arange(outer.start, min(outer.stop, stamps.shape[1])) - middle
    far = np.hypot(step[:, None], step[None, :])
    strength = np.where(far <= reach, np.abs(core), -1.0).reshape(len(stamps), -1)
    best = strength.argmax(axis=1)
    return core.reshape(len(stamps), -1)[np.arange(len(stamps)), best], far.reshape(-1)[best]
