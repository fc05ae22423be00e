import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import fftconvolve

from realbogus.images.detect_photometry import psf_flux
from realbogus.images.frame import NODATA, SATURATED
from realbogus.images.robust import robust_sigma
from realbogus.images.subtract import subtract
from realbogus.images.subtract.noise import (
    blank_noise,
    blank_sky_ratio,
    correlation_factor,
    frame_sigma,
    psf_weight,
    reference_variance,
)

SMOOTH = np.outer([1, 2, 1], [1, 2, 1]) / 16


def gaussian(sigma, half=8):
    grid = np.arange(-half, half + 1)
    return np.exp(-0.5 * (grid[:, None] ** 2 + grid**2) / sigma**2)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("white", [0.0, 0.4])
def test_correlation_factor_is_what_simulated_noise_shows(sigma, white):
    rng = np.random.default_rng(3)
    kernel = gaussian(sigma)
    kernel /= np.sqrt((kernel**2).sum())
    noise = np.sqrt(1 - white) * fftconvolve(rng.normal(size=(500, 500)), kernel, mode="valid")
    noise += np.sqrt(white) * rng.normal(size=noise.shape)
    ratio = ndimage.convolve(noise, SMOOTH).std() / noise.std()
    assert correlation_factor(kernel, white) == pytest.approx(ratio / np.sqrt((SMOOTH**2).sum()), rel=0.015)


def test_white_noise_is_not_correlated():
    assert correlation_factor(gaussian(2.0), 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("science_fwhm", "reference_fwhm", "depth"), [(2.8, 4.0, 12.0), (2.8, 3.2, 2.0), (3.6, 3.0, 1.0)]
)
def test_fluxes_on_blank_sky_scatter_by_the_error_that_is_claimed(field, science_fwhm, reference_fwhm, depth):
    """Whichever side is convolved, and however noisy the reference: law 10."""
    given = field(
        shape=(420, 460), stars=50, science_fwhm=science_fwhm, reference_fwhm=reference_fwhm, depth=depth, seed=5
    )
    found = subtract(given.science, given.reference, given.measurement)
    assert found.convolved == ("science" if reference_fwhm > science_fwhm else "reference")
    rng = np.random.default_rng(6)
    x, y = rng.uniform(25, 435, 6000), rng.uniform(25, 395, 6000)
    blank = np.hypot(x[:, None] - given.x, y[:, None] - given.y).min(axis=1) > 5 * found.fwhm
    lost = (found.mask & np.uint8(NODATA | SATURATED)) != 0
    flux, error, area = psf_flux(found.pixels, found.noise, lost, x[blank], y[blank], found.fwhm)
    assert robust_sigma(flux / (found.psf_correlation * error)) == pytest.approx(1, abs=0.08)
    assert robust_sigma(flux / (found.psf_correlation * found.sigma * np.sqrt(area))) == pytest.approx(1, abs=0.08)
    assert found.noise_ratio == pytest.approx(1, abs=0.03)


def test_the_factor_of_a_flux_is_what_simulated_noise_shows():
    rng = np.random.default_rng(3)
    kernel, weight = gaussian(1.3), psf_weight(4.0)
    noise = fftconvolve(rng.normal(size=(900, 900)), kernel, mode="valid")
    ratio = fftconvolve(noise, weight, mode="valid").std() / noise.std()
    assert correlation_factor(kernel, weight=weight) == pytest.approx(ratio / np.sqrt((weight**2).sum()), rel=0.02)


@pytest.mark.parametrize("side", [300, 1500])
def test_sigma_and_ratio_leave_masked_pixels_out(side):
    rng = np.random.default_rng(4)
    pixels = rng.normal(0, 3, (side, side)).astype(np.float32)
    mask = np.zeros((side, side), np.uint8)
    mask[:, : side // 2] = SATURATED
    pixels[:, : side // 2] = 0
    assert frame_sigma(pixels, mask) == pytest.approx(3.0, rel=0.02)
    assert blank_sky_ratio(pixels, np.full_like(pixels, 2.0), mask) == pytest.approx(1.5, rel=0.02)


def test_ratio_of_nothing_is_nan():
    lost = np.full((4, 4), SATURATED, np.uint8)
    assert np.isnan(blank_sky_ratio(np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32), lost))


def test_blank_noise_leaves_faint_sources_out():
    rng = np.random.default_rng(6)
    crowd = ndimage.gaussian_filter(rng.exponential(1, (400, 400)) ** 3, 1.5)
    crowd = 12 * (crowd - np.median(crowd)) / crowd.std()
    science = (crowd + rng.normal(0, 10, crowd.shape)).astype(np.float32)
    reference = (crowd + rng.normal(0, 1, crowd.shape)).astype(np.float32)
    lost = np.zeros(crowd.shape, bool)
    assert science.std() > 14
    assert blank_noise(science, reference, lost, most=15.0) == pytest.approx(10, rel=0.06)
    assert blank_noise(science, reference, lost, most=9.0) == 9.0
    assert blank_noise(science, reference, ~lost, most=15.0) == 15.0


def test_scatter_of_a_references_members_counts_only_up_to_twice_its_photon_noise():
    noise = np.float32([[1.0, 4.0, 400.0, np.nan, 5.0, 1.8]])
    pixels = np.float32([[0.0, 400.0, 400.0, 0.0, 0.0, -9.0]])
    coverage = np.uint8([[4, 4, 4, 4, 4, 1]])
    mask = np.uint8([[0, 0, 0, 0, 1, 0]])
    got = reference_variance(noise, pixels, coverage, mask, depth=4.0, gain=10.0)
    np.testing.assert_allclose(got, [[1, 16, 4 * (1 + 40), 0, 0, 1.8**2]], rtol=1e-5)
