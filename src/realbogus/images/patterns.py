"""Rough maps between star lists from triangles: any rotation, scale and mirror.

Triangles of neighbouring bright stars are compared by their side ratios (Groth 1986,
AJ 91, 1244; astroalign, Beroiz, Cabral & Sanchez 2020, A&C 32, 100384). Every pair of
similar triangles proposes one similarity; proposals that agree vote for each other.
astroalign itself is not called: it shuffles without a seed, knows no mirrored fields, and
takes half a minute (60 stars) to find that two lists have nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .maps import Affine

__all__ = ["pattern_seeds"]

_Stars = NDArray[np.float64]
_Complex = NDArray[np.complex128]

_BRIGHT, _NEIGHBOURS = 60, 6
#: Side ratios agree within this; 0.2 px on sides of 20 px.
_RATIO = 0.01
#: The most proposals that are weighed.
_MOST = 20000


def pattern_seeds(source: _Stars, target: _Stars, *, peaks: int = 3) -> Iterator[Affine]:
    """Yield similarity maps from target to source, the most voted first.

    Parameters
    ----------
    source, target : ndarray, shape (N, 3), (M, 3)
        x, y, flux, brightest first.
    peaks : int
        Number of maps to yield, for plain and for mirrored fields each.

    Examples
    --------
    >>> import numpy as np
    >>> here = np.array([[0.0, 0, 9], [40, 3, 8], [10, 60, 7], [55, 70, 6], [90, 20, 5]])
    >>> there = here[:, [1, 0, 2]] + [5, 0, 0]  # mirrored: x and y exchanged, then moved
    >>> best = next(pattern_seeds(there, here))
    >>> [round(float(v), 6) + 0.0 for v in best(10.0, 60.0)]
    [65.0, 10.0]
    """
    s, s_shape, s_hand = _triangles(source)
    t, t_shape, t_hand = _triangles(target)
    if not len(s) or not len(t):
        return
    pairs = cKDTree(t_shape).query_ball_tree(cKDTree(s_shape), _RATIO)
    i = np.repeat(np.arange(len(pairs)), [len(p) for p in pairs])
    j = np.fromiter((k for p in pairs for k in p), np.intp, len(i))
    if len(i) > _MOST:  # the closest shapes first
        close = np.argsort(np.abs(t_shape[i] - s_shape[j]).sum(axis=1), kind="stable")[:_MOST]
        i, j = i[close], j[close]
    found: list[tuple[int, Affine]] = []
    for mirrored in (False, True):
        mine = (t_hand[i] != s_hand[j]) == mirrored
        start = np.conj(t[i[mine]]) if mirrored else t[i[mine]]
        found += _voted(s[j[mine]], start, target, mirrored, peaks)
    found.sort(key=lambda entry: -entry[0])
    yield from (seed for _, seed in found)


def _triangles(stars: _Stars) -> tuple[_Complex, NDArray[np.float64], NDArray[np.bool_]]:
    """Corners (K, 3) opposite to falling sides, side ratios (K, 2) and handedness (K,)."""
    bright = stars[:_BRIGHT, :2]
    empty = np.empty((0, 3), complex), np.empty((0, 2)), np.empty(0, bool)
    if len(bright) < 3:
        return empty
    near = cKDTree(bright).query(bright, k=min(_NEIGHBOURS + 1, len(bright)))[1]
    groups = [tuple(sorted((int(row[0]), int(a), int(b)))) for row in near for a, b in combinations(row[1:], 2)]
    groups += list(combinations(range(min(12, len(bright))), 3))
    index = np.array(sorted({g for g in groups if len(set(g)) == 3}))
    corner = (bright[:, 0] + 1j * bright[:, 1])[index]
    side = np.abs(np.roll(corner, -1, axis=1) - np.roll(corner, -2, axis=1))  # opposite to each corner
    order = np.argsort(-side, axis=1, kind="stable")
    corner = np.take_along_axis(corner, order, axis=1)
    side = np.take_along_axis(side, order, axis=1)
    # Slivers and tiny triangles say nothing about angles; near-isosceles ones may be misordered.
    turn = np.imag(np.conj(corner[:, 1] - corner[:, 0]) * (corner[:, 2] - corner[:, 0]))
    useful = (side[:, 2] > 5) & (np.abs(turn) > 0.05 * side[:, 0] ** 2)
    return corner[useful], (side[:, 1:] / side[:, :1])[useful], (turn > 0)[useful]


def _voted(end: _Complex, start: _Complex, target: _Stars, mirrored: bool, peaks: int) -> list[tuple[int, Affine]]:
    """Similarities end = a start + b on which most pairs of triangles agree, with their votes."""
    if not len(end):
        return []
    from_middle = start - start.mean(axis=1, keepdims=True)
    a = (np.conj(from_middle) * end).sum(axis=1) / (np.abs(from_middle) ** 2).sum(axis=1)
    b = end.mean(axis=1) - a * start.mean(axis=1)
    low, high = target[:, :2].min(axis=0), target[:, :2].max(axis=0)
    ends = np.array([low[0] + 1j * low[1], high[0] + 1j * high[1]])
    ends = np.conj(ends) if mirrored else ends
    there = a[:, None] * ends + b[:, None]
    place = np.column_stack([there.real, there.imag])
    reach = max(4.0, 0.01 * float(abs(ends[1] - ends[0])))
    seeds = []
    for _ in range(peaks):
        if not len(place):
            break
        tree = cKDTree(place)
        votes = tree.query_ball_point(place, reach, return_length=True)
        near = tree.query_ball_point(place[int(np.argmax(votes))], reach)
        k, m = (complex(np.median(v[near].real), np.median(v[near].imag)) for v in (a, b))
        flip = -1.0 if mirrored else 1.0
        seed = Affine((k.real, -flip * k.imag, m.real, k.imag, flip * k.real, m.imag))
        seeds.append((len(near), seed))
        place, a, b = (np.delete(v, near, axis=0) for v in (place, a, b))
    return seeds
