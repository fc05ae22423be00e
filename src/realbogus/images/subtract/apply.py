"""Convolve a frame with a kernel that varies over it, tile by tile, and subtract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from ..frame import BAD, NODATA, SATURATED
from .noise import photon_variance
from .pair import Pair
from .solve import Kernel

__all__ = ["each_tile", "padded", "patched", "subtract_tiles", "tile_size"]

_Tile = tuple[slice, slice]
_T = TypeVar("_T", bound=np.generic)


def tile_size(shape: tuple[int, int], half_width: int, order: int) -> int:
    """Side of a tile: one kernel serves it whole, and its transform has a fast length."""
    side = 256 if order == 0 else int(np.clip(min(shape) / 8, 64, 160))
    return int(next_fast_len(side + 2 * half_width, real=True)) - 2 * half_width


def each_tile(shape: tuple[int, int], size: int, work: Callable[[_Tile], None], jobs: int) -> None:
    """Call `work` on every tile of a frame, from `jobs` threads; an error in one is raised here."""
    tiles = _tiles(shape, size)
    if jobs <= 1:
        for tile in tiles:
            work(tile)
        return
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(work, tiles):
            pass


def _tiles(shape: tuple[int, int], size: int) -> Iterator[_Tile]:
    for y in range(0, shape[0], size):
        for x in range(0, shape[1], size):
            yield slice(y, min(y + size, shape[0])), slice(x, min(x + size, shape[1]))


def padded(image: NDArray[_T], tile: _Tile, margin: int) -> NDArray[_T]:
    """Tile with a margin; beyond the frame's border its edge pixels are repeated."""
    (y, x), (height, width) = tile, image.shape
    top, left = y.start - margin, x.start - margin
    bottom, right = y.stop + margin, x.stop + margin
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return image[top:bottom, left:right]
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    edge: NDArray[_T] = image[rows[:, None], columns]
    return edge


def patched(pixels: NDArray[np.float32], mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Replace bad and missing pixels before a convolution would spread them.

    A bad pixel becomes the median of the good ones in the 5x5 around it, a missing one
    zero, the level of sky-subtracted sky. Clipped pixels stay: masks cover their surroundings.
    """
    hot = (mask & np.uint8(BAD | NODATA)) != 0
    if not hot.any():
        return pixels
    out = pixels.copy()
    out[(mask & np.uint8(NODATA)) != 0] = 0
    y, x = np.nonzero((mask & np.uint8(BAD | NODATA | SATURATED)) == BAD)
    if len(y):
        step = np.arange(-2, 3)
        rows = np.clip(y[:, None, None] + step[:, None], 0, pixels.shape[0] - 1)
        columns = np.clip(x[:, None, None] + step, 0, pixels.shape[1] - 1)
        around = np.where(hot[rows, columns], np.float32(np.inf), pixels[rows, columns]).reshape(len(y), -1)
        around.sort(axis=1)
        count = np.isfinite(around).sum(axis=1)
        middle = around[np.arange(len(y)), np.maximum(count - 1, 0) // 2]
        out[y, x] = np.where(count > 0, middle, np.float32(0))
    return out


def subtract_tiles(
    pair: Pair, kernel: Kernel, *, convolve: str, jobs: int, size: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Difference and noise of a pair whose `convolve` side goes through `kernel`.

    With S, R the two sides and K the kernel of sum k: S - K R - sky where the reference is
    convolved, (K S + sky - R) / k where the science frame is, so that a source new in the
    science frame keeps its flux. The variance is that of each side, a convolved one through K^2.
    Bad pixels of a convolved science frame are taken out before and their excess put back
    after, so a hot pixel stays as sharp as it was.

    Parameters
    ----------
    pair : Pair
    kernel : Kernel
    convolve : str
        "reference" or "science".
    jobs : int
        Threads.
    size : int, optional
        Side of a tile, pixels.

    Returns
    -------
    pixels, noise : ndarray of float32, shape (H, W)
    """
    margin = kernel.basis.half_width
    size = size or tile_size(pair.shape, margin, kernel.order)
    length = int(next_fast_len(size + 2 * margin, real=True))
    difference, noise = np.empty(pair.shape, np.float32), np.empty(pair.shape, np.float32)
    scale = kernel.total if convolve == "reference" else 1 / kernel.total

    def through(block: NDArray[np.float32], spectrum: NDArray[np.complex64], tile: _Tile) -> NDArray[np.float32]:
        product = rfft2(block, (length, length))
        product *= spectrum
        whole = irfft2(product, (length, length), overwrite_x=True)
        height, width = tile[0].stop - tile[0].start, tile[1].stop - tile[1].start
        # the first 2 margin rows and columns of a circular convolution are wrapped around
        return np.asarray(whole[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width])

    def work(tile: _Tile) -> None:
        rows, columns = tile
        image = kernel.at((columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2).astype(np.float32)
        spectrum, square = rfft2(image, (length, length)), rfft2(image**2, (length, length))
        y, x = (
            np.arange(rows.start, rows.stop, dtype=float),
            np.arange(columns.start, columns.stop, dtype=float),
        )
        sky = kernel.sky_at(x, y).astype(np.float32)
        science, reference = pair.science[tile], pair.reference[tile]
        if convolve == "reference":
            mask = padded(pair.reference_mask, tile, margin)
            model = through(patched(padded(pair.reference, tile, margin), mask), spectrum, tile)
            variance = through(pair.reference_variance(lambda a: padded(a, tile, margin)), square, tile)
            variance += photon_variance(science, model, pair.science_noise, pair.gain)
            difference[tile] = science - model - sky
        else:
            wide = padded(pair.science, tile, margin)
            mask = padded(pair.science_mask, tile, margin)
            clean = patched(wide, mask)
            wide_reference = padded(pair.reference, tile, margin) * np.float32(scale)
            photons = photon_variance(clean, wide_reference, pair.science_noise, pair.gain)
            variance = through(photons, square, tile) + pair.reference_variance(lambda a: a[tile])
            variance *= np.float32(scale**2)
            difference[tile] = (through(clean, spectrum, tile) + sky - reference) * np.float32(scale)
            hot = (pair.science_mask[tile] & np.uint8(BAD)) != 0
            height, width = science.shape
            difference[tile][hot] += (science - clean[margin : margin + height, margin : margin + width])[hot]
        np.sqrt(np.maximum(variance, np.float32(1e-20)), out=noise[tile])

    each_tile(pair.shape, size, work, jobs)
    return difference, noise
