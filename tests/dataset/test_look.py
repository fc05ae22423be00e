"""The look at the reals: what is seen stays, what is hidden or beside something false goes."""

import numpy as np
import pytest

from realbogus.dataset.look import ALONE, LEAST_PEAK, look

FWHM = 3.5
SIGMA = FWHM / 2.3548
NOISE = np.random.default_rng(3).normal(0, 10, (64, 64))
#: Noise of a pixel after smoothing by the point spread function.
SMOOTH = 10 / (2 * SIGMA * np.sqrt(np.pi))


def star(height, x=32.3, y=31.6):
    """A star whose smoothed top is `height` sigma of the smoothed noise."""
    yy, xx = np.indices((64, 64))
    return 2 * height * SMOOTH * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * SIGMA**2))


@pytest.mark.parametrize("height", [1.4 * LEAST_PEAK, 40.0, 400.0])
def test_a_star_alone_is_kept(height):
    assert look(NOISE + star(height), FWHM) == ""


@pytest.mark.parametrize("height", [0.0, 0.6 * LEAST_PEAK])
def test_what_is_hardly_seen_is_faint(height):
    assert look(NOISE + star(height), FWHM) == "faint"


def test_a_source_elsewhere_or_of_the_other_sign_is_none():
    assert look(NOISE + star(40, x=10), FWHM) == "faint"
    assert look(NOISE - star(40), FWHM) == "faint"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("x", "limit"), [(40.3, ALONE[0]), (54.3, ALONE[1])])
def test_something_beside_it_counts_by_its_height_and_distance(sign, x, limit):
    assert look(NOISE + star(60) + sign * star(1.3 * limit * 60, x=x), FWHM) == "spurious"
    assert look(NOISE + star(60) + sign * star(0.7 * limit * 60, x=x), FWHM) == ""


def test_a_cosmic_ray_may_hide_it():
    struck = NOISE + star(30)
    struck[10, 50] += 1e4
    assert look(struck, FWHM) == "spurious"


def test_nothing_at_all_is_not_a_source():
    assert look(np.full((64, 64), np.nan), FWHM) == "faint"
    assert look(np.zeros((64, 64)), FWHM) == "faint"
