"""Level and width: outliers, and digits coarser than the noise."""

import numpy as np
import pytest

from realbogus.images.robust import clipped, robust_sigma


@pytest.mark.parametrize("step", [0.0, 0.5, 1.0, 2.0, 2.9])
def test_coarse_digits_do_not_hide_the_noise(step):
    """A camera that writes steps of up to three sigma: the MAD alone says almost nothing is there."""
    rng = np.random.default_rng(0)
    values = rng.normal(3.3, 1.0, 200_000)
    if step:
        values = np.rint(values / step) * step
    # a smooth background was taken off, so the levels are no longer exactly equal; 2 % are stars
    values += rng.normal(0, 0.03, values.size)
    values[:4000] += 100.0
    assert clipped(values)[1] == pytest.approx(1.0, rel=0.25)
    assert 0.6 < robust_sigma(values) < 1.6


def test_a_gaussian_keeps_its_width_whatever_lies_on_it():
    values = np.random.default_rng(1).normal(10.0, 2.0, 100_000)
    values[:3000] = 1e6
    assert robust_sigma(values) == pytest.approx(2.0, rel=0.06)
    assert clipped(values)[1] == pytest.approx(2.0, rel=0.02)
    assert clipped(np.zeros(0)) == (0.0, 0.0) and robust_sigma(np.zeros(0)) == 0.0
