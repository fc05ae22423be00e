"""Flux, centre and surroundings of detections, all rows at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sep
from numpy.typing import NDArray

__all__ = ["any_within", "psf_flux", "refine"]

_CHUNK = 4096  # rows; keeps the stacked cutouts below about 50 MB


def refine(
    pixels: NDArray[np.float32],
    unusable: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    fwhm: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Gaussian-windowed centres (Source Extractor's XWIN, YWIN) of positive sources.

    An isophotal barycentre follows the noise at the rim of the isophote; the windowed one is
    nearly as good as a PSF fit. Where the window walks off by more than half a FWHM, to a
    brighter neighbour, the barycentre stays.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
    unusable : ndarray of bool, shape (H, W)
    x, y : ndarray of float64, shape (N,)
        Barycentres, 0-based pixels.
    fwhm : float
        PSF size, pixels.

    Returns
    -------
    x, y : ndarray of float64, shape (N,)

    Examples
    --------
    >>> yy, xx = np.mgrid[:21, :21]
    >>> star = np.float32(np.exp(-((xx - 10.3) ** 2 + (yy - 9.8) ** 2) / 8))
    >>> x, y = refine(star, np.zeros(star.shape, bool), np.array([10.0]), np.array([10.0]), 4.7)
    >>> round(float(x[0]), 2), round(float(y[0]), 2)
    (10.3, 9.8)
    """
    if len(x) == 0:
        return x, y
    new_x, new_y, _ = sep.winpos(pixels, x, y, fwhm / 2.355, mask=unusable, subpix=5)
    near = np.hypot(new_x - x, new_y - y) <= max(0.5 * fwhm, 1.0)  # False for NaN
    return np.where(near, new_x, x), np.where(near, new_y, y)


def psf_flux(
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32],
    unusable: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    fwhm: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    r"""Measure fluxes through a Gaussian of the PSF's size.

    .. math::
        F = \frac{\sum P d}{\sum P^2}, \quad
        \sigma_F = \frac{\sqrt{\sum P^2 \sigma^2}}{\sum P^2}, \quad
        N_\mathrm{eff} = \frac{1}{\sum P^2}

    with P the Gaussian of unit sum at (x, y), over usable pixels only. A Gaussian with the
    FWHM_NEA of any PSF has its noise-equivalent area, so ``F / (sigma sqrt(N_eff))`` is the
    house's S/N (within a few per cent for real profiles).

    Parameters
    ----------
    pixels, noise : ndarray of float32, shape (H, W)
        ADU.
    unusable : ndarray of bool, shape (H, W)
    x, y : ndarray of float64, shape (N,)
        Centres, 0-based pixels.
    fwhm : float
        FWHM_NEA, pixels.

    Returns
    -------
    flux, flux_err, area : ndarray of float64, shape (N,)
        ADU, ADU, and N_eff in pixels (larger where pixels are missing; NaN where less than a
        tenth of the weight is left: no flux then).

    Examples
    --------
    >>> yy, xx = np.mgrid[:41, :41]
    >>> star = np.float32(np.exp(-((xx - 20.3) ** 2 + (yy - 19.8) ** 2) / 8) / (8 * np.pi) * 1000)
    >>> flux, error, area = psf_flux(
    ...     star, np.ones_like(star), np.zeros(star.shape, bool), np.array([20.3]), np.array([19.8]), 4.71)
    >>> round(float(flux[0])), round(float(error[0]), 2), round(float(area[0]), 1)
    (1000, 7.09, 50.3)
    """
    scale = fwhm / 2.3548
    reach = max(2, int(np.ceil(1.5 * fwhm)))
    whole = 1.0 / (4.0 * np.pi * scale**2)  # sum of P^2 of a Gaussian

    def block(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        rows, columns, inside = _window(pixels.shape, x, y, reach)
        good = inside & ~unusable[rows, columns]
        weight = np.exp(-0.5 * ((rows - y[:, None, None]) ** 2 + (columns - x[:, None, None]) ** 2) / scale**2)
        weight *= good / (2.0 * np.pi * scale**2)
        square = np.sum(weight**2, axis=(1, 2))
        square[square < 0.1 * whole] = np.nan
        flux = np.sum(weight * pixels[rows, columns], axis=(1, 2)) / square
        error = np.sqrt(np.sum((weight * np.where(good, noise[rows, columns], 0)) ** 2, axis=(1, 2))) / square
        return flux, error, 1.0 / square

    flux, error, area = _in_chunks(block, x, y, 3)
    return flux, error, area


def any_within(
    flagged: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64], radius: float
) -> NDArray[np.bool_]:
    """Say of each position whether a True pixel lies within `radius` pixels of its own pixel.

    Parameters
    ----------
    flagged : ndarray of bool, shape (H, W)
    x, y : ndarray of float64, shape (N,)
        0-based pixels.
    radius : float
        Pixels.

    Returns
    -------
    ndarray of bool, shape (N,)

    Examples
    --------
    >>> flagged = np.zeros((20, 20), dtype=bool)
    >>> flagged[10, 13] = True
    >>> any_within(flagged, np.array([10.0, 9.0]), np.array([10.0, 10.0]), 3.0).tolist()
    [True, False]
    """
    reach = int(np.floor(radius))
    step = np.arange(-reach, reach + 1)
    disc = step[:, None] ** 2 + step[None, :] ** 2 <= radius**2

    def block(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        rows, columns, inside = _window(flagged.shape, x, y, reach)
        return (np.any(flagged[rows, columns] & inside & disc, axis=(1, 2)),)

    return _in_chunks(block, x, y, 1)[0] > 0


def _window(
    shape: tuple[int, ...], x: NDArray[np.float64], y: NDArray[np.float64], reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return row and column indices (clipped to the frame) around positions, and which were inside."""
    step = np.arange(-reach, reach + 1)
    rows = np.floor(y + 0.5).astype(np.int64)[:, None, None] + step[None, :, None]
    columns = np.floor(x + 0.5).astype(np.int64)[:, None, None] + step[None, None, :]
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1), inside


def _in_chunks(
    block: Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], ...]],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    count: int,
) -> tuple[NDArray[np.float64], ...]:
    """Run `block` over slices of the positions and join its `count` results."""
    results = np.empty((count, len(x)))
    for start in range(0, len(x), _CHUNK):
        part = slice(start, start + _CHUNK)
        for k, values in enumerate(block(x[part], y[part])):
            results[k, part] = values
    return tuple(results)
