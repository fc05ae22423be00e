"""Resampling of pixels and masks onto another grid, in strips.

Maps that are affine to a thousandth of a pixel take scipy's fast path; whole-pixel shifts
are copied without interpolation; all others are evaluated on a coarse grid and interpolated
bilinearly between its nodes, finer until the error is below a thousandth of a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from .geometry import geometry_of

if TYPE_CHECKING:
    from .align import Transform

__all__ = ["fill_masked", "noise_factor", "warp", "warp_mask"]

#: Bilinear weight of masked pixels from which a resampled pixel is masked too.
_MASK_WEIGHT = 0.02


def warp(
    pixels: NDArray[np.float32],
    transform: Transform,
    shape: tuple[int, int],
    *,
    order: int = 3,
    fill: float = 0.0,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Resample a source image onto the target grid.

    Surface brightness is kept: the flux of a star changes with the pixel area, which
    between frames of one telescope is constant.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        Source image, finite everywhere.
    transform : Transform
        Target to source.
    shape : tuple of int
        (H, W) of the target grid.
    order : int
        Spline order, 0 to 5.
    fill : float
        Value where no source pixel lies.
    mask : ndarray of bool, shape (H, W), optional
        True where source pixels are bad. They are replaced by local values beforehand, so
        that they do not ring into their neighbours; `warp_mask` says where they land.

    Returns
    -------
    ndarray of float32, shape `shape`

    Raises
    ------
    InputError
        The order is not 0 to 5.

    Examples
    --------
    >>> import numpy as np
    >>> from realbogus.images.align import identity, shifted, warp
    >>> image = np.arange(12, dtype=np.float32).reshape(3, 4)
    >>> warp(image, shifted(identity(), 1, 0), (3, 4), fill=-1)
    array([[ 1.,  2.,  3., -1.],
           [ 5.,  6.,  7., -1.],
           [ 9., 10., 11., -1.]], dtype=float32)
    """
    if not 0 <= order <= 5:
        raise InputError(f"warp() got spline order {order}, expected 0 to 5")
    pixels = np.asarray(pixels, np.float32)
    if mask is not None:
        pixels = fill_masked(pixels, mask)
    geometry = geometry_of(transform, shape)
    out = np.full(shape, fill, np.float32)
    step = geometry.whole_shift
    if step is not None:
        there, here = _common(pixels.shape, shape, step)
        out[here] = pixels[there]
        return out
    if order > 1:
        pixels = ndimage.spline_filter(pixels, order, output=np.float32)
    if geometry.matrix is not None:
        # scipy speaks (y, x): swap both axes of the (x, y) matrix.
        linear, offset = geometry.matrix[1::-1, 1::-1], geometry.matrix[1::-1, 2]
        ndimage.affine_transform(
            pixels,
            linear,
            offset,
            shape,
            output=out,
            order=order,
            mode="constant",
            cval=fill,
            prefilter=False,
        )
        return out
    for rows, at in geometry.strips():
        ndimage.map_coordinates(pixels, at, output=out[rows], order=order, mode="constant", cval=fill, prefilter=False)
    return out


