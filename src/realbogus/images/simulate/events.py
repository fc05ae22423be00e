"""What truly changes between reference and science frame: the positives of a simulated pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .psf import Kernels
from .world import Epoch, World

__all__ = ["Events", "draw_events"]

_KINDS = ("transient", "host", "near-star", "variable", "asteroid")
_WEIGHTS = np.array([3, 2, 1, 1, 1]) / 8
_NEGATIVE = 0.15


@dataclass(frozen=True)
class Events:
    """Sources that changed, on the science detector.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Detector pixels.
    flux : ndarray, shape (N,)
        Change in collected electrons before vignetting; negative where light has gone.
    kind : ndarray of str, shape (N,)
        "transient", "host" (beside a galaxy), "near-star", "variable" (a star itself), "asteroid".
    star : ndarray of int, shape (N,)
        Index of the star that varies, -1 for all others.
    length, angle : ndarray, shape (N,)
        Trail of an asteroid during the exposure, pixels and radians.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    kind: NDArray[np.str_]
    star: NDArray[np.int64]
    length: NDArray[np.float64]
    angle: NDArray[np.float64]

    def added(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return points (x, y, flux) to add to the science frame; trails are five points."""
        new = (self.star < 0) & (self.flux > 0)
        step = np.linspace(-0.5, 0.5, 5)[None]
        along = self.length[new, None] * step
        x = self.x[new, None] + along * np.cos(self.angle[new, None])
        y = self.y[new, None] + along * np.sin(self.angle[new, None])
        still = self.length[new] == 0
        flux = np.where(still[:, None], step == 0, 0.2) * self.flux[new, None]
        return x.ravel(), y.ravel(), flux.ravel()

    def gone(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return points (x, y, flux) that only the reference has."""
        lost = (self.star < 0) & (self.flux < 0)
        return self.x[lost], self.y[lost], -self.flux[lost]


def draw_events(
    world: World,
    epoch: Epoch,
    kernels: Kernels,
    noise: float,
    rng: np.random.Generator,
    box: tuple[float, float],
) -> Events:
    """Draw 16 to 20 changes with S/N log-uniform in 5..100.

    S/N := flux / (noise * sqrt(N_eff)) with the local N_eff of the science PSF; the reference's
    noise is left out. Variables change by at least a tenth of themselves, up to ten times that S/N.

    Parameters
    ----------
    world, epoch, kernels : World, Epoch, Kernels
        Of the science frame.
    noise : float
        Its blank-sky sigma, electrons.
    rng : numpy.random.Generator
        The only randomness.
    box : (low, high)
        Range of x and y on the detector in which events lie.
    """
    scene, fwhm = world.scene, kernels.psf.fwhm
    n = int(rng.integers(16, 21))
    low, high = box
    sx, sy = epoch.pointing.to_detector(
        scene.x + epoch.dispersion[0] * scene.colour, scene.y + epoch.dispersion[1] * scene.colour
    )
    gx, gy = epoch.pointing.to_detector(scene.galaxies.x, scene.galaxies.y)
    inside = (sx > low) & (sx < high) & (sy > low) & (sy < high)
    near = np.flatnonzero((gx > low) & (gx < high) & (gy > low) & (gy < high))
    light = scene.flux * epoch.transparency * epoch.clouds.at(sx, sy)
    peak = float(kernels.profile[0])
    quiet = inside & (light * peak < 0.5 * (world.detector.well - epoch.sky.level))
    kinds = rng.choice(_KINDS, n, p=_WEIGHTS)
    snr = np.exp(rng.uniform(np.log(5), np.log(100), n))
    sign = np.where(rng.random(n) < _NEGATIVE, -1.0, 1.0)
    rows: list[tuple[float, float, float, str, int, float, float]] = []
    taken: list[int] = []
    for kind, s, side in zip(kinds, snr, sign, strict=True):
        x, y = rng.uniform(low, high, 2)
        star, length, angle = -1, 0.0, float(rng.uniform(0, 2 * np.pi))
        if kind == "asteroid" and side < 0:  # a reference of many frames holds no asteroid
            kind = "transient"
        if kind == "host" and len(near):
            j = int(rng.choice(near))
            x, y = np.array([gx[j], gy[j]]) + rng.normal(0, 0.8 * scene.galaxies.radius[j], 2)
        elif kind == "near-star" and inside.any():
            j, far = int(rng.choice(np.flatnonzero(inside))), rng.uniform(0, 3) * fwhm
            x, y = sx[j] + far * np.cos(angle), sy[j] + far * np.sin(angle)
        flux = s * noise * np.sqrt(kernels.area(x, y))
        if kind == "variable":
            able = quiet if side > 0 else quiet & (light > flux / 0.9)
            able = able.copy()
            able[taken] = False
            if not able.any():
                continue
            star = int(rng.choice(np.flatnonzero(able)))
            taken.append(star)
            x, y = sx[star], sy[star]
            flux = s * noise * np.sqrt(kernels.area(x, y))
            flux = max(flux, min(0.1 * light[star], 10 * flux))
            flux = flux if side > 0 else min(flux, 0.95 * light[star])
        elif kind == "asteroid" and rng.random() < 0.7:
            length = float(rng.uniform(0.2, 1.2) * fwhm)
        length = length if side > 0 else 0.0
        if low <= x <= high and low <= y <= high:
            rows.append((float(x), float(y), float(side * flux), str(kind), star, length, angle))
    if not rows:
        rows.append(((low + high) / 2, (low + high) / 2, 20 * noise * fwhm, "transient", -1, 0.0, 0.0))
    x_, y_, f_, k_, s_, l_, a_ = zip(*rows, strict=True)
    return Events(
        np.array(x_), np.array(y_), np.array(f_), np.array(k_, dtype="U9"), np.array(s_, dtype=np.int64),
        np.array(l_), np.array(a_),
    )  # fmt: skip
