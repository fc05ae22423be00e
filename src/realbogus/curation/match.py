"""Which known object lies at a detection: on the sky or in pixels, and at its time where it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..columns import numbers
from ..errors import InputError

__all__ = ["Places", "nearest", "places_of"]

_ARCSEC = np.pi / 180 / 3600


@dataclass(frozen=True)
class Places:
    """Where things are, in a space where distances are plain.

    Parameters
    ----------
    points : ndarray of float, shape (N, D)
        Unit vectors (D = 3) on the sky, x and y (D = 2) in pixels; NaN where a place is not known.
    sky : bool
        Which of the two.
    """

    points: NDArray[np.float64]
    sky: bool

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a place, shape (N,)."""
        return np.asarray(np.isfinite(self.points).all(axis=1))

    def reach(self, radius: float) -> float:
        """Return a radius (arcsec, or pixels) as a distance between points."""
        return float(2 * np.sin(radius * _ARCSEC / 2)) if self.sky else radius

    def radius(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return distances between points in arcsec, or pixels."""
        if not self.sky:
            return distance
        return np.asarray(2 * np.arcsin(np.clip(distance / 2, 0, 1)) / _ARCSEC)


def places_of(table: Table, *, sky: bool) -> Places:
    """Return where the rows of a catalogue are.

    In pixels the common frame `ref_x`, `ref_y` of a night is taken where it is there, else `x`, `y`.

    Examples
    --------
    >>> places_of(Table({"ra": [0.0], "dec": [90.0]}), sky=True).points.round(3).tolist()
    [[0.0, 0.0, 1.0]]
    """
    if sky:
        ra, dec = (np.radians(numbers(table, name)) for name in ("ra", "dec"))
        return Places(np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]), True)
    names = ("ref_x", "ref_y") if {"ref_x", "ref_y"} <= set(table.colnames) else ("x", "y")
    return Places(np.column_stack([numbers(table, name) for name in names]), False)


def nearest(
    here: Places,
    known: Places,
    radius: float,
    *,
    mjd: NDArray[np.float64] | None = None,
    known_mjd: NDArray[np.float64] | None = None,
    within_days: float = 0.0,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the nearest known object within a radius of every detection.

    Parameters
    ----------
    here, known : Places
        N detections and M objects, in one kind of coordinates.
    radius : float
        Arcsec on the sky, else pixels.
    mjd, known_mjd : ndarray of float, shape (N,) and (M,), optional
        Times of both; with them an object counts only where it is predicted within `within_days` of the detection.
    within_days : float
        That tolerance, days.

    Returns
    -------
    row : ndarray of int, shape (N,)
        Row of `known`, -1 where none is near.
    distance : ndarray of float, shape (N,)
        Arcsec or pixels, infinite where none is near.

    Raises
    ------
    InputError
        One side has sky positions and the other pixels.

    Examples
    --------
    >>> here = places_of(Table({"ra": [10.0, 10.0], "dec": [0.0, 1.0]}), sky=True)
    >>> there = places_of(Table({"ra": [10.0], "dec": [0.0005]}), sky=True)
    >>> row, distance = nearest(here, there, 3.0)
    >>> row.tolist(), distance.round(3).tolist()
    ([0, -1], [1.8, inf])
    """
    if here.sky != known.sky:
        raise InputError("positions on the sky cannot be matched with pixels: give both in one kind")
    row = np.full(len(here.points), -1, dtype=np.int64)
    distance = np.full(len(here.points), np.inf)
    ours, theirs = np.flatnonzero(here.known), np.flatnonzero(known.known)
    if not len(ours) or not len(theirs):
        return row, distance
    tree = cKDTree(known.points[theirs])
    if mjd is None or known_mjd is None:
        found, which = tree.query(here.points[ours], distance_upper_bound=here.reach(radius) * (1 + 1e-9))
        near = np.isfinite(found)
        row[ours[near]], distance[ours[near]] = theirs[which[near]], here.radius(found[near])
        return row, distance
    for one, close in zip(ours, tree.query_ball_point(here.points[ours], here.reach(radius)), strict=True):
        candidates = theirs[close]
        candidates = candidates[np.abs(known_mjd[candidates] - mjd[one]) <= within_days]
        if len(candidates):
            far = np.linalg.norm(known.points[candidates] - here.points[one], axis=1)
            row[one] = candidates[far.argmin()]
            distance[one] = here.radius(far.min(keepdims=True))[0]
    return row, distance
