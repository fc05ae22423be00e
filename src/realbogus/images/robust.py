"""Level and width of pixels that outliers cannot move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["clipped", "robust_sigma"]


def robust_sigma(values: NDArray[np.floating]) -> float:
    """Return 1.4826 times the median absolute deviation, the sigma of a Gaussian core.

    Parameters
    ----------
    values : ndarray
        Any shape, finite; 0.0 for an empty one.

    Examples
    --------
    >>> robust_sigma(np.array([1.0, 2.0, 3.0, 4.0, 1e9]))
    1.4826
    """
    flat = np.asarray(values).ravel()
    if flat.size == 0:
        return 0.0
    middle = np.median(flat)
    width = float(1.4826 * np.median(np.abs(flat - middle)))
    # Where digits are coarser than the noise most pixels share one level, and the MAD sees no noise at all.
    return clipped(flat)[1] if _lower_width(flat, float(middle)) > 2 * width > 0 else width


def _lower_width(values: NDArray[np.floating], middle: float) -> float:
    """Sigma that the faint side's 3 % point says; stars do not reach it."""
    return (middle - float(np.percentile(values, 3))) / 1.881


def clipped(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return median and standard deviation after clipping at 3 sigma until nothing changes.

    Unlike the MAD it does not step where integer pixels have a noise of one or two ADU.

    Examples
    --------
    >>> clipped(np.array([1.0, 2.0, 3.0] * 20 + [500.0]))[0]
    2.0
    """
    flat = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    low, high = 0, flat.size
    if high == 0:
        return 0.0, 0.0
    middle = float(np.median(flat))
    width = float(1.4826 * np.median(np.abs(flat - middle)))
    # a wide start keeps the levels beside the middle one, where digits are coarser than the noise
    lower = _lower_width(flat, middle)
    width = (lower if lower > 2 * width else width) or float(flat.std())
    for _ in range(8):
        low, high = np.searchsorted(flat, [middle - 3 * width, middle + 3 * width])
        kept = flat[low : max(high, low + 1)]
        # 0.9866 is what clipping at 3 sigma leaves of a Gaussian's sigma
        new = float(kept.std()) / 0.9866
        middle = float(kept[kept.size // 2] + kept[(kept.size - 1) // 2]) / 2
        if abs(new - width) <= 1e-4 * width or new == 0:
            return middle, new
        width = new
    return middle, width
