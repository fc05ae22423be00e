import numpy as np
import pytest
from scipy.signal import fftconvolve

from realbogus.errors import SubtractionError
from realbogus.images.subtract.basis import gauss_hermite, polynomial
from realbogus.images.subtract.solve import normal_equations, solve, spatial_order

SHAPE = (200, 220)


def made_stamps(order=1, n=24, noise=0.0, spoil=()):
    rng = np.random.default_rng(5)
    basis = gauss_hermite(4, ((0.8, 2), (1.8, 1)))
    x, y = rng.uniform(10, 210, n), rng.uniform(10, 190, n)
    varying = rng.normal(0, 0.2, (len(basis) - 1, polynomial(0, 0, SHAPE, order).size))
    grid = np.arange(-12, 13)
    sharp, target = [], []
    for a, b in zip(x, y, strict=True):
        stamp = 1e3 * np.exp(-0.5 * ((grid - a % 1) ** 2 + (grid[:, None] - b % 1) ** 2) / 1.2**2)
        kernel = np.tensordot(np.r_[1.5, varying @ polynomial(a, b, SHAPE, order)], basis.kernels, 1)
        sharp.append(stamp)
        target.append(fftconvolve(stamp, kernel, mode="valid") + 7 + noise * rng.normal(size=(17, 17)))
    for i in spoil:
        target[i] = target[i] * 1.4
    stamps = normal_equations(basis, np.stack(sharp), np.stack(target), np.ones((n, 17, 17)), x, y, chunk=5)
    return basis, stamps, varying


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_varying_kernel_and_its_sky_are_recovered(order):
    basis, stamps, varying = made_stamps(order)
    kernel = solve(stamps, basis, SHAPE, order=order, sky_order=0, scale=1.5)
    assert kernel.total == pytest.approx(1.5, rel=1e-4)
    np.testing.assert_allclose(kernel.varying, varying, atol=2e-3)
    np.testing.assert_allclose(kernel.sky_at(np.arange(3.0), np.arange(2.0)), 7, atol=0.02)
    assert kernel.at(30.0, 40.0).sum() == pytest.approx(1.5, rel=1e-4)


def test_spoilt_stamps_are_left_out():
    basis, stamps, varying = made_stamps(1, n=40, noise=1.0, spoil=(3, 11, 30))
    kernel = solve(stamps, basis, SHAPE, order=1, sky_order=0, scale=1.5)
    assert 30 <= kernel.stars <= 37
    assert kernel.total == pytest.approx(1.5, rel=0.003)
    np.testing.assert_allclose(kernel.varying, varying, atol=0.05)


def test_no_stamps_no_kernel():
    basis, stamps, _ = made_stamps(0, n=2)
    with pytest.raises(SubtractionError, match="2 clean kernel stars, 3 are needed"):
        solve(stamps, basis, SHAPE, order=0, sky_order=0, scale=1.0)


def test_order_follows_number_and_spread_of_stars():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 220, 100), rng.uniform(0, 200, 100)
    assert spatial_order(x, y, SHAPE) == 2
    assert spatial_order(x[:20], y[:20], SHAPE) == 1
    assert spatial_order(x[:8], y[:8], SHAPE) == 0
    assert spatial_order(x / 4, y, SHAPE) == 0
