"""Where a pixel of one frame lies on another.

A header's WCS, where both frames have one, gives the rough map; stars refine it, because
small telescopes' WCS can be off by tens of pixels. Without a WCS the stars alone find it.
`reproject` is not used: the refined map is no WCS, and one interpolation (`warp`) must serve
both paths.

Examples
--------
>>> from realbogus.images.align import Transform, inverse, shifted
>>> from realbogus.images.maps import Affine
>>> move = Affine.shift(5.0, 0.0)
>>> on_anchor = Transform(move, move.inverse(), residual_px=0.1, matched=20, method="stars")
>>> on_grid = shifted(on_anchor, -10, -20)  # the grid's origin lies at (-10, -20) of the anchor
>>> [float(v) for v in on_grid.to_source(10.0, 20.0)]
[5.0, 0.0]
>>> [float(v) for v in inverse(on_grid).to_target(10.0, 20.0)]
[5.0, 0.0]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import AlignmentError
from .frame import Frame
from .grid import inverse, overlap, shifted, union_grid
from .maps import Affine, Chain, PixelMap, WcsMap
from .match import Fit, refine, vote_seeds
from .measure import Measurement
from .patterns import pattern_seeds
from .warp import noise_factor, warp, warp_mask

__all__ = [
    "Transform",
    "find_transform",
    "identity",
    "inverse",
    "noise_factor",
    "overlap",
    "shifted",
    "union_grid",
    "warp",
    "warp_mask",
]

_Map = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]

#: Stars used to judge seeds, and to refine the winner.
_SEED_STARS, _ALL_STARS = 300, 3000
#: Frames that share less than this part of their area cannot be compared.
_MIN_OVERLAP = 0.1


@dataclass(frozen=True)
class Transform:
    """Pixel positions of a target frame to pixel positions of a source frame.

    Parameters
    ----------
    to_source : callable
        (x, y) on the target -> (x, y) on the source, vectorised, 0-based pixel centres.
    to_target : callable
        The inverse.
    residual_px : float
        Robust rms distance of matched stars, source pixels; NaN when none could be matched.
    matched : int
        Number of stars behind `residual_px`.
    method : str
        "wcs", "stars" or "identity".
    """

    to_source: _Map
    to_target: _Map
    residual_px: float
    matched: int
    method: str


def identity(matched: int = 0) -> Transform:
    """Return the transform of a frame to itself."""
    return Transform(Affine(), Affine(), 0.0, matched, "identity")


def find_transform(
    source: Frame,
    source_m: Measurement,
    target: Frame,
    target_m: Measurement,
    *,
    max_residual_px: float = 0.5,
) -> Transform:
    """Find where each pixel of `target` lies on `source`.

    Parameters
    ----------
    source, target : Frame
        The frame to be resampled and the frame whose grid it shall have.
    source_m, target_m : Measurement
        Their stars.
    max_residual_px : float
        Largest robust rms distance of matched stars that is accepted, source pixels.

    Returns
    -------
    Transform
        Picklable and vectorised both ways.

    Raises
    ------
    AlignmentError
        Too few stars, no credible match, a residual too large, or hardly any overlap.
    """
    if source is target or source_m is target_m:
        return identity(len(target_m.stars))
    label = f"{source.name} cannot be aligned to {target.name}"
    fewest = min(len(source_m.stars), len(target_m.stars))
    if fewest < 4:
        raise AlignmentError(
            f"{label}: {len(source_m.stars)} and {len(target_m.stars)} stars, expected 4 or more in each; "
            "use longer exposures or leave the frame out"
        )
    fit, method = _best(source, source_m.stars, target, target_m.stars)
    if fit is None or not fit.credible:
        reason = _sky_apart(source, target) or (
            "their stars show no common pattern (another field, clouds, or trailed stars)"
        )
        raise AlignmentError(f"{label}: {reason}; check the frame, or choose another reference")
    if not fit.residual_px <= max_residual_px:
        raise AlignmentError(
            f"{label}: {fit.matched} matched stars miss by {fit.residual_px:.2f} px, expected at most "
            f"{max_residual_px:g}; look for trailing or defocus, or raise max_residual_px"
        )
    transform = Transform(fit.to_source, fit.to_target, fit.residual_px, fit.matched, method)
    # of the smaller of the two: a frame may lie in one corner of a mosaic
    shared = max(
        overlap(transform, source.shape, target.shape), overlap(inverse(transform), target.shape, source.shape)
    )
    if shared < _MIN_OVERLAP:
        raise AlignmentError(
            f"{label}: they share {100 * shared:.0f} % of the area, expected 10 % or more; "
            "choose a reference of the same field"
        )
    return transform


def _best(
    source: Frame, source_stars: NDArray[np.float64], target: Frame, target_stars: NDArray[np.float64]
) -> tuple[Fit | None, str]:
    """Try rough maps, cheapest first; stop at the first kind that convinces."""
    best: Fit | None = None
    best_method = "stars"
    s, t = source_stars[:_SEED_STARS], target_stars[:_SEED_STARS]
    for method, wanted, seeds in _stages(source, s, target, t):
        for seed, back, radius in seeds:
            rough = refine(s, t, seed, back, radius)
            if rough is not None and (best is None or _merit(rough) > _merit(best)):
                best, best_method = rough, method
        if best is not None and best.credible and best.matched >= wanted:
            break
    if best is None or max(len(source_stars), len(target_stars)) <= _SEED_STARS:
        return best, best_method
    # The rough fit is good to a fraction of a pixel: all stars now, within little room.
    full = refine(source_stars[:_ALL_STARS], target_stars[:_ALL_STARS], best.to_source, best.to_target, 3.0)
    return (full if full is not None and full.credible else best), best_method


def _stages(
    source: Frame, s: NDArray[np.float64], target: Frame, t: NDArray[np.float64]
) -> Iterator[tuple[str, float, Iterator[tuple[PixelMap, PixelMap | None, float]]]]:
    """Yield method, matches that convince, and seeds (map, inverse or None, error) to try."""
    tolerance = max(4.0, 0.004 * float(np.hypot(*target.shape)))
    few = min(len(s), len(t))
    if source.wcs is not None and target.wcs is not None:
        there, back = WcsMap(target.wcs, source.wcs), WcsMap(source.wcs, target.wcs)
        yield "wcs", max(6.0, 0.3 * few), _voted(s, t, there, back, tolerance)
    yield "stars", max(6.0, 0.3 * few), _voted(s, t, Affine(), None, tolerance)
    yield "stars", 4.0, ((seed, None, tolerance) for seed in pattern_seeds(s, t))


def _voted(
    s: NDArray[np.float64], t: NDArray[np.float64], base: PixelMap, back: PixelMap | None, tolerance: float
) -> Iterator[tuple[PixelMap, PixelMap | None, float]]:
    for shift in vote_seeds(s, t, base, tolerance):
        if back is None:
            yield shift, None, tolerance
        else:
            yield Chain(base, shift), Chain(shift.inverse(), back), tolerance


def _merit(fit: Fit) -> tuple[bool, float]:
    return fit.credible, fit.matched - 3.0 * fit.chance


def _sky_apart(source: Frame, target: Frame) -> str:
    """Say so where the headers place two frames on different parts of the sky."""
    if source.wcs is None or target.wcs is None:
        return ""
    there = Transform(WcsMap(target.wcs, source.wcs), WcsMap(source.wcs, target.wcs), np.nan, 0, "wcs")
    if overlap(there, source.shape, target.shape) >= _MIN_OVERLAP:
        return ""
    return "their WCS say that they share less than 10 % of the area"
