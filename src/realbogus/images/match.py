"""Star lists: which star here is which star there, and the smooth map between them.

Nothing here knows of frames. Lists are arrays (N, 3) of x, y, flux, brightest first.
Seeds (rough maps) come from a vote of position differences, which finds a drift however
large, or from `patterns`, which find any rotation, scale and mirror; `refine` turns a seed
into the final map with all stars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import gammainc

from ..errors import InputError
from .maps import Affine, Chain, PixelMap, Quadratic

__all__ = ["Fit", "matched_pairs", "refine", "vote_seeds"]

_Stars = NDArray[np.float64]

#: rms distance of a round 2-D Gaussian over its median distance, sqrt(2) / sqrt(2 ln 2).
_RMS_OF_MEDIAN = 1.0 / np.sqrt(np.log(2.0))
#: Matched stars must agree in brightness with the others to this factor.
_FLUX_FACTOR = 2.5


@dataclass(frozen=True)
class Fit:
    """A map from target to source positions and how well it holds.

    Parameters
    ----------
    to_source, to_target : callable
        The map and its inverse.
    residual_px : float
        Robust rms distance of matched stars, source pixels, corrected for fitted parameters.
    matched : int
        Number of matched stars.
    chance : float
        Number of matches that unrelated star lists would give at one random place.
    trials : int
        Number of places that the best was picked from: pairs of stars.
    """

    to_source: PixelMap
    to_target: PixelMap
    residual_px: float
    matched: int
    chance: float
    trials: int

    @property
    def credible(self) -> bool:
        """Unrelated lists would match as well in less than one of a hundred attempts.

        trials x P(Poisson(chance) >= matched - 2) < 0.01, and four matches or more: two stars
        fit any similarity.
        """
        if self.matched < 4:
            return False
        return bool(self.trials * gammainc(self.matched - 2, max(self.chance, 1e-12)) < 0.01)


def matched_pairs(
    source: NDArray[np.float64], target: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices of mutually nearest stars within `radius`.

    Parameters
    ----------
    source, target : ndarray, shape (N, >=2), (M, >=2)
        Positions on one grid; rows that are not finite match nothing.
    radius : float
        Largest distance, pixels.

    Returns
    -------
    tuple of two ndarrays of int, shape (K,)
        Rows of `source` and of `target`.

    Examples
    --------
    >>> import numpy as np
    >>> matched_pairs(np.array([[0.0, 0], [9, 9]]), np.array([[9.0, 8.5], [50, 50]]), 1.0)
    (array([1]), array([0]))
    """
    s_ok = np.flatnonzero(np.isfinite(source[:, :2]).all(axis=1))
    t_ok = np.flatnonzero(np.isfinite(target[:, :2]).all(axis=1))
    none = np.empty(0, np.intp)
    if not len(s_ok) or not len(t_ok):
        return none, none
    s_tree, t_tree = cKDTree(source[s_ok, :2]), cKDTree(target[t_ok, :2])
    distance, there = t_tree.query(source[s_ok, :2], distance_upper_bound=radius)
    back = s_tree.query(target[t_ok, :2])[1]
    hit = np.flatnonzero(np.isfinite(distance))
    hit = hit[back[there[hit]] == hit]
    return s_ok[hit], t_ok[there[hit]]


def vote_seeds(source: _Stars, target: _Stars, base: PixelMap, tolerance: float, *, peaks: int = 3) -> Iterator[Affine]:
    """Yield the shifts after `base` that most pairs of bright stars agree on.

    Parameters
    ----------
    source, target : ndarray, shape (N, 3), (M, 3)
        Star lists.
    base : callable
        Rough map from target to source; the identity or the WCS.
    tolerance : float
        Pixels within which pairs agree: rotation smears the shifts of a field.
    peaks : int
        Number of shifts to try.
    """
    x, y = base(target[:150, 0], target[:150, 1])
    shift = (source[:150, None, :2] - np.stack([x, y], axis=-1)[None]).reshape(-1, 2)
    shift = shift[np.isfinite(shift).all(axis=1)]
    for _ in range(peaks):
        if len(shift) < 3:
            return
        tree = cKDTree(shift)
        votes = tree.query_ball_point(shift, tolerance, return_length=True)
        near = tree.query_ball_point(shift[int(np.argmax(votes))], tolerance)
        if len(near) < 3:
            return
        dx, dy = np.median(shift[near], axis=0)
        yield Affine.shift(float(dx), float(dy))
        shift = np.delete(shift, near, axis=0)


