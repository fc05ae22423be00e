"""Where north lies in a stamp: by columns, or by the positions of all detections of a frame."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import numbers, texts

__all__ = ["orientations"]

#: Positions of a frame must lie this near to one linear map, in pixels, for it to be believed.
_RESIDUAL_PX = 3.0
_MATRIX = ("cd1_1", "cd1_2", "cd2_1", "cd2_2")


def orientations(catalogue: Table) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return where north lies in each stamp.

    The first that is there counts: the columns `cd1_1 cd1_2 cd2_1 cd2_2` (of the frame's WCS, degrees a
    pixel), the columns `north_deg` and, if the image is mirrored, `parity`, or else a linear map from pixels
    to the sky fitted to `x y ra dec` of all detections of one `frame` (three at least, not on a line).

    Parameters
    ----------
    catalogue : Table, N rows
        Of the stamps.

    Returns
    -------
    north_deg : ndarray of float, shape (N,)
        Angle of north, counterclockwise from up (+y), in degrees; NaN where it is not known.
    parity : ndarray of int8, shape (N,)
        1 where east lies to the left of north, as in the sky; -1 where the image is mirrored.

    Examples
    --------
    >>> upside_down = Table({"cd1_1": [1e-4], "cd1_2": [0.0], "cd2_1": [0.0], "cd2_2": [-1e-4]})
    >>> north, parity = orientations(upside_down)
    >>> abs(float(north[0])), int(parity[0])
    (180.0, 1)
    """
    matrices = np.full((len(catalogue), 2, 2), np.nan)
    if set(_MATRIX) <= set(catalogue.colnames):
        matrices = np.stack([numbers(catalogue, name) for name in _MATRIX], axis=1).reshape(-1, 2, 2)
    unknown = ~np.isfinite(matrices).all(axis=(1, 2))
    given = numbers(catalogue, "north_deg")
    if (unknown & ~np.isfinite(given)).any() and {"x", "y", "ra", "dec"} <= set(catalogue.colnames):
        matrices = np.where(unknown[:, None, None], _fitted(catalogue), matrices)
    north, parity = _read(matrices)
    said = np.isfinite(given) & unknown
    mirrored = said & (numbers(catalogue, "parity") < 0)
    return np.where(said, given, north), np.where(said, np.where(mirrored, -1, 1), parity).astype(np.int8)


def _read(matrices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return angle of north and parity of linear maps from pixels (x, y) to the sky (east, north), (N, 2, 2)."""
    east_x, east_y, north_x, north_y = matrices.reshape(-1, 4).T
    area = east_x * north_y - east_y * north_x
    # the step in pixels that leads north is the second column of the inverse
    step_x, step_y = -east_y * np.sign(area), east_x * np.sign(area)
    angle = np.degrees(np.arctan2(-step_x, step_y))
    known = np.isfinite(area) & (area != 0)
    return np.where(known, angle, np.nan), np.where(known & (area > 0), -1, 1).astype(np.int8)


def _fitted(catalogue: Table) -> NDArray[np.float64]:
    """Fit one map to each frame, (N, 2, 2), NaN where there is too little to fit."""
    places = np.stack([numbers(catalogue, name) for name in ("x", "y", "ra", "dec")], axis=1)
    known = np.asarray(np.isfinite(places).all(axis=1))
    maps = np.full((len(catalogue), 2, 2), np.nan)
    _, frame = np.unique(texts(catalogue, "frame"), return_inverse=True)
    order = np.argsort(frame, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(frame[order])) + 1):
        some = rows[known[rows]]
        if len(some) >= 3:
            maps[rows] = _fit(places[some])
    return maps


def _fit(places: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, ra, dec = places.T
    pixels = np.stack([x - x.mean(), y - y.mean(), np.ones(len(x))], axis=1)
    away = (ra - ra[0] + 180.0) % 360.0 - 180.0  # a frame may lie across the zero of right ascension
    sky = np.stack([away * np.cos(np.radians(dec.mean())), dec - dec.mean()], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(pixels, sky, rcond=1e-6)
    matrix = solution[:2].T
    scale = np.sqrt(abs(np.linalg.det(matrix)))
    worst = np.sqrt(((pixels @ solution - sky) ** 2).sum(axis=1)).max()
    good = rank == 3 and scale > 0 and worst < _RESIDUAL_PX * scale
    return matrix if good else np.full((2, 2), np.nan)
