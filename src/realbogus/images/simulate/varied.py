"""The preset "varied": every draw is another telescope that might exist.

A network trained on one camera knows that camera; one trained on many imaginary ones knows
stars from faults. Ranges are wide on purpose: undersampled to fourfold oversampled, dark to
urban skies, clean CMOS to bleeding CCDs full of hot pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .detector import Detector
from .optics import Clouds, Pointing, Sky, Vignette
from .psf import Psf
from .scene import Galaxies, Scene
from .world import Epoch, Halo, World

__all__ = ["varied"]

_CELL = 456.0**2  # pixels that the counts below refer to


def _loguniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


@dataclass(frozen=True)
class _Site:
    """What one telescope keeps through a night."""

    fwhm: float
    beta: float
    ellipticity: float
    variation: float
    sky: float
    sigma: float
    trail_rate: float
    poor: float
    ghosts: bool
    fringes: bool
    clouds: float
    dispersion: float


def _scene(rng: np.random.Generator, shape: tuple[int, int], margin: float, unit: float, fwhm: float) -> Scene:
    """Draw stars by their S/N (`unit` e- is S/N 1) from a power law, and galaxies."""
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    cells = height * width / _CELL
    n = int(10 ** rng.uniform(1.9, 3.1) * cells) + 1
    slope, top, low = rng.uniform(0.45, 0.9), 10 ** rng.uniform(3.2, 4.6), 3.0
    u = rng.random(n)
    snr = (low**-slope + u * (top**-slope - low**-slope)) ** (-1 / slope)
    bright = min(n, int(rng.integers(14, 40) * cells))  # enough to align and to match PSFs on
    snr[:bright] = 10 ** rng.uniform(2, 3, bright)
    m = int(rng.integers(0, 40) * cells)
    galaxies = Galaxies(
        x=rng.uniform(-margin, width - margin, m),
        y=rng.uniform(-margin, height - margin, m),
        flux=10 ** rng.uniform(1.2, 2.8, m) * unit * 1.5,
        radius=fwhm * np.exp(rng.uniform(np.log(0.3), np.log(2.5), m)),
        index=rng.choice([1.0, 1.0, 2.5, 4.0], m),
        ratio=rng.uniform(0.35, 1, m),
        angle=rng.uniform(0, np.pi, m),
    )
    x, y = rng.uniform(-margin, width - margin, n), rng.uniform(-margin, height - margin, n)
    pairs = rng.integers(0, n, n // 12)  # blends: two stars nearer than the PSF is wide
    turn, far = rng.uniform(0, 2 * np.pi, len(pairs)), rng.uniform(0.4, 2.0, len(pairs)) * fwhm
    snr = np.append(snr, snr[pairs] * rng.uniform(0.1, 1, len(pairs)))
    x = np.append(x, x[pairs] + far * np.cos(turn))
    y = np.append(y, y[pairs] + far * np.sin(turn))
    return Scene(x, y, snr * unit, rng.normal(0, 1, len(x)), galaxies)


def _detector(rng: np.random.Generator, shape: tuple[int, int], sky: float, read_noise: float) -> Detector:
    height, width = shape
    pixels = height * width
    sigma = float(np.sqrt(sky + read_noise**2))
    share = 10 ** rng.uniform(-6, -3.9) if rng.random() < 0.4 else 10 ** rng.uniform(-4, -2.7)
    hot = rng.integers(0, pixels, rng.poisson(share * pixels))
    charge = sigma * (rng.exponential(10 ** rng.uniform(0.5, 1.8), len(hot)) + 2)
    grown_at, grown = [hot], [charge]
    for chance, step in ((0.12, 1), (0.06, width), (0.03, width + 1)):  # clusters
        twin = rng.random(len(hot)) < chance
        grown_at.append((hot[twin] + step) % pixels)
        grown.append(charge[twin] * rng.uniform(0.2, 1, int(twin.sum())))
    columns = rng.integers(0, width, rng.poisson(0.4))
    scale = float(rng.choice([0.3, 1.0, 4.0]))
    flat_error = 10 ** rng.uniform(-3.5, -2)
    well = sigma * 10 ** rng.uniform(2.2, 3.8) + sky
    bias = float(rng.choice([0.0, 100.0, 300.0, 1000.0]))
    span = rng.uniform(15_000, 64_000)
    gain = max(well / span, sky / span * 2, 1e-3)
    rim = rng.random() < 0.12
    return Detector(
        shape, float(gain), read_noise, bias, float(np.floor(bias + span)),
        hot=(np.concatenate(grown_at), np.concatenate(grown).astype(np.float32)),
        unstable=float(rng.choice([0.0, 0.05, 0.3, 1.0])),
        columns=(columns, (sigma * scale * rng.normal(0, 1, len(columns))).astype(np.float32)),
        response=rng.normal(0, flat_error, (512, 512)).astype(np.float32),
        vignette=Vignette(
            smooth=float(rng.uniform(0, 0.15)) if rng.random() < 0.4 else 0.0,
            rim=float(rng.uniform(0.2, 0.5)) if rim else 0.0,
            centre=(float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))),
            radius=float(rng.uniform(0.9, 1.25)),
        ),
        cosmic_rate=10 ** rng.uniform(-0.7, 1.4) * pixels / 1e5,
        cosmic_charge=(sigma * 10 ** rng.uniform(1.2, 1.7), 0.4),
        nonlinearity=float(rng.uniform(0.01, 0.08)) if rng.random() < 0.25 else 0.0,
        bleeds=bool(rng.random() < 0.4),
        tail=(float(rng.uniform(4, 25)), _loguniform(rng, 0.002, 0.05) if rng.random() < 0.3 else 0.0),
        tail_axis=int(rng.integers(2)), tail_sign=int(rng.choice([-1, 1])),
        row_noise=sigma * float(rng.uniform(0.05, 0.7)) if rng.random() < 0.3 else 0.0,
        row_length=float(rng.uniform(3, 25)), row_axis=int(rng.integers(2)),
        quantum=sigma / float(rng.uniform(0.5, 2.5)) if rng.random() < 0.2 else 0.0,
        edge=(
            int(rng.integers(4)),
            sigma * float(abs(rng.normal(0, 3))) if rng.random() < 0.15 else 0.0,
            float(rng.uniform(1, 10)),
        ),
    )  # fmt: skip


def _epoch(rng: np.random.Generator, site: _Site, shape: tuple[int, int], dither: float) -> Epoch:
    poor = bool(rng.random() < site.poor)
    fwhm = max(1.4, site.fwhm * float(np.exp(rng.normal(0, 0.12))))
    e = min(0.4, site.ellipticity + abs(rng.normal(0, 0.03)))
    angle = rng.uniform(0, 2 * np.pi)
    v = site.variation
    slope, e_slope = rng.normal(0, v, 2), rng.normal(0, v, 4)
    trailed = rng.random() < (0.5 if poor else 0.12)
    psf = Psf(
        fwhm, site.beta, float(e * np.cos(angle)), float(e * np.sin(angle)),
        trail=float(fwhm * rng.uniform(0.3, 1.3)) if trailed else 0.0,
        trail_angle=float(rng.uniform(0, np.pi)),
        donut=float(fwhm * rng.uniform(0.5, 1.1)) if rng.random() < 0.06 and fwhm > 2.5 else 0.0,
        fwhm_slope=(float(slope[0]), float(slope[1])),
        fwhm_curve=float(abs(rng.normal(0, v))),
        e_slope=(float(e_slope[0]), float(e_slope[1]), float(e_slope[2]), float(e_slope[3])),
    )  # fmt: skip
    level = site.sky * float(np.exp(rng.normal(0, 0.2)))
    rough = site.sigma * float(rng.choice([0.0, 0.1, 0.4, 1.0]))
    tilt = rng.normal(0, 3 * rough / max(level, 1.0), 2)
    mottle = None
    if rough:
        n = int(rng.choice([6, 10, 18, 34]))
        mottle = rng.normal(0, rough, (n, n)).astype(np.float32)
    ripple = (0.0, 0.0, 0.0)
    if site.fringes:
        ripple = (2 * rough, float(rng.uniform(10, 120)), float(rng.uniform(0, 60)))
    trails = [_trail(rng, site, shape, fwhm) for _ in range(rng.poisson(site.trail_rate))]
    ghosts = []
    for _ in range(rng.poisson(1.0) if site.ghosts else 0):
        radius = float(fwhm * rng.uniform(3, 12))
        depth = site.sigma * 10 ** rng.uniform(-0.5, 0.6)
        x, y = rng.uniform(0, 1, 2) * np.array(shape[::-1])
        ghosts.append((float(x), float(y), float(depth * np.pi * radius**2), radius))
    direction, strength = rng.uniform(0, 2 * np.pi), rng.normal(0, site.dispersion)
    return Epoch(
        psf,
        Sky(level, (float(tilt[0]), float(tilt[1])), mottle, ripple),
        Pointing(
            shape, float(rng.uniform(-dither, dither)), float(rng.uniform(-dither, dither)),
            float(rng.normal(0, 0.002)) if rng.random() < 0.5 else 0.0,
        ),
        transparency=float(rng.uniform(0.6, 1.0)),
        clouds=Clouds(
            float(rng.choice([0.0, 0.003, 0.01, 0.03])) * site.clouds,
            (float(rng.uniform(30, 200)), float(rng.uniform(30, 200))),
            (float(rng.uniform(0, 6)), float(rng.uniform(0, 6))),
        ),
        dispersion=(float(strength * np.cos(direction)), float(strength * np.sin(direction))),
        jitter=float(rng.choice([0.0, 0.001, 0.003])),
        wobble=float(rng.choice([0.0, 0.01, 0.02])),
        trails=tuple(trails),
        ghosts=tuple(ghosts),
        poor=poor,
    )  # fmt: skip


def _trail(rng: np.random.Generator, site: _Site, shape: tuple[int, int], fwhm: float) -> np.ndarray:
    flashing = rng.random() < 0.4
    return np.array([
        rng.uniform(0.2, 0.8) * shape[1], rng.uniform(0.2, 0.8) * shape[0], rng.uniform(0, np.pi),
        site.sigma * 10 ** rng.uniform(0, 1.5), fwhm / 2.355 * rng.uniform(0.9, 1.6),
        rng.uniform(5, 60), 2.0 if flashing else 0.5,
    ])  # fmt: skip


def varied(rng: np.random.Generator, shape: tuple[int, int], *, dither: float | None = None) -> World:
    """Draw a telescope, its camera, its site and a field.

    FWHM 1.5-8 px at 0.4-6 arcsec/px, sky 10-20,000 e-, read noise 1.5-15 e-.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only randomness.
    shape : (int, int)
        (H, W).
    dither : float or None
        Largest shift per axis, pixels; None draws it: mostly 8 or 14, sometimes hardly any, so that
        hot pixels fall on the same sky in all frames.

    Returns
    -------
    World
    """
    margin = 40.0
    fwhm = _loguniform(rng, 1.6, 6.8)
    sky, read_noise = 10 ** rng.uniform(1, 4.3), float(rng.uniform(1.5, 15))
    sigma = float(np.sqrt(sky + read_noise**2))
    unit = sigma * np.sqrt(4 * np.pi) * fwhm / 2.355 * 1.15
    site = _Site(
        fwhm=fwhm,
        beta=float(rng.uniform(2, 6)) if rng.random() < 0.75 else float("inf"),
        ellipticity=float(abs(rng.normal(0, 0.06))),
        variation=float(abs(rng.normal(0, 0.04))),
        sky=float(sky),
        sigma=sigma,
        trail_rate=0.12,
        poor=0.25,
        ghosts=bool(rng.random() < 0.12),
        fringes=bool(rng.random() < 0.12),
        clouds=1.0,
        dispersion=float(abs(rng.normal(0, 0.04))),
    )
    step = float(rng.choice([0.4, 8.0, 8.0, 14.0, 14.0])) if dither is None else dither
    halo = None
    if rng.random() < 0.3:
        halo = Halo(
            above=float(unit * 10 ** rng.uniform(3.0, 3.6)), share=float(rng.uniform(0.005, 0.03)),
            spikes=float(rng.choice([0.0, 0.004, 0.01])), core=2 * fwhm, reach=int(15 * fwhm),
            angle=float(rng.uniform(0, np.pi / 2)),
        )  # fmt: skip
    scale = float(np.clip(_loguniform(rng, 1.2, 10.0) / fwhm, 0.4, 6.0))
    return World(
        "varied", shape, _scene(rng, shape, margin, unit, fwhm),
        _detector(rng, shape, float(sky), read_noise),
        lambda r: _epoch(r, site, shape, step), scale, float(rng.choice([10.0, 30.0, 60.0, 120.0, 300.0])),
        float(rng.uniform(20, 28)), str(rng.choice(["B", "V", "R", "g", "r", "i", "clear"])), halo,
    )  # fmt: skip
