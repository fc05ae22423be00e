"""What changes in the sky during a simulated night, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .world import Epoch, World

__all__ = ["Changes", "draw_changes"]

_TRAIL_POINTS = 9


@dataclass(frozen=True)
class Changes:
    """Everything that is not the same in all frames; positions and fluxes in scene units.

    Parameters
    ----------
    star : ndarray of int, shape (V,)
        Stars that vary.
    variation : ndarray, shape (V, F)
        Their flux less its mean over the night, per frame, e- through a clear sky.
    x, y : ndarray, shape (N, F)
        Scene position of each other source in each frame (mid-exposure).
    flux : ndarray, shape (N, F)
        e- through a clear sky; 0 where it is not there.
    drift_x, drift_y : ndarray, shape (N,)
        Motion during one exposure, pixels.
    kind : ndarray of str, shape (N,)
        "transient" or "asteroid".
    """

    star: NDArray[np.int64]
    variation: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    drift_x: NDArray[np.float64]
    drift_y: NDArray[np.float64]
    kind: NDArray[np.str_]

    def points(self, frame: int, epoch: Epoch) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return (x, y, flux) on the detector of what to add to one frame; trails as a row of points."""
        there = np.flatnonzero(self.flux[:, frame] > 0)
        step = np.linspace(-0.5, 0.5, _TRAIL_POINTS)[None]
        x = self.x[there, frame, None] + self.drift_x[there, None] * step
        y = self.y[there, frame, None] + self.drift_y[there, None] * step
        px, py = epoch.pointing.to_detector(x, y)
        flux = self.flux[there, frame] * epoch.transparency
        veiled = (flux[:, None] * epoch.clouds.at(px, py) / _TRAIL_POINTS).ravel()
        return px.ravel(), py.ravel(), veiled

    def star_flux(self, world: World, frame: int) -> NDArray[np.float64]:
        """Return the flux of every star of the scene in one frame, e- through a clear sky."""
        flux = world.scene.flux.copy()
        flux[self.star] += self.variation[:, frame]
        return flux


def draw_changes(
    world: World, rng: np.random.Generator, frames: int, cadence_s: float, unit: float, per_mpix: float
) -> Changes:
    """Draw a night's variables, transients and asteroids.

    Half of the changes are variable stars (sinusoids of 0.08-1.2 mag half amplitude), a third are
    transients, the rest asteroids of 0.5-1.5 arcsec/min. Of the transients, half on or near a
    galaxy, one half brightens in the last 40 % of the night and stays, the other half shows in a
    single frame: a clipped reference of the whole night holds next to nothing of either.

    Parameters
    ----------
    world : World
        The sky.
    rng : numpy.random.Generator
        The only randomness.
    frames : int
        Exposures of the night.
    cadence_s : float
        Seconds from one to the next.
    unit : float
        Flux of S/N 1 in a typical frame, e-.
    per_mpix : float
        Changes per frame and million pixels.
    """
    scene, (height, width) = world.scene, world.shape
    total = max(6, round(per_mpix * height * width / 1e6))
    count_t, count_a = max(2, total // 3), max(1, total // 6)
    count_v = max(2, total - count_t - count_a)
    time = np.arange(frames) * cadence_s

    inside = (scene.x > 40) & (scene.x < width - 40) & (scene.y > 40) & (scene.y < height - 40)
    # roughly half full at the peak of a 3 px PSF
    fit = np.flatnonzero(inside & (scene.flux > 25 * unit) & (scene.flux < 6 * world.detector.well))
    star = rng.choice(fit, min(count_v, len(fit)), replace=False)
    amplitude = 10 ** rng.uniform(np.log10(0.08), np.log10(1.2), len(star))
    period = np.exp(rng.uniform(np.log(4), np.log(60), len(star))) * cadence_s
    wave = np.sin(2 * np.pi * time[None] / period[:, None] + rng.uniform(0, 2 * np.pi, len(star))[:, None])
    light = scene.flux[star, None] * 10 ** (-0.4 * amplitude[:, None] * wave)
    variation = light - light.mean(1, keepdims=True)

    galaxies = scene.galaxies
    n = count_t + count_a
    snr = np.exp(rng.uniform(np.log(7), np.log(100), n))
    x, y = rng.uniform(30, width - 30, n), rng.uniform(30, height - 30, n)
    for i in range(count_t):
        if len(galaxies.x) and rng.random() < 0.5:
            j = rng.integers(len(galaxies.x))
            x[i], y[i] = np.array([galaxies.x[j], galaxies.y[j]]) + rng.normal(0, 1, 2) * galaxies.radius[j]
    flux = np.repeat((snr * unit)[:, None], frames, axis=1)
    late = min(int(np.ceil(0.6 * frames)), frames - 1)
    for i in range(count_t):
        first = int(rng.integers(late, frames)) if i % 2 == 0 else int(rng.integers(frames))
        flux[i, :first] = 0
        if i % 2:
            flux[i, first + 1 :] = 0
    speed = np.where(np.arange(n) < count_t, 0.0, rng.uniform(0.5, 1.5, n)) / 60 / world.pixel_scale_arcsec
    angle = rng.uniform(0, 2 * np.pi, n)
    vx, vy = speed * np.cos(angle), speed * np.sin(angle)
    since = (time - time.mean())[None]
    return Changes(
        star, variation, x[:, None] + vx[:, None] * since, y[:, None] + vy[:, None] * since, flux,
        vx * world.exposure_s, vy * world.exposure_s,
        np.where(np.arange(n) < count_t, "transient", "asteroid"),
    )  # fmt: skip
