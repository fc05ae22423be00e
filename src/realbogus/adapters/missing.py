"""Pixels of a cutout that are none: NaN, sentinels, padding, areas of exact zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Edges", "cleaned", "empty_edges"]

#: Beyond this no survey's flux lies; fill values are near -3.4e38.
SENTINEL = 1e30

#: Lines without data at (top, bottom, left, right), where top is the first row.
Edges = tuple[int, int, int, int]


def cleaned(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], Edges]:
    """Return a copy with NaN where there are no data, and how many lines at each edge have none at all.

    No data are values that are not finite or beyond 1e30, lines of one single value along an edge (what a broker
    pads with), and areas of 3 x 3 exact zeros or more (what resampling leaves beside a footprint).

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)

    Returns
    -------
    clean : ndarray of float32, shape (H, W)
    edges : tuple of four ints
        Empty lines at top (the first rows), bottom, left and right.

    Examples
    --------
    >>> image = np.arange(30, dtype="float32").reshape(5, 6)
    >>> image[3:] = 1e-9  # padded at the far side
    >>> image[0, 0] = -3.4e38
    >>> clean, edges = cleaned(image)
    >>> int(np.isnan(clean).sum()), edges
    (13, (0, 2, 0, 0))
    """
    clean = np.array(pixels, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        lost = ~(np.abs(clean) < SENTINEL)  # NaN compares false
    if lost.any():
        clean[lost] = np.nan
    height, width = clean.shape
    edges = (
        _constant(clean),
        _constant(clean[::-1]),
        _constant(clean.T),
        _constant(clean.T[::-1]),
    )
    if any(edges):
        top, bottom, left, right = edges
        clean[:top] = clean[height - bottom :] = np.nan
        clean[:, :left] = clean[:, width - right :] = np.nan
    _drop_zeros(clean)
    return clean, edges


def _constant(lines: NDArray[np.float32]) -> int:
    """Count the lines from the first on that hold one value or nothing, the same value in all of them."""
    value: float | None = None
    for count, line in enumerate(lines):
        first, last = float(line[0]), float(line[-1])
        if first == first and last == last and first != last:
            return count  # nearly every cutout ends here, with its first line
        there = line[line == line]
        if there.size:
            value = float(there[0]) if value is None else value
            if (there != value).any():
                return count
    return len(lines)


def _drop_zeros(clean: NDArray[np.float32]) -> None:
    zero = clean == 0
    count = np.count_nonzero(zero)
    if count < 9:
        return
    core = ndimage.binary_erosion(zero, np.ones((3, 3), bool), border_value=1)
    if not core.any():
        return
    gap = ndimage.binary_dilation(core, np.ones((3, 3), bool)) & zero
    # noise that is finer than the digits gives zeros as well, but riddled with ones
    filled = ndimage.binary_fill_holes(gap)
    if np.count_nonzero(filled) - np.count_nonzero(gap) <= 0.002 * np.count_nonzero(filled):
        clean[gap] = np.nan


def empty_edges(edges: Sequence[Edges]) -> Edges:
    """Return the lines at each edge that are empty in every channel.

    Examples
    --------
    >>> empty_edges([(0, 3, 0, 0), (0, 4, 1, 0)])
    (0, 3, 0, 0)
    """
    top, bottom, left, right = (min(side) for side in zip(*edges, strict=True))
    return top, bottom, left, right
