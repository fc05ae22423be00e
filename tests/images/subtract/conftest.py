"""Star fields with a known truth: Gaussians integrated over pixels, white noise, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from realbogus.images.frame import Frame
from realbogus.images.measure import Measurement
from realbogus.images.reference import Reference

GAIN = 2.0
NOISE = 10.0


def render(shape: tuple[int, int], x: NDArray, y: NDArray, flux: NDArray, fwhm: float | NDArray) -> NDArray[np.float64]:
    """Sum of pixel-integrated round Gaussians."""
    image = np.zeros(shape)
    sigma = np.broadcast_to(np.asarray(fwhm, float) / 2.3548, np.shape(x))
    half = int(6 * sigma.max(initial=0)) + 2
    for a, b, f, s in zip(x, y, flux, sigma, strict=True):
        rows = np.arange(max(round(b) - half, 0), min(round(b) + half + 1, shape[0]))
        columns = np.arange(max(round(a) - half, 0), min(round(a) + half + 1, shape[1]))
        if not len(rows) or not len(columns):
            continue
        py, px = (
            0.5 * (erf((grid - at + 0.5) / s / 2**0.5) - erf((grid - at - 0.5) / s / 2**0.5))
            for grid, at in ((rows, b), (columns, a))
        )
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += f * np.outer(py, px)
    return image


@dataclass
class Field:
    """One made-up pair and the truth behind it."""

    science: Frame
    reference: Reference
    measurement: Measurement
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]


@cache
def make_field(
    *,
    shape: tuple[int, int] = (280, 300),
    stars: int = 60,
    science_fwhm: float = 3.6,
    reference_fwhm: float = 3.0,
    scale: float = 1.0,
    depth: float = 12.0,
    shift: float = 0.0,
    vary: float = 0.0,
    noise: float = NOISE,
    new: tuple[tuple[float, float, float], ...] = (),
    seed: int = 1,
) -> Field:
    """Science frame of sky 300 ADU and one of `depth` epochs; `new` holds (x, y, flux) of science only."""
    rng = np.random.default_rng(seed)
    height, width = shape
    x, y = rng.uniform(0, width, stars), rng.uniform(0, height, stars)
    flux = np.sort(10 ** rng.uniform(3.5, 5.5, stars))[::-1].copy()
    u, v = 2 * x / width - 1, 2 * y / height - 1
    sharp = render(shape, x, y, flux, reference_fwhm)
    model = render(shape, x + shift, y, scale * flux, science_fwhm * (1 + vary * (u + 0.5 * v)))
    extra = np.array(new, dtype=float).reshape(-1, 3)
    model = model + render(shape, extra[:, 0], extra[:, 1], extra[:, 2], science_fwhm)
    science = model + rng.normal(size=shape) * np.sqrt(noise**2 + model / GAIN) + 300
    sigma = np.sqrt((noise**2 + sharp / GAIN) / depth)
    image = sharp + rng.normal(size=shape) * sigma
    mask = np.zeros(shape, np.uint8)
    table = np.stack([x, y, flux], axis=1)
    psf = np.ones((1, 1), np.float32)
    reference = Reference(
        Frame("reference", image.astype(np.float32), mask.copy(), gain=GAIN),
        sigma.astype(np.float32),
        np.full(shape, 12, np.uint8),
        Measurement(0.0, noise / depth**0.5, reference_fwhm, 0.0, psf, table),
        (),
    )
    frame = Frame("science", science.astype(np.float32), mask, gain=GAIN)
    return Field(frame, reference, Measurement(300.0, noise, science_fwhm, 0.0, psf, table), x, y, flux)


@pytest.fixture(scope="session")
def field() -> Callable[..., Field]:
    """Factory of made-up pairs."""
    return make_field


@pytest.fixture(scope="session")
def stars_image() -> Callable[..., NDArray[np.float64]]:
    """Renderer of Gaussian stars."""
    return render
