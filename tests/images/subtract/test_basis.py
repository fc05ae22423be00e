import numpy as np
import pytest
from scipy.signal import fftconvolve

from realbogus.images.subtract.basis import gauss_hermite, polynomial, size_basis


@pytest.mark.parametrize("delta", [False, True])
def test_first_image_has_unit_sum_and_the_others_none(delta):
    kernels = gauss_hermite(8, ((0.7, 3), (1.5, 2), (3.0, 1)), delta=delta).kernels
    assert len(kernels) == 10 + 6 + 3 + delta
    sums = kernels.sum((1, 2))
    np.testing.assert_allclose(sums, [1] + [0] * (len(kernels) - 1), atol=1e-12)
    np.testing.assert_allclose((kernels[1:] ** 2).sum((1, 2)), 1)


def test_factored_convolution_is_convolution():
    basis = gauss_hermite(4, ((0.8, 3), (1.6, 1)), delta=True)
    stamps = np.random.default_rng(0).normal(size=(3, 21, 21))
    got = basis.convolve(stamps).reshape(3, len(basis), 13, 13)
    for n, stamp in enumerate(stamps):
        for b, kernel in enumerate(basis.kernels):
            np.testing.assert_allclose(got[n, b], fftconvolve(stamp, kernel, mode="valid"), atol=1e-10)


@pytest.mark.parametrize("fwhms", [(3.0, 3.0), (1.6, 2.0), (2.0, 8.0), (3.0, 20.0)])
def test_no_two_gaussians_are_equal_and_the_kernel_stays_small(fwhms):
    basis = size_basis(*fwhms, stars=50)
    assert 5 <= basis.half_width <= 20
    assert np.linalg.matrix_rank(basis.kernels.reshape(len(basis), -1), tol=1e-6) >= len(basis) - 8


def test_few_stars_get_few_images():
    assert len(size_basis(3, 4, stars=5)) < len(size_basis(3, 4, stars=10)) < len(size_basis(3, 4, stars=50))


def test_polynomial_terms_span_the_frame():
    terms = polynomial(np.array([0.0, 99.0]), np.array([0.0, 49.0]), (50, 100), 2)
    np.testing.assert_allclose(terms, [[1, -1, 1, -1, 1, 1], [1, 1, 1, 1, 1, 1]])