def refine(source: _Stars, target: _Stars, seed: PixelMap, seed_inverse: PixelMap | None, radius: float) -> Fit | None:
    """Improve a rough map with all stars; None where fewer than four of them match.

    A similarity, then (8 stars or more) an affine correction is fitted in source pixels while
    the matching radius shrinks; quadratic terms are added where 40 or more stars say, by
    cross-validation, that they lower the residual by 3 % or more.

    Parameters
    ----------
    source, target : ndarray, shape (N, 3), (M, 3)
        Star lists.
    seed : callable
        Rough map from target to source.
    seed_inverse : callable or None
        Its inverse; None where `seed` is affine, so that the inverse follows.
    radius : float
        Error expected of the seed, source pixels.
    """
    base = np.column_stack(seed(target[:, 0], target[:, 1]))
    correction = Affine()
    spread = radius
    pair: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    for step in range(12):
        at = np.column_stack(correction(base[:, 0], base[:, 1]))
        i, j = matched_pairs(source, at, spread)
        i, j = _same_brightness(source, target, i, j)
        if len(i) < 4:
            return None
        correction = _fit_linear(base[j], source[i, :2], affine=len(i) >= 8 and step > 0)
        distance = _distance(correction, base[j], source[i, :2])
        narrow = float(np.clip(4.0 * np.median(distance), 0.6, max(0.6 * spread, 1.5)))
        if pair is not None and len(i) == len(pair[0]) and np.array_equal(i, pair[0]) and narrow >= 0.95 * spread:
            break
        pair, spread = (i, j), min(spread, narrow)
    final: Affine | Quadratic = correction
    parameters = 6 if len(i) >= 8 else 4
    if len(i) >= 40:
        quadratic = _fit_quadratic(base[j], source[i, :2])
        straight, curved = _cross_validated(base[j], source[i, :2])
        if curved < 0.97 * straight:
            final, parameters = quadratic, 12
    distance = _distance(final, base[j], source[i, :2])
    freedom = 2 * len(i) / max(2 * len(i) - parameters, 1)
    residual = float(_RMS_OF_MEDIAN * np.median(distance) * np.sqrt(freedom))
    inside = _inside(base, source)
    area = max(np.prod(np.ptp(source[:, :2], axis=0)), 1.0)
    chance = float(inside * min(1.0, np.pi * spread**2 * len(source) / area))
    to_source, to_target = _compose(seed, seed_inverse, final)
    return Fit(to_source, to_target, residual, len(i), chance, len(source) * len(target))


def _compose(seed: PixelMap, seed_inverse: PixelMap | None, final: Affine | Quadratic) -> tuple[PixelMap, PixelMap]:
    """Return seed then correction, and the way back; two affine maps become one."""
    if isinstance(seed, Affine) and isinstance(final, Affine):
        whole = Affine.from_matrix(final.matrix @ seed.matrix)
        return whole, whole.inverse()
    back = seed.inverse() if isinstance(seed, Affine) else seed_inverse
    if back is None:
        raise InputError("refine() got a seed that is not affine and no seed_inverse; hand both in")
    return Chain(seed, final), Chain(final.inverse(), back)


def _same_brightness(
    source: _Stars, target: _Stars, i: NDArray[np.intp], j: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Drop pairs whose flux ratio is far from that of the others: chance neighbours."""
    if len(i) < 4:
        return i, j
    ratio = np.log(np.maximum(source[i, 2], 1e-9) / np.maximum(target[j, 2], 1e-9))
    keep = np.abs(ratio - np.median(ratio)) < np.log(_FLUX_FACTOR)
    return i[keep], j[keep]


def _inside(points: NDArray[np.float64], source: _Stars) -> int:
    """Count points within the box that the source stars span."""
    low, high = source[:, :2].min(axis=0), source[:, :2].max(axis=0)
    return int((np.isfinite(points) & (points >= low) & (points <= high)).all(axis=1).sum())


def _distance(fit: PixelMap, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = fit(start[:, 0], start[:, 1])
    return np.hypot(x - end[:, 0], y - end[:, 1])


def _clipped(design: NDArray[np.float64], value: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    """Least squares, three rounds of clipping at 3 robust rms; `axes` rows of `design` per star."""
    keep = np.ones(len(design) // axes, bool)
    solution = np.linalg.lstsq(design, value, rcond=None)[0]
    for _ in range(3):
        miss = (value - design @ solution).reshape(len(keep), -1)
        distance = np.hypot(miss[:, 0], miss[:, 1])
        wanted = distance <= 3.0 * _RMS_OF_MEDIAN * np.median(distance[keep]) + 1e-9
        if wanted.sum() * axes < 2 * design.shape[1] or np.array_equal(wanted, keep):
            break
        keep = wanted
        rows = np.repeat(keep, axes)
        solution = np.linalg.lstsq(design[rows], value[rows], rcond=None)[0]
    return np.asarray(solution, float)


def _fit_linear(start: NDArray[np.float64], end: NDArray[np.float64], *, affine: bool) -> Affine:
    """Affine map, or (few stars) a similarity, from `start` to `end`."""
    middle = start.mean(axis=0)
    u, v = (start - middle).T
    one, zero = np.ones_like(u), np.zeros_like(u)
    if affine:
        (c, f), (a, d), (b, e) = _clipped(np.column_stack([one, u, v]), end, 1)
    else:
        rows = np.stack([np.column_stack([u, -v, one, zero]), np.column_stack([v, u, zero, one])], axis=1)
        a, d, c, f = _clipped(rows.reshape(-1, 4), end.ravel(), 2)
        b, e = -d, a
    origin = np.array([c, f]) - np.array([[a, b], [d, e]]) @ middle
    return Affine((float(a), float(b), float(origin[0]), float(d), float(e), float(origin[1])))


def _fit_quadratic(start: NDArray[np.float64], end: NDArray[np.float64]) -> Quadratic:
    middle = start.mean(axis=0)
    scale = float(max(np.abs(start - middle).max(), 1.0))
    u, v = ((start - middle) / scale).T
    terms = _clipped(np.column_stack([np.ones_like(u), u, v, u * u, u * v, v * v]), end, 1)
    x_terms, y_terms = (tuple(float(k) for k in column) for column in terms.T)
    return Quadratic((float(middle[0]), float(middle[1])), scale, x_terms, y_terms)


def _cross_validated(start: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[float, float]:
    """Median distance of stars left out of an affine and of a quadratic fit, five folds."""
    fold = np.arange(len(start)) % 5
    straight, curved = [], []
    for k in range(5):
        left, used = fold == k, fold != k
        straight.append(_distance(_fit_linear(start[used], end[used], affine=True), start[left], end[left]))
        curved.append(_distance(_fit_quadratic(start[used], end[used]), start[left], end[left]))
    return float(np.median(np.concatenate(straight))), float(np.median(np.concatenate(curved)))
