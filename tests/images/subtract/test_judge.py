from dataclasses import replace

import numpy as np
import pytest

from realbogus.errors import SubtractionError
from realbogus.images.subtract import Difference, judge
from realbogus.images.subtract.stars import Scale

SCALE = Scale(2.0, 0.02, 20)


@pytest.fixture
def fine():
    pixels = np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)
    return Difference(
        pixels=pixels,
        noise=np.ones_like(pixels),
        mask=np.zeros(pixels.shape, np.uint8),
        sigma=1.0,
        fwhm=3.0,
        correlation=1.0,
        convolved="reference",
        scale=2.0,
        noise_ratio=1.0,
        finite_fraction=1.0,
        stars=20,
        method="alard-lupton",
    )


def test_a_good_difference_passes(fine):
    judge(fine, SCALE)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"finite_fraction": 0.02}, "2.0 % of the difference has data"),
        ({"finite_fraction": float("nan")}, "of the difference has data"),
        ({"stars": 2}, "2 stars are behind the kernel"),
        ({"scale": 2.6}, "flux ratio of 2.6"),
        ({"scale": 1.4}, "flux ratio of 1.4"),
        ({"scale": float("nan")}, "flux ratio of nan"),
        ({"noise_ratio": 0.3}, "0.30 times the expected noise"),
        ({"noise_ratio": 3.0}, "3.00 times the expected noise"),
        ({"noise_ratio": float("nan")}, "times the expected noise"),
        ({"sigma": 0.0}, "times the expected noise"),
    ],
)
def test_each_fault_is_named_with_frame_and_method(fine, changed, says):
    with pytest.raises(SubtractionError, match=says) as error:
        judge(replace(fine, **changed), SCALE, name="n7.fits")
    assert "n7.fits, alard-lupton" in str(error.value)
    assert ": " in str(error.value)


def test_nan_is_refused(fine):
    pixels = fine.pixels.copy()
    pixels[3, 3] = np.nan
    with pytest.raises(SubtractionError, match="holds NaN"):
        judge(replace(fine, pixels=pixels), SCALE)


def test_few_stars_give_the_scale_more_room(fine):
    judge(replace(fine, scale=2.5), Scale(2.0, 0.1, 3))
