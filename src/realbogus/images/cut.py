"""Stamps out of frames: the source stays in the middle, and what is missing is said.

A stamp at the border, or beside saturation, is filled with its own local background and
never with zeros that look like sky; its row carries the share that was missing and whether
enough is left to score. As many rows come out as positions went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import InputError
from .frame import NODATA, SATURATED

__all__ = ["CENTRE_RADIUS", "cut"]

#: Pixels around the source of which at least half must be there.
CENTRE_RADIUS = 3

_CHUNK = 512  # rows copied at a time


def cut(
    catalogue: Table | Mapping[str, Any] | NDArray[np.void],
    channels: Sequence[NDArray[np.float32]],
    mask: NDArray[np.uint8],
    *,
    size: int = 64,
    min_valid: float = 0.5,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Cut one stamp per position out of every channel.

    Parameters
    ----------
    catalogue : Table, mapping or structured array
        Columns ``x`` and ``y``, 0-based pixel centres, N rows.
    channels : sequence of ndarray of float32, shape (H, W)
        C images on one grid, say difference, science and reference.
    mask : ndarray of uint8, shape (H, W)
        Bits of `realbogus.images.frame`; `NODATA` and `SATURATED` pixels are missing, and so
        is a pixel that is not finite in any channel.
    size : int
        Side of a stamp, even, at least 16. The source's pixel lands at ``[size // 2, size // 2]``.
    min_valid : float
        Smallest share of a stamp that must be there for it to be usable, in [0, 1].

    Returns
    -------
    stamps : ndarray of float32, shape (N, C, size, size)
        Missing pixels hold the median of the stamp's valid pixels in that channel; 0 where
        there are none.
    missing : ndarray of float32, shape (N,)
        Share of missing pixels.
    usable : ndarray of bool, shape (N,)
        False where more than ``1 - min_valid`` is missing, where more than half of the pixels
        within `CENTRE_RADIUS` of the source are missing, or where the position is not finite.

    Raises
    ------
    InputError
        A column is absent, shapes disagree, or `size` or `min_valid` is out of range.

    Examples
    --------
    >>> image = np.arange(100 * 100, dtype=np.float32).reshape(100, 100)
    >>> nothing = np.zeros((100, 100), dtype=np.uint8)
    >>> stamps, missing, usable = cut({"x": [50.2, 2.0], "y": [40.0, 99.0]}, [image], nothing, size=16)
    >>> stamps.shape, bool(stamps[0, 0, 8, 8] == image[40, 50])
    ((2, 1, 16, 16), True)
    >>> [round(float(share), 2) for share in missing], usable.tolist()
    ([0.0, 0.65], [True, False])
    """
    x, y = _positions(catalogue)
    images = _images(channels, mask)
    if size < 16 or size % 2:
        raise InputError(f"size {size} must be an even number of pixels, at least 16")
    if not 0.0 <= min_valid <= 1.0:
        raise InputError(f"min_valid {min_valid} is not in [0, 1]: it is the share that must be there")

    lost = (mask & (NODATA | SATURATED)) != 0
    for image in images:
        lost |= ~np.isfinite(image)
    known = np.isfinite(x) & np.isfinite(y)
    # A position beyond the frame stays beyond it, but within the range of integers.
    left = _corner(np.where(known, x, -4.0 * size), lost.shape[1], size)
    top = _corner(np.where(known, y, -4.0 * size), lost.shape[0], size)
    whole = (left >= 0) & (top >= 0) & (left + size <= lost.shape[1]) & (top + size <= lost.shape[0])

    stamps = np.empty((len(x), len(images), size, size), dtype=np.float32)
    missing = np.empty(len(x), dtype=np.float32)
    centre_missing = np.empty(len(x), dtype=np.float32)
    disc = _disc(size)
    for start in range(0, len(x), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(x)))
        gaps = _gather(lost, top[rows], left[rows], whole[rows], size, fill=True)
        for c, image in enumerate(images):
            stamps[rows, c] = _gather(image, top[rows], left[rows], whole[rows], size, fill=0.0)
        missing[rows] = gaps.mean(axis=(1, 2))
        centre_missing[rows] = gaps[:, disc].mean(axis=1)
        for k in np.flatnonzero(gaps.any(axis=(1, 2))):
            _fill(stamps[rows[k]], gaps[k])
    usable = known & (1.0 - missing >= min_valid) & (centre_missing <= 0.5)
    return stamps, missing, usable


def _positions(catalogue: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        x, y = (np.ma.filled(np.ma.asarray(catalogue[name], dtype=np.float64), np.nan) for name in "xy")
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"the catalogue needs number columns 'x' and 'y' (0-based pixels): {error}") from error
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"columns x {x.shape} and y {y.shape} must be lists of one length")
    return x, y


def _images(channels: Sequence[NDArray[np.float32]], mask: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    images = [np.asarray(channel, dtype=np.float32) for channel in channels]
    shapes = {image.shape for image in images} | {mask.shape}
    if not images or len(shapes) != 1 or mask.ndim != 2:
        raise InputError(
            f"channels and mask must be images of one shape (H, W), got {len(images)} channels "
            f"and shapes {sorted(shapes)}"
        )
    return images


def _corner(position: NDArray[np.float64], length: int, size: int) -> NDArray[np.int64]:
    """Return the first index of the stamps along one axis; half pixels round up."""
    middle = np.clip(np.floor(position + 0.5), -2 * size, length + 2 * size)
    return middle.astype(np.int64) - size // 2


def _disc(size: int) -> NDArray[np.bool_]:
    step = np.arange(size) - size // 2
    return np.asarray(step[:, None] ** 2 + step[None, :] ** 2 <= CENTRE_RADIUS**2)


def _gather(
    image: NDArray[Any],
    top: NDArray[np.int64],
    left: NDArray[np.int64],
    whole: NDArray[np.bool_],
    size: int,
    *,
    fill: float | bool,
) -> NDArray[Any]:
    """Copy squares out of an image, shape (n, size, size), with `fill` outside of it."""
    out = np.full((len(top), size, size), fill, dtype=image.dtype)
    if whole.any():
        out[whole] = sliding_window_view(image, (size, size))[top[whole], left[whole]]
    height, width = image.shape
    for k in np.flatnonzero(~whole):
        y0, y1 = max(top[k], 0), min(top[k] + size, height)
        x0, x1 = max(left[k], 0), min(left[k] + size, width)
        if y0 < y1 and x0 < x1:
            out[k, y0 - top[k] : y1 - top[k], x0 - left[k] : x1 - left[k]] = image[y0:y1, x0:x1]
    return out


def _fill(stamp: NDArray[np.float32], gaps: NDArray[np.bool_]) -> None:
    """Put each channel's median of the pixels that are there where they are not."""
    there = ~gaps
    for channel in stamp:
        channel[gaps] = np.median(channel[there]) if there.any() else 0.0
