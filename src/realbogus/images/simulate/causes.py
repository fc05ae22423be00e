"""Why something was detected that is no variable: read from the simulation's truth."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..detect import DIPOLE, SATURATED_NEAR
from .survey import PAD, Field, Observation

__all__ = ["KINDS", "causes"]

#: What a bogus can be, in the order in which the causes are asked.
KINDS = ("trail", "cosmic", "hot", "saturated", "dipole", "star", "galaxy", "halo", "noise")

_CELL = 12.0  # px: what has no cause of its own is one source within such a square of sky


def causes(field: Field, seen: Observation, found: Table, fwhm: float) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Name the cause of each detection and the source that it belongs to.

    Parameters
    ----------
    field, seen : Field, Observation
        Where and when.
    found : Table
        Detections: `x`, `y`, `flags`.
    fwhm : float
        PSF size of the difference, pixels.

    Returns
    -------
    kind : ndarray of str, shape (N,)
        One of `KINDS`.
    source : ndarray of str, shape (N,)
        The star, the hot pixel, the galaxy, or a cell of the sky: the same thing in another epoch has the
        same name, within the field.
    """
    count = len(found)
    kind, source = np.full(count, "noise", dtype="U9"), np.full(count, "", dtype="U16")
    if not count:
        return kind, source
    world, shot, epoch = field.world, seen.shot, seen.epoch
    at = np.column_stack([found["x"], found["y"]]).astype(float) + PAD  # detector pixels
    flags = np.asarray(found["flags"])
    x, y = _to_scene(seen, at)
    source[:] = [f"c{int(a // _CELL)}.{int(b // _CELL)}" for a, b in zip(x, y, strict=True)]

    halo = world.halo
    stars = np.column_stack([shot.x, shot.y])
    if halo is not None:
        star = _brightest(stars, shot.flux, at, 60.0, 0.5 * halo.above)
        kind[star >= 0] = "halo"
    galaxies = world.scene.galaxies
    if len(galaxies.x):
        places = np.column_stack(epoch.pointing.to_detector(galaxies.x, galaxies.y))
        host = _brightest(places, galaxies.flux, at, max(3.0, fwhm), 10 * shot.noise * fwhm)
        kind[host >= 0] = "galaxy"
        source[host >= 0] = [f"g{k}" for k in host[host >= 0]]
    star = _brightest(stars, shot.flux, at, max(3.0, 1.2 * fwhm), 20 * shot.noise * fwhm)
    kind[star >= 0] = np.where(flags[star >= 0] & DIPOLE, "dipole", "star")
    source[star >= 0] = [f"s{k}" for k in star[star >= 0]]
    full = world.detector.well * 8
    near = _brightest(stars, shot.flux, at, 12.0, full)
    clipped = (near >= 0) | ((flags & SATURATED_NEAR) != 0)
    kind[clipped] = "saturated"
    source[near >= 0] = [f"s{k}" for k in near[near >= 0]]
    hot = _nearest(_bad_pixels(field, shot.noise), field.world.shape[1], at, 1.5)
    kind[hot >= 0] = "hot"
    source[hot >= 0] = [f"p{k}" for k in hot[hot >= 0]]
    kind[_nearest(shot.struck, field.world.shape[1], at, 2.3) >= 0] = "cosmic"
    for trail in epoch.trails:
        c, s = np.cos(trail[2]), np.sin(trail[2])
        on = np.abs((at[:, 0] - trail[0]) * s - (at[:, 1] - trail[1]) * c) < 3 * trail[4] + 1
        kind[on], source[on] = "trail", f"t{trail[0] * 1e4:.0f}"  # drawn at random: no two have the same
    return kind, source


def _to_scene(seen: Observation, at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    m = np.linalg.inv(seen.epoch.pointing.matrix())
    x, y = (m[i, 0] * at[:, 0] + m[i, 1] * at[:, 1] + m[i, 2] for i in (0, 1))
    return x, y


def _bad_pixels(field: Field, noise: float) -> NDArray[np.int64]:
    """Return the pixels whose charge or noise stands out of the sky."""
    camera = field.world.detector
    hot, noisy, dead = camera.hot, camera.noisy, camera.dead
    return np.concatenate([hot[0][np.abs(hot[1]) > 2 * noise], noisy[0][noisy[1] > 0.8 * noise], dead[0]])


def _nearest(index: NDArray[np.int64], width: int, at: NDArray[np.float64], reach: float) -> NDArray[np.int64]:
    """Return the flat index of the nearest listed pixel within `reach` of each position, else -1."""
    if not len(index):
        return np.full(len(at), -1, dtype=np.int64)
    far, which = cKDTree(np.column_stack([index % width, index // width])).query(at, distance_upper_bound=reach)
    return np.where(np.isfinite(far), index[np.minimum(which, len(index) - 1)], -1)


def _brightest(
    places: NDArray[np.float64], flux: NDArray[np.float64], at: NDArray[np.float64], reach: float, least: float
) -> NDArray[np.int64]:
    """Return the brightest source above `least` within `reach` of each position, else -1."""
    able = np.flatnonzero(flux > least)
    best = np.full(len(at), -1, dtype=np.int64)
    if len(able):
        for k, near in enumerate(cKDTree(places[able]).query_ball_point(at, reach)):
            if near:
                chosen = able[near]
                best[k] = chosen[np.argmax(flux[chosen])]
    return best