def warp_mask(mask: NDArray[np.bool_], transform: Transform, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Resample a mask: True where a masked source pixel, or nothing, falls.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        True where the source is bad.
    transform : Transform
        Target to source.
    shape : tuple of int
        (H, W) of the target grid.

    Returns
    -------
    ndarray of bool, shape `shape`
        True where masked pixels have more than 2 % of the bilinear weight.

    Examples
    --------
    >>> import numpy as np
    >>> from realbogus.images.align import identity, shifted, warp_mask
    >>> warp_mask(np.array([[False, True, False, False]]), shifted(identity(), 0.5, 0), (1, 4))
    array([[ True,  True, False,  True]])
    """
    mask = np.asarray(mask, bool)
    geometry = geometry_of(transform, shape)
    step = geometry.whole_shift
    out = np.ones(shape, bool)
    if step is not None:
        there, here = _common(mask.shape, shape, step)
        out[here] = mask[there]
        return out
    some = bool(mask.any())
    numbers = mask.astype(np.float32) if some else None
    for rows, (y, x) in geometry.strips():
        # A border of 1e-6 px forgives rounding; NaN positions compare False, hence masked.
        inside = (x >= -1e-6) & (x <= mask.shape[1] - 1 + 1e-6)
        inside &= (y >= -1e-6) & (y <= mask.shape[0] - 1 + 1e-6)
        out[rows] = ~inside
        if numbers is not None:
            weight = ndimage.map_coordinates(numbers, (y, x), order=1, mode="nearest", output=np.float32)
            out[rows] |= weight > _MASK_WEIGHT
    return out


def fill_masked(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace masked pixels by weighted means of good neighbours, or by the image's median.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        An image.
    mask : ndarray of bool, shape (H, W)
        True where it is bad.

    Returns
    -------
    ndarray of float32, shape (H, W)
        A new image; `pixels` itself where nothing is masked.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.full((5, 5), 7, np.float32)
    >>> image[2, 2] = 9999
    >>> float(fill_masked(image, image > 100)[2, 2])
    7.0
    """
    bad = np.flatnonzero(mask)
    if not len(bad):
        return pixels
    height, width = pixels.shape
    if len(bad) == pixels.size:
        return np.zeros_like(pixels)
    out = pixels.copy()
    thinned = out[::4, ::4][~mask[::4, ::4]] if pixels.size > 10**6 else out[~mask]
    out[mask] = np.median(thinned) if len(thinned) else np.float32(0)
    good = ~mask
    for _ in range(3):  # grow inwards by two pixels a round; the heart of a large hole keeps the median
        y, x = np.divmod(bad, width)
        total, weight = np.zeros(len(bad)), np.zeros(len(bad))
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                u, v = np.clip(x + dx, 0, width - 1), np.clip(y + dy, 0, height - 1)
                w = good[v, u] * np.exp(-0.5 * (dx * dx + dy * dy))
                total += w * out[v, u]
                weight += w
        found = weight > 0
        out[y[found], x[found]] = total[found] / weight[found]
        good[y[found], x[found]] = True
        bad = bad[~found]
        if not len(bad):
            break
    return out


def noise_factor(transform: Transform, shape: tuple[int, int], *, order: int = 3) -> float:
    """Return the variance of a warped pixel of white noise over that of a source pixel.

    The mean over the target grid of the squared interpolation weights; 1 for whole-pixel
    shifts, about 0.7 for cubic splines at random sub-pixel phases. The missing variance is
    not gone: it lies in the covariance of neighbours.

    Examples
    --------
    >>> from realbogus.images.align import identity, noise_factor
    >>> noise_factor(identity(), (100, 100))
    1.0
    """
    if geometry_of(transform, shape).whole_shift is not None:
        return 1.0
    columns, rows = (np.unique(np.round(np.linspace(0, n - 1, 97))) for n in shape[::-1])
    x, y = transform.to_source(*np.meshgrid(columns, rows))
    # Squared weights of the cardinal spline at 129 phases, read off an interpolated spike.
    spike = np.zeros(41)
    spike[20] = 1.0
    phase = np.linspace(0.0, 1.0, 129)
    at = np.arange(4, 36)[:, None] + phase[None]
    squared = (ndimage.map_coordinates(spike, at[None], order=order, mode="constant") ** 2).sum(axis=0)
    ok = np.isfinite(x) & np.isfinite(y)
    by_axis = [np.interp(v[ok] % 1.0, phase, squared) for v in (x, y)]
    return float(np.mean(by_axis[0] * by_axis[1])) if ok.any() else 1.0


def _common(
    source: tuple[int, ...], target: tuple[int, int], step: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of source and target that hold the same sky when source = target + step (x, y)."""
    there, here = [], []
    for size, room, move in zip(source, target, step[::-1], strict=True):
        start, stop = max(0, -move), min(room, size - move)
        stop = max(start, stop)
        here.append(slice(start, stop))
        there.append(slice(start + move, stop + move))
    return (there[0], there[1]), (here[0], here[1])
