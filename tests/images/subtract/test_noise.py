import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import fftconvolve

from realbogus.images.frame import SATURATED
from realbogus.images.subtract.noise import blank_sky_ratio, correlation_factor, frame_sigma

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
    noise = np.sqrt(1 - white) * fftconvolve(rng.normal(size=(900, 900)), kernel, mode="valid")
    noise += np.sqrt(white) * rng.normal(size=noise.shape)
    ratio = ndimage.convolve(noise, SMOOTH).std() / noise.std()
    assert correlation_factor(kernel, white) == pytest.approx(ratio / np.sqrt((SMOOTH**2).sum()), rel=0.01)


def test_white_noise_is_not_correlated():
    assert correlation_factor(gaussian(2.0), 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("side", [300, 2000])
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
