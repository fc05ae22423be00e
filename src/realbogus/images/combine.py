"""Clipped mean of resampled frames, in row strips from disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Combined", "Layer", "combine_rows"]

#: Members farther from the median than this many sigma do not count.
_CLIP = 3.5


@dataclass(frozen=True)
class Layer:
    """Facts about one member that combining needs; fluxes are on the common zero point.

    Parameters
    ----------
    scale : float
        Factor that brought its pixels to the common zero point.
    sky_sigma : float
        Sigma of one resampled blank pixel, after scaling.
    gain : float
        Electrons per unscaled ADU.
    smoothing : float
        Variance that resampling left, 1 is all (`noise_factor`).
    """

    scale: float
    sky_sigma: float
    gain: float
    smoothing: float

    @property
    def weight(self) -> float:
        """Inverse variance of the blank sky."""
        return 1.0 / max(self.sky_sigma, 1e-12) ** 2

    @property
    def photon_variance(self) -> float:
        """Variance that one scaled ADU of source flux adds."""
        return self.smoothing * self.scale / self.gain


@dataclass(frozen=True)
class Combined:
    """One strip of the reference: mean, sigma, contributing members, and the four states."""

    pixels: NDArray[np.float32]
    noise: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    saturated: NDArray[np.bool_]
    nodata: NDArray[np.bool_]
    bad: NDArray[np.bool_]


def combine_rows(
    values: NDArray[np.float32],
    state: NDArray[np.uint8],
    layers: list[Layer],
    min_coverage: int,
) -> Combined:
    """Combine one strip of all members.

    Weighted mean (weights: inverse sky variance) of the members within 3.5 sigma of their
    median, sigma = the larger of 1.4826 MAD and the expected photon-plus-sky noise, so that
    three members already outvote a cosmic ray; one or two are averaged. Where the members
    scatter more than twice the expected variance (3x3 mean) the measured variance is used.

    Where only bad pixels keep the coverage below `min_coverage` (a night without dither puts
    each hot pixel on one place), their values, interpolated from neighbours, count as well, and
    the pixel is bad: flagged, but no hole.

    Parameters
    ----------
    values : ndarray of float32, shape (M, R, W)
        Resampled, sky-subtracted, scaled members; bad pixels interpolated.
    state : ndarray of uint8, shape (M, R, W)
        0 usable, 1 nothing here, 2 saturated, 4 bad pixel.
    layers : list of Layer, length M
        Their noise.
    min_coverage : int
        Fewest members for a pixel to hold data.

    Returns
    -------
    Combined
    """
    good = state == 0
    usable = good.sum(axis=0)
    hot = state == 4
    filled = usable + hot.sum(axis=0)
    patch = (usable < min_coverage) & (filled >= min_coverage)
    good |= hot & patch
    usable = np.where(patch, filled, usable)
    expected = np.array([layer.sky_sigma**2 for layer in layers], np.float32)[:, None, None]
    photon = np.array([layer.photon_variance for layer in layers], np.float32)[:, None, None]
    middle = _median(values, good, usable)
    deviation = np.abs(values - middle)
    spread = 1.4826 * _median(deviation, good, usable)
    variance = expected + photon * _light(middle, expected.min())
    limit = _CLIP * np.maximum(spread, np.sqrt(variance))
    kept = good & ((deviation <= limit) | (usable < 3))
    weight = kept * np.array([layer.weight for layer in layers], np.float32)[:, None, None]
    total = weight.sum(axis=0)
    some = total > 0
    safe = np.where(some, total, 1)
    mean = (weight * values).sum(axis=0) / safe
    light = _light(mean, (weight**2 * expected).sum(axis=0) / safe**2)
    sigma2 = (weight**2 * (expected + photon * light)).sum(axis=0) / safe**2
    count = kept.sum(axis=0)
    sigma2 = _larger(sigma2, weight, values, mean, safe, count)
    there = (state != 1).sum(axis=0)
    full = ((state & 2) != 0).sum(axis=0)
    saturated = (full > 0) & (2 * full >= there)
    # A saturated core keeps its clipped height, so that it has no hole to ring.
    clipped = ((state & 2) != 0) * values
    mean = np.where(saturated, clipped.sum(axis=0) / np.maximum(full, 1), mean)
    nodata = np.where(saturated, there, usable) < min_coverage
    never = ~some & ~saturated
    blank = float(np.median([layer.sky_sigma for layer in layers]))
    noise = np.where(some, np.sqrt(sigma2), blank)
    return Combined(
        np.where(never, 0, mean).astype(np.float32),
        noise.astype(np.float32),
        np.minimum(count, 255).astype(np.uint8),
        saturated,
        nodata,
        patch & ~saturated & ~nodata,
    )


def _median(values: NDArray[np.float32], good: NDArray[np.bool_], count: NDArray[np.intp]) -> NDArray[np.float32]:
    """Median over the first axis of the good entries; 0 where there are none."""
    ordered = np.sort(np.where(good, values, np.float32(np.inf)), axis=0)
    low = np.maximum((count - 1) // 2, 0)[None]
    high = np.maximum(count // 2, 0)[None]
    high = np.minimum(high, len(values) - 1)
    pair = np.take_along_axis(ordered, low, axis=0)[0], np.take_along_axis(ordered, high, axis=0)[0]
    some = count > 0
    return np.where(some, 0.5 * (np.where(some, pair[0], 0) + np.where(some, pair[1], 0)), 0).astype(np.float32)


def _light(mean: NDArray[np.float32], sky_variance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flux that has photon noise: zero on blank sky, or a pixel's own noise would set its sigma.

    Sky is where the mean of 3x3 pixels stays below one sigma of a pixel.
    """
    source = np.asarray(ndimage.uniform_filter(mean, 3, mode="nearest")) > np.sqrt(sky_variance)
    return np.where(source, np.maximum(mean, 0), 0).astype(np.float32)


def _larger(
    expected: NDArray[np.float32],
    weight: NDArray[np.float32],
    values: NDArray[np.float32],
    mean: NDArray[np.float32],
    total: NDArray[np.float32],
    count: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Put the measured variance of the mean where it is clearly above the expected one."""
    several = count >= 3
    scatter = (weight * (values - mean) ** 2).sum(axis=0) / total
    effective = total**2 / np.maximum((weight**2).sum(axis=0), 1e-30)
    measured = np.where(several, scatter / np.maximum(effective - 1, 1), expected)
    smooth = np.asarray(ndimage.uniform_filter(measured, 3, mode="nearest"))
    base = np.asarray(ndimage.uniform_filter(expected, 3, mode="nearest"))
    return np.where(several & (smooth > 2 * base), np.maximum(smooth, expected), expected)
