"""Known variables and transients of one field, as a survey follows them from epoch to epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .world import World

__all__ = ["Variables", "draw_variables"]

_Row = tuple[float, float, int, float, str]  # x, y, star, amplitude, kind

_TRANSIENT = 0.25  # share of the known sources that the reference does not hold
_SNR = (14.0, 160.0)  # of the full amplitude, in a frame of `unit` e- a sigma; log-uniform
_SHARE = (0.12, 0.7)  # amplitude as a share of the star's own light: what surveys confirm as variable
_BORDER = 72.0  # px: under every dither the whole stamp is on the frame that is kept
_PEAK = 0.09  # share of a star's light in its brightest pixel
_ROOM = 45.0  # px from stars whose halo or saturation would spoil the stamp


@dataclass(frozen=True)
class Variables:
    """Sources whose light changes; positions in scene pixels.

    Parameters
    ----------
    x, y : ndarray, shape (V,)
        Where they are.
    star : ndarray of int, shape (V,)
        Star of the scene that varies, -1 for a transient.
    amplitude : ndarray, shape (V,)
        Largest change from what the reference holds, e- through a clear sky.
    kind : ndarray of str, shape (V,)
        "variable" or "transient".
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    star: NDArray[np.int64]
    amplitude: NDArray[np.float64]
    kind: NDArray[np.str_]

    def change(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw the change of one epoch, shape (V,), e- through a clear sky.

        Variables swing about their mean; transients are seen somewhere on their way down.
        """
        count = len(self.x)
        swing, fade = np.cos(2 * np.pi * rng.random(count)), np.exp(-1.2 * rng.random(count))
        return self.amplitude * np.where(self.star >= 0, swing, fade)


def draw_variables(world: World, unit: float, count: int, rng: np.random.Generator) -> Variables:
    """Draw `count` sources at places where a survey can follow them.

    A variable is a star without a bright neighbour and far from saturation that changes by 12 to
    70 % of its own light: confirmed variables do, while the residual of a quiet star is some per cent of it.

    Parameters
    ----------
    world : World
        Field and telescope.
    unit : float
        Flux of S/N 1 in a middling frame, e-.
    count : int
        Number of sources.
    rng : numpy.random.Generator
        The only randomness.
    """
    scene, (height, width) = world.scene, world.shape
    loud = scene.flux > 0.5 * world.detector.well / _PEAK
    fit = ~loud & (scene.x > _BORDER) & (scene.y > _BORDER)
    fit &= (scene.x < width - _BORDER) & (scene.y < height - _BORDER)
    spoilers = np.column_stack([scene.x, scene.y])[loud]
    rows: list[_Row] = []
    for _ in range(count):
        amplitude = float(unit * np.exp(rng.uniform(*np.log(_SNR))))
        own = fit & (scene.flux > amplitude / _SHARE[1]) & (scene.flux < amplitude / _SHARE[0])
        candidates = rng.permutation(np.flatnonzero(own))
        star = next((int(k) for k in candidates if _alone(world, int(k), spoilers, rows)), -1)
        if star < 0 or rng.random() < _TRANSIENT:
            x, y = _empty_place(world, spoilers, rows, rng)
            rows.append((x, y, -1, amplitude, "transient"))
        else:
            rows.append((float(scene.x[star]), float(scene.y[star]), star, amplitude, "variable"))
    x_, y_, s_, a_, k_ = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Variables(
        np.array(x_, dtype=float), np.array(y_, dtype=float), np.array(s_, dtype=np.int64),
        np.array(a_, dtype=float), np.array(k_, dtype="U9"),
    )  # fmt: skip


def _alone(world: World, star: int, spoilers: NDArray[np.float64], rows: list[_Row]) -> bool:
    """Say whether no brighter star is near, nothing saturated is in the stamp, and no known source is close."""
    scene = world.scene
    far = np.hypot(scene.x - scene.x[star], scene.y - scene.y[star])
    blended = (far < 9) & (scene.flux > 0.5 * scene.flux[star]) & (np.arange(len(far)) != star)
    return not blended.any() and _free(float(scene.x[star]), float(scene.y[star]), spoilers, rows)


def _free(x: float, y: float, spoilers: NDArray[np.float64], rows: list[_Row]) -> bool:
    taken = np.array([(row[0], row[1]) for row in rows]).reshape(-1, 2)
    clear = not len(spoilers) or float(np.hypot(spoilers[:, 0] - x, spoilers[:, 1] - y).min()) > _ROOM
    return clear and (not len(taken) or float(np.hypot(taken[:, 0] - x, taken[:, 1] - y).min()) > _ROOM)


def _empty_place(
    world: World,
    spoilers: NDArray[np.float64],
    rows: list[_Row],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return a free place; a third of them lie on galaxies, as supernovae do."""
    (height, width), galaxies = world.shape, world.scene.galaxies
    x = y = 0.0
    for attempt in range(60):
        x, y = (float(v) for v in rng.uniform(_BORDER, np.array([width, height]) - _BORDER))
        if attempt < 15 and len(galaxies.x) and rng.random() < 0.4:
            host = int(rng.integers(len(galaxies.x)))
            gx, gy = rng.normal(0, 0.7 * galaxies.radius[host], 2) + np.array([galaxies.x[host], galaxies.y[host]])
            if _BORDER < gx < width - _BORDER and _BORDER < gy < height - _BORDER:
                x, y = float(gx), float(gy)
        if _free(x, y, spoilers, rows):
            break
    return x, y
