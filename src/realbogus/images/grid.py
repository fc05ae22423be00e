"""Grids and footprints: transforms turned round, moved to another origin, and their union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .maps import Affine, Chain, PixelMap

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from .align import Transform

__all__ = ["grid_wcs", "inverse", "overlap", "pixel_area", "shifted", "union_grid"]


def inverse(transform: Transform) -> Transform:
    """Return the same alignment with source and target exchanged; the residual is kept."""
    return replace(transform, to_source=transform.to_target, to_target=transform.to_source)


def shifted(transform: Transform, dx: float, dy: float) -> Transform:
    """Express a transform on a grid whose pixel (0, 0) lies at (dx, dy) of its target.

    Parameters
    ----------
    transform : Transform
        Target (anchor) to source.
    dx, dy : float
        Position of the grid's origin on the anchor, pixels, as `union_grid` returns it.

    Returns
    -------
    Transform
        Grid to source.
    """
    step = Affine.shift(dx, dy)
    return replace(
        transform,
        to_source=_chained(step, transform.to_source),
        to_target=_chained(transform.to_target, step.inverse()),
    )


def overlap(transform: Transform, source_shape: tuple[int, int], target_shape: tuple[int, int]) -> float:
    """Return the share of the target's area that the source covers, 0 to 1.

    Examples
    --------
    >>> from realbogus.images.align import identity, overlap, shifted
    >>> overlap(shifted(identity(), 50, 0), (100, 100), (100, 100))
    0.5
    """
    height, width = target_shape
    x = (np.arange(64) + 0.5) / 64 * width - 0.5
    y = (np.arange(64) + 0.5) / 64 * height - 0.5
    s, t = transform.to_source(*np.meshgrid(x, y))
    # Comparisons with NaN are False: positions the WCS cannot reach do not count.
    inside = (s >= -0.5) & (s <= source_shape[1] - 0.5) & (t >= -0.5) & (t <= source_shape[0] - 0.5)
    return float(inside.mean())


def pixel_area(transform: Transform, shape: tuple[int, int]) -> float:
    """Return the area of a target pixel in source pixels at the target's middle.

    Parameters
    ----------
    transform : Transform
        Target to source.
    shape : tuple of int
        (H, W) of the target.

    Returns
    -------
    float
        Square source pixels per target pixel; 1 where the middle cannot be mapped.

    Examples
    --------
    >>> from realbogus.images.align import Transform
    >>> from realbogus.images.grid import pixel_area
    >>> from realbogus.images.maps import Affine
    >>> binned = Affine((0.5, 0.0, 0.0, 0.0, 0.5, 0.0))
    >>> pixel_area(Transform(binned, binned.inverse(), 0.1, 9, "stars"), (100, 100))
    0.25
    """
    x, y, step = (shape[1] - 1) / 2, (shape[0] - 1) / 2, 8.0
    s, t = transform.to_source(np.array([x - step, x + step, x, x]), np.array([y, y, y - step, y + step]))
    area = abs((s[1] - s[0]) * (t[3] - t[2]) - (s[3] - s[2]) * (t[1] - t[0])) / (2 * step) ** 2
    return float(area) if np.isfinite(area) and area > 0 else 1.0


def union_grid(
    transforms: Sequence[Transform], shapes: Sequence[tuple[int, int]], limit: float = 2.0
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the pixel grid that holds the footprints of all frames.

    Parameters
    ----------
    transforms : sequence of Transform
        One per frame: target = anchor, source = frame.
    shapes : sequence of (H, W)
        Shapes of the frames.
    limit : float
        Largest area of the grid in areas of the largest frame. A larger grid is cut back,
        in proportion, around the median of the frames' centres.

    Returns
    -------
    shape : tuple of int
        (H, W) of the grid.
    origin : tuple of int
        (x, y) on the anchor of the grid's pixel (0, 0); pass it to `shifted`.

    Examples
    --------
    >>> from realbogus.images.align import identity, shifted, union_grid
    >>> union_grid([identity(), shifted(identity(), -30, 5)], [(100, 200)] * 2)
    ((105, 230), (0, -5))
    """
    low, high, centres = [], [], []
    for transform, (height, width) in zip(transforms, shapes, strict=True):
        edge_x, edge_y = np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9)
        x, y = transform.to_target(*np.meshgrid(edge_x, edge_y))
        low.append([np.nanmin(x), np.nanmin(y)])
        high.append([np.nanmax(x), np.nanmax(y)])
        centres.append([x[4, 4], y[4, 4]])
    # Within a thousandth of a pixel an edge belongs to the pixel it touches.
    first = np.floor(np.min(low, axis=0) + 1e-3)
    last = np.ceil(np.max(high, axis=0) - 1e-3)
    size = last - first + 1
    allowed = limit * max(h * w for h, w in shapes)
    if size.prod() > allowed:
        small = np.floor(size * np.sqrt(allowed / size.prod()))
        start = np.round(np.nanmedian(centres, axis=0) - (small - 1) / 2)
        first = np.clip(start, first, last + 1 - small)
        size = small
    return (int(size[1]), int(size[0])), (int(first[0]), int(first[1]))


def grid_wcs(wcs: WCS, transform: Transform, shape: tuple[int, int]) -> WCS:
    """Carry a frame's WCS over to the target grid of its transform.

    A gnomonic WCS is fitted to the sky positions of a grid of pixels, with distortion terms
    of third order where without them it would miss by more than a tenth of a pixel.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial WCS of the source.
    transform : Transform
        Target to source.
    shape : tuple of int
        (H, W) of the target grid.

    Returns
    -------
    astropy.wcs.WCS
        Celestial WCS of the target grid.
    """
    from astropy.wcs.utils import fit_wcs_from_points

    x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, shape[1] - 1, 15), np.linspace(0, shape[0] - 1, 15)))
    s, t = transform.to_source(x, y)
    sky = wcs.pixel_to_world(s, t)
    for degree in (None, 3):
        fitted = fit_wcs_from_points((x, y), sky, projection="TAN", sip_degree=degree)
        miss = np.hypot(*(a - b for a, b in zip(fitted.world_to_pixel(sky), (x, y), strict=True)))
        if miss.max() < 0.1:
            break
    fitted.array_shape = shape
    return fitted


def _chained(first: PixelMap, then: PixelMap) -> PixelMap:
    """Chain two maps; two affine ones become one."""
    if isinstance(first, Affine) and isinstance(then, Affine):
        return Affine.from_matrix(then.matrix @ first.matrix)
    return Chain(first, then)
