"""Bad pixels and saturation, on pixels whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from realbogus.images.badpixels import find_bad, find_saturation, saturated_pixels, star_sharpness


def gaussian_stars(
    fwhm: float, count: int, rng: np.random.Generator, shape: tuple[int, int] = (300, 300)
) -> NDArray[np.float32]:
    """Pixel-integrated Gaussian stars at random sub-pixel places, peaks up to thousands of sigma."""
    image = np.zeros(shape)
    sigma = fwhm / 2.3548
    for _ in range(count):
        x, y = rng.uniform(8, shape[1] - 9), rng.uniform(8, shape[0] - 9)
        parts = []
        for size, centre in ((shape[0], y), (shape[1], x)):
            edges = (np.arange(size + 1) - 0.5 - centre) / (np.sqrt(2) * sigma)
            parts.append(np.diff(erf(edges)) / 2)
        image += 10 ** rng.uniform(2.0, 4.5) * np.outer(*parts)
    return image.astype(np.float32)


@pytest.mark.parametrize("fwhm", [1.6, 2.0, 3.0, 6.0])
def test_no_star_is_bad_and_hot_pixels_are(fwhm: float) -> None:
    rng = np.random.default_rng(5)
    clean = gaussian_stars(fwhm, 150, rng)
    image = clean + rng.normal(0, 3, clean.shape).astype(np.float32)
    places = rng.integers(2, 298, (120, 2))
    hot = np.zeros(clean.shape, bool)
    hot[places[:, 0], places[:, 1]] = clean[places[:, 0], places[:, 1]] < 3
    image[hot] += rng.uniform(60, 3000, hot.sum()).astype(np.float32)
    sharpness = star_sharpness(image, 3.0)
    bad = find_bad(image, 3.0, sharpness=sharpness)
    assert (bad & ~hot).sum() == 0
    assert (bad & hot).sum() >= 0.97 * hot.sum()


def test_pairs_dead_pixels_and_excluded_ones() -> None:
    image = np.random.default_rng(6).normal(0, 2, (40, 40)).astype(np.float32)
    image[10, 10:12] = 400  # two hot neighbours
    image[20, 20] = -100
    image[30, 30] = 500
    exclude = np.zeros(image.shape, bool)
    exclude[30, 30] = True
    bad = find_bad(image, 2.0, exclude=exclude)
    assert np.argwhere(bad).tolist() == [[10, 10], [10, 11], [20, 20]]


def test_sharpness_follows_the_stars() -> None:
    rng = np.random.default_rng(7)
    sharp = star_sharpness(gaussian_stars(1.6, 100, rng), 1.0)
    wide = star_sharpness(gaussian_stars(4.0, 60, rng), 1.0)
    assert 0.38 < sharp < 0.5 and 0.7 < wide < 0.95
    assert star_sharpness(np.zeros((64, 64), np.float32), 1.0) == 0.4


def test_saturation_by_pile_up() -> None:
    rng = np.random.default_rng(8)
    stars = 1000 + gaussian_stars(3.0, 80, rng) + rng.normal(0, 5, (300, 300)).astype(np.float32)
    assert find_saturation(stars, 1000, 5) is None
    assert find_saturation(np.minimum(stars, 2000), 1000, 5) == 2000


def test_saturation_survives_flat_fielding_and_a_particle_hit() -> None:
    rng = np.random.default_rng(9)
    stars = 1000 + 30 * gaussian_stars(5.0, 80, rng) + rng.normal(0, 5, (300, 300))
    flat = 1 + 0.002 * np.linspace(-1, 1, 300)[None, :]
    image = (np.minimum(stars, 12000) * flat).astype(np.float32)
    image[100, 100] = 14000
    level = find_saturation(image, 1000, 5)
    assert level is not None and 11700 < level < 12030


def test_saturated_pixels_grow_by_one_and_stay_inside() -> None:
    image = np.zeros((8, 9), np.float32)
    image[0, 0] = image[5, 5] = 10
    full = saturated_pixels(image, 10)
    assert full.sum() == 4 + 9 and full[4:7, 4:7].all() and full[:2, :2].all()


@pytest.mark.parametrize(("sigma", "peak"), [(10.0, 23000.0), (25.0, 23000.0), (6.4, 20000.0)])
def test_smooth_cores_are_not_saturated(sigma: float, peak: float) -> None:
    """A resolved galaxy, and a defocused star of FWHM 15 px, are flat on top but have no cliff."""
    y, x = np.mgrid[:200, :200]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        core = peak * np.exp(-((x - 100.3) ** 2 + (y - 99.6) ** 2) / (2 * sigma**2))
        field = core + gaussian_stars(3.0, 20, rng, (200, 200))
        image = np.round(rng.poisson(20 * (field + 1000)) / 20).astype(np.float32)
        assert find_saturation(image, 1000, 7) is None


@pytest.mark.parametrize("sigma", [1.2, 3.0, 6.4])
def test_one_clipped_star_is_found_after_flat_fielding(sigma: float) -> None:
    y, x = np.mgrid[:200, :200]
    rng = np.random.default_rng(3)
    star = 30000 * np.exp(-((x - 100.3) ** 2 + (y - 99.6) ** 2) / (2 * sigma**2))
    image = np.minimum(rng.poisson(star + 1000), 12000) * (1 + 0.002 * np.linspace(-1, 1, 200))
    level = find_saturation(image.astype(np.float32), 1000, 32)
    assert level is not None and 11700 < level < 12030
