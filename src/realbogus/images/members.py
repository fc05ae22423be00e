"""Which frames of a night make the reference, and how their fluxes compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .grid import pixel_area
from .match import matched_pairs
from .measure import Measurement

if TYPE_CHECKING:
    from .align import Transform

__all__ = ["choose_members", "dead_edges", "flux_ratio"]

#: What an uncovered share of the union footprint, and a repeated dither, cost next to
#: one e-folding of depth.
_COVER_GAIN, _REPEAT_COST = 6.0, 0.7
#: Frames this many e-foldings worse than the median frame are taken only as a last resort.
_POOR = 1.0


def choose_members(
    measurements: Sequence[Measurement],
    offsets: ArrayLike,
    *,
    count: int = 12,
    transforms: Sequence[Transform] | None = None,
) -> list[int]:
    """Choose the frames that make a sharp, deep, clean and wide reference.

    Cost of a frame: ln(noise / transparency) + 2 ln(FWHM) + 2 (ellipticity above 0.1), the
    noise of a point source with sharpness (on the common grid) counted twice, since the science frame must
    not be the sharper one. Greedy choice: each pick also gains by covering sky that fewer than
    three picks cover, and pays for lying within a few pixels of an earlier pick, because
    hot pixels vanish in the mean only where the dither moves them.

    Parameters
    ----------
    measurements : sequence of Measurement
        One per frame.
    offsets : array-like, shape (N, 2)
        x, y of one fixed pixel of each frame (its centre, say) on a common grid, pixels.
    count : int
        Number of frames wanted.
    transforms : sequence of Transform, optional
        One per frame: target = common grid, source = frame. They bring frames that are turned
        (meridian flip), binned or of another shape to one grid to compare their stars; without
        them the stars are placed by the offsets alone.

    Returns
    -------
    list of int
        Indices, best first; fewer than `count` where the rest would harm. The first is a
        good anchor for zero point and background.

    Raises
    ------
    InputError
        No frames, or offsets or transforms of another length.

    Examples
    --------
    >>> import numpy as np
    >>> from realbogus.images.measure import Measurement
    >>> def night(fwhm):
    ...     stars = np.array([[9.0, 9.0, 500.0], [90.0, 90.0, 400.0]])
    ...     return Measurement(0.0, 1.0, fwhm, 0.05, np.ones((1, 1), np.float32), stars)
    >>> choose_members([night(4.0), night(2.5), night(2.6)], [[0, 0], [0, 0], [20, 0]], count=2)
    [1, 2]
    """
    offsets = np.asarray(offsets, float)
    if not len(measurements) or offsets.shape != (len(measurements), 2) or count < 1:
        raise InputError(
            f"choose_members() got {len(measurements)} measurements, offsets of shape {offsets.shape} and "
            f"count {count}; expected at least one frame, one (x, y) offset each and a count above 0"
        )
    if transforms is not None and len(transforms) != len(measurements):
        raise InputError(
            f"choose_members() got {len(measurements)} measurements and {len(transforms)} transforms; "
            "expected one transform per measurement, or none at all"
        )
    cost = _cost(measurements, offsets, transforms)
    covers = _coverage(measurements, offsets)
    reach = max(3.0, 1.5 * float(np.median([m.fwhm for m in measurements])))
    poor = cost > np.median(cost) + _POOR
    enough = min(5, len(cost))
    chosen: list[int] = []
    while len(chosen) < min(count, len(cost)):
        need = min(3, len(cost))
        thin = covers[chosen].sum(axis=0) < need if chosen else np.ones(covers.shape[1], bool)
        gain = (covers & thin).mean(axis=1)
        repeat = np.zeros(len(cost))
        for k in chosen:
            distance = np.hypot(*(offsets - offsets[k]).T)
            repeat += np.exp(-0.5 * (distance / reach) ** 2)
        total = cost - _COVER_GAIN * gain * bool(chosen) + _REPEAT_COST * np.minimum(repeat, 2.0)
        total[chosen] = np.inf
        total[poor & (gain <= 0.02)] += 10.0
        best = int(np.argmin(total))
        if len(chosen) >= enough and poor[best] and gain[best] <= 0.02:
            break
        chosen.append(best)
    return chosen


def flux_ratio(stars: NDArray[np.float64], reference: NDArray[np.float64], radius: float = 2.0) -> tuple[float, int]:
    """Return the flux ratio `stars` / `reference` of matched stars.

    Parameters
    ----------
    stars, reference : ndarray, shape (N, 3), (M, 3)
        x, y, flux on one grid, brightest first.
    radius : float
        Matching distance, pixels.

    Returns
    -------
    ratio : float
        Clipped median over the brightest half of the matched stars (at least 10), NaN without any.
    count : int
        Number of stars behind it.

    Examples
    --------
    >>> import numpy as np
    >>> field = np.array([[5.0, 5.0, 90.0], [40.0, 8.0, 60.0], [9.0, 30.0, 50.0]])
    >>> flux_ratio(field * [1, 1, 0.5], field)
    (0.5, 3)
    """
    i, j = matched_pairs(stars, reference, radius)
    ok = (stars[i, 2] > 0) & (reference[j, 2] > 0)
    i, j = i[ok], j[ok]
    if not len(i):
        return float("nan"), 0
    # The very brightest may be saturated, the faint are noisy: the median bears the former.
    bright = np.argsort(-reference[j, 2], kind="stable")[: max(10, len(j) // 2)]
    ratio = np.log(stars[i[bright], 2] / reference[j[bright], 2])
    for _ in range(3):
        middle = np.median(ratio)
        ratio = ratio[np.abs(ratio - middle) <= 3 * 1.4826 * np.median(np.abs(ratio - middle)) + 1e-6]
    return float(np.exp(np.median(ratio))), len(ratio)


def dead_edges(flat: NDArray[np.float32], noise: float) -> NDArray[np.bool_]:
    """Find rows and columns along the border that lie off the sky as a whole.

    Shaded or overscan lines are too narrow for the background mesh to follow. Lines count
    from the border inwards while their median misses zero by more than one sigma of a
    pixel, up to a twentieth of the frame.

    Parameters
    ----------
    flat : ndarray of float32, shape (H, W)
        Sky-subtracted pixels.
    noise : float
        Sigma of one pixel, in the same units.

    Returns
    -------
    ndarray of bool, shape (H, W)
        True on such lines and on the one next to them.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.zeros((60, 60), np.float32)
    >>> flat[:2] = -9
    >>> np.flatnonzero(dead_edges(flat, 1.0).all(axis=1))
    array([0, 1, 2])
    """
    dead = np.zeros(flat.shape, bool)
    for view, mark in (
        (flat, dead),
        (flat[::-1], dead[::-1]),
        (flat.T, dead.T),
        (flat.T[::-1], dead.T[::-1]),
    ):
        # A fault that does not end within the limit is a bad background: left to the clipping.
        lines = np.abs(np.median(view[: len(view) // 20 + 1], axis=1)) > noise
        count = len(lines) if lines.all() else int(np.argmin(lines))
        if 0 < count < len(lines):
            mark[: count + 1] = True
    return dead


def _cost(
    measurements: Sequence[Measurement], offsets: NDArray[np.float64], transforms: Sequence[Transform] | None
) -> NDArray[np.float64]:
    """Log noise of a point source and log FWHM on the common grid, lower is better."""
    first = int(np.argmax([len(m.stars) for m in measurements]))
    if transforms is None:  # a rotation of half a degree moves the edges by a few pixels
        radius, placed = 5.0, [m.stars + np.append(o, 0.0) for m, o in zip(measurements, offsets, strict=True)]
    else:
        radius, placed = 2.0, [_on_grid(m.stars, t) for m, t in zip(measurements, transforms, strict=True)]
    base = placed[first]
    ranked = float(np.median(base[:30, 2])) if len(base) else 1.0
    cost = []
    for k, (m, stars) in enumerate(zip(measurements, placed, strict=True)):
        ratio, matched = flux_ratio(stars[:200], base[:200], radius=radius)
        if matched < 5:  # hardly any sky in common: compare the brightest thirty by rank
            ratio = float(np.median(m.stars[:30, 2])) / ranked if len(m.stars) else 1e-3
        transparency = max(ratio, 1e-3)
        fwhm = max(m.fwhm, 0.5)
        depth = np.log(max(m.noise, 1e-12) * fwhm / transparency)  # the same in pixels of any size
        if transforms is not None and len(stars):
            x, y = np.median(stars[:, :2], axis=0)
            fwhm /= np.sqrt(pixel_area(transforms[k], (int(2 * y) + 1, int(2 * x) + 1)))
        cost.append(depth + np.log(fwhm) + 2.0 * max(m.ellipticity - 0.1, 0.0))
    return np.asarray(cost)


def _on_grid(stars: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    return np.column_stack([*transform.to_target(stars[:, 0], stars[:, 1]), stars[:, 2]])


def _coverage(measurements: Sequence[Measurement], offsets: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of about 400 points of the union footprint each frame covers, shape (N, points).

    Frames are taken to be as large as the box that all stars of all frames span.
    """
    spans = [m.stars[:, :2].max(axis=0) for m in measurements if len(m.stars)]
    size = np.maximum(np.max(spans, axis=0) if spans else np.ones(2), 1.0)
    low, high = offsets.min(axis=0), offsets.max(axis=0) + size
    x, y = np.meshgrid(*(np.linspace(a, b, 20) for a, b in zip(low, high, strict=True)))
    points = np.column_stack([x.ravel(), y.ravel()])
    inside = [((points >= o - 1e-9) & (points <= o + size + 1e-9)).all(axis=1) for o in offsets]
    covered = np.array(inside)
    return covered[:, covered.any(axis=0)]
