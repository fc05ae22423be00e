"""The preset "mini-sitian": three 30 cm telescopes with CMOS cameras.

Detector facts from the camera's data sheet, saturation and astrometric residuals as published;
seeing delivered, zero point, sky and star counts are estimates, see the constants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .detector import Detector
from .optics import Clouds, Pointing, Sky, Vignette
from .psf import Psf
from .scene import Galaxies, Scene
from .world import Epoch, Halo, World

__all__ = ["mini_sitian"]

SCALE = 0.862  # arcsec/pixel, 3.76 um pixels
GAIN, READ_NOISE, BIAS, CEILING = 0.253, 1.05, 500.0, 65535.0
EXPOSURE_S = 300.0
ZERO_POINT = 20.75 + 2.5 * np.log10(EXPOSURE_S)  # magnitude of 1 e- per exposure; estimate
SKY_MAG = 20.3  # per square arcsec; estimate
STARS_PER_DEG2, FAINTEST, SLOPE = 12_500.0, 21.8, 0.27  # counts brighter than 20.5; estimate
POOR = 0.35


def _magnitudes(n: int, bright: float, faint: float, slope: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw from counts that grow by `slope` dex per magnitude."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    return np.asarray(np.log10(low + rng.random(n) * (high - low)) / slope)


def _scene(rng: np.random.Generator, shape: tuple[int, int], margin: float, crowding: tuple[float, float]) -> Scene:
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    area = height * width * (SCALE / 3600) ** 2
    crowded = np.exp(rng.uniform(*np.log(crowding))) if max(shape) < 1000 else 1.0
    n = max(80, int(area * STARS_PER_DEG2 * crowded * 10 ** (SLOPE * (FAINTEST - 20.5))))
    magnitude = _magnitudes(n, 8.0, FAINTEST, SLOPE, rng)
    bright = min(n, max(24, int(20 * area / 0.01)))  # a field nobody would pick has no stars to align on
    magnitude[:bright] = np.minimum(magnitude[:bright], rng.uniform(14.2, 16.8, bright))
    m = rng.poisson(area * 1080)
    galaxy = _magnitudes(m, 15.0, 21.3, 0.45, rng)
    galaxies = Galaxies(
        x=rng.uniform(-margin, width - margin, m),
        y=rng.uniform(-margin, height - margin, m),
        flux=10 ** (0.4 * (ZERO_POINT - galaxy)),
        radius=np.clip(10 ** rng.normal(0.42 - 0.12 * (galaxy - 19), 0.15), 0.8, 14),
        index=np.where(rng.random(m) < 0.7, 1.0, 3.0),
        ratio=rng.uniform(0.35, 1, m),
        angle=rng.uniform(0, np.pi, m),
    )
    return Scene(
        x=rng.uniform(-margin, width - margin, n),
        y=rng.uniform(-margin, height - margin, n),
        flux=10 ** (0.4 * (ZERO_POINT - magnitude)),
        colour=rng.normal(0, 1, n),
        galaxies=galaxies,
    )


def _detector(rng: np.random.Generator, shape: tuple[int, int]) -> Detector:
    pixels = shape[0] * shape[1]
    noisy = rng.integers(0, pixels, int(0.006 * pixels))  # random telegraph noise
    warm = rng.integers(0, pixels, int(0.0007 * pixels))
    dark = rng.exponential(120, len(warm)) + 15
    wild = rng.integers(0, pixels, rng.poisson(4e-6 * pixels))
    dead = rng.integers(0, pixels, int(1e-5 * pixels))
    minutes, square_cm = EXPOSURE_S / 60, pixels * 3.76e-4**2
    return Detector(
        shape, GAIN, READ_NOISE, BIAS, CEILING,
        noisy=(noisy, (rng.exponential(4, len(noisy)) + 2).astype(np.float32)),
        # the camera subtracts a dark, which leaves a few per cent of it
        hot=(
            np.concatenate([warm, wild]),
            np.concatenate([dark * rng.normal(0, 0.08, len(warm)), rng.exponential(2500, len(wild))]).astype(
                np.float32
            ),
        ),
        dead=(dead, rng.uniform(0, 0.7, len(dead)).astype(np.float32)),
        hot_jitter=0.6,
        unstable=0.3,
        response=rng.normal(0, 0.004, (512, 512)).astype(np.float32),
        vignette=Vignette(smooth=0.12 if max(shape) >= 1000 else 0.02),
        cosmic_rate=3 * minutes * square_cm,
        cosmic_charge=(400.0, 0.35),
    )  # fmt: skip


def _epoch(rng: np.random.Generator, shape: tuple[int, int], dither: float, crop: float) -> Epoch:
    """Draw one exposure's weather; `crop` is the share of the full field's side that is simulated."""
    poor = bool(rng.random() < POOR)
    moon = float(rng.choice([0.0, 0.0, 0.5, 1.2]))
    fwhm = float(np.clip(rng.lognormal(np.log(2.7), 0.18), 1.9, 4.6)) / SCALE
    angle = rng.uniform(0, 2 * np.pi)
    trail = rng.uniform(0.2, 1.0) * fwhm if poor and rng.random() < 0.5 else 0.0
    e1, e2 = rng.normal(0, 0.03, 2)
    slope = rng.normal(0, 0.03, 2) * crop
    e_slope = rng.normal(0, 0.03, 4) * crop
    psf = Psf(
        fwhm, 3.0, float(e1), float(e2), trail=trail, trail_angle=angle,
        donut=float(rng.uniform(0.2, 0.7) * fwhm) if poor and rng.random() < 0.25 else 0.0,
        fwhm_slope=(float(slope[0]), float(slope[1])),
        fwhm_curve=float(abs(rng.normal(0.03, 0.01)) * crop**2 + poor * rng.uniform(0, 0.06) * crop),
        e_slope=(float(e_slope[0]), float(e_slope[1]), float(e_slope[2]), float(e_slope[3])),
    )  # fmt: skip
    level = 10 ** (0.4 * (ZERO_POINT - (SKY_MAG - moon - 2.5 * np.log10(SCALE**2))))
    tilt = rng.normal(0, 0.02 + 0.03 * moon, 2) * crop
    dcr = rng.normal(0, 0.02, 2)  # pixels per sigma of colour
    trails = []
    for _ in range(rng.poisson(0.25 * max(crop, 0.3))):
        x, y = rng.uniform(0.2, 0.8, 2) * np.array([shape[1], shape[0]])
        brightness, wave = 10 ** rng.uniform(0.8, 2.6), rng.uniform(40, 200)
        sigma = fwhm / 2.355 * 1.1
        trails.append(np.array([x, y, rng.uniform(0, np.pi), brightness, sigma, wave, 0.3]))
    return Epoch(
        psf,
        Sky(float(level), (float(tilt[0]), float(tilt[1]))),
        Pointing(
            shape, float(rng.uniform(-dither, dither)), float(rng.uniform(-dither, dither)),
            float(np.deg2rad(rng.normal(0, 0.02))), float(rng.normal(0, 0.15)) * crop**2,
        ),
        transparency=float(rng.uniform(0.6, 1.0) if poor else rng.uniform(0.85, 1.0)),
        clouds=Clouds(
            float(rng.uniform(0.01, 0.03) if poor else rng.uniform(0, 0.004)),
            (float(rng.uniform(40, 200)), float(rng.uniform(40, 200))),
            (float(rng.uniform(0, 6)), float(rng.uniform(0, 6))),
        ),
        dispersion=(float(dcr[0]), float(dcr[1])),
        jitter=0.004,
        wobble=0.015,
        trails=tuple(trails),
        poor=poor,
    )  # fmt: skip


def mini_sitian(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    dither: float = 12.0,
    crowding: tuple[float, float] = (0.6, 4.0),
) -> World:
    """Draw a field as Mini-SiTian sees it.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only randomness.
    shape : (int, int)
        (H, W); the full camera is 6388 x 9576, smaller ones are its middle.
    dither : float
        Largest shift per axis, pixels.
    crowding : (float, float)
        Range of the density of stars of a small section, in units of the whole camera's mean field.

    Returns
    -------
    World
    """
    margin = 60.0
    crop = float(np.clip(max(shape) / 9576, 0.25, 1.0))  # a small section still varies a little
    halo = Halo(
        above=10 ** (0.4 * (ZERO_POINT - 13.0)), share=0.015, spikes=0.006, core=6.0,
        reach=min(220, max(shape) // 3), angle=float(rng.uniform(0, np.pi / 2)),
        ghost_above=10 ** (0.4 * (ZERO_POINT - 9.5)),
    )  # fmt: skip
    return World(
        "mini-sitian", shape, _scene(rng, shape, margin, crowding), _detector(rng, shape),
        lambda r: _epoch(r, shape, dither, crop), SCALE, EXPOSURE_S, float(ZERO_POINT),
        str(rng.choice(["g", "r", "i"])), halo,
    )  # fmt: skip
