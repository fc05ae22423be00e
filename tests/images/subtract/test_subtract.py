from dataclasses import replace

import numpy as np
import pytest

from realbogus.errors import SubtractionError, UnknownNameError
from realbogus.images.frame import NODATA, SATURATED
from realbogus.images.subtract import METHODS, Matched, subtract


def test_table_names_its_methods():
    assert tuple(METHODS) == ("alard-lupton", "hotpants", "plain")


def test_unknown_method_lists_the_known(field):
    made = field()
    with pytest.raises(UnknownNameError, match="known are alard-lupton, hotpants, plain"):
        subtract(made.science, made.reference, made.measurement, method="alard")


def test_a_method_may_be_any_callable(field):
    made = field()

    def mine(pair, *, jobs):
        noise = np.full(pair.shape, 10.0, np.float32)
        return Matched(pair.science - pair.reference, noise, "none", 1.0, 9)

    assert subtract(made.science, made.reference, made.measurement, method=mine).method == "mine"


def test_a_method_that_fails_in_silence_is_caught(field):
    made = field()

    def empty(pair, *, jobs):
        noise = np.full(pair.shape, 10.0, np.float32)
        invalid = np.ones(pair.shape, bool)
        invalid[:5] = False
        return Matched(np.zeros(pair.shape, np.float32), noise, "none", 1.0, 9, invalid=invalid)

    with pytest.raises(SubtractionError, match="of the difference has data"):
        subtract(made.science, made.reference, made.measurement, method=empty)


@pytest.mark.parametrize("method", ["alard-lupton", "plain"])
def test_masked_pixels_are_zero_and_carry_their_bits(field, method):
    made = field()
    mask, reference_mask = made.science.mask.copy(), made.reference.frame.mask.copy()
    mask[100:104, 100:104] = SATURATED
    reference_mask[:, :40] = NODATA
    noise = made.reference.noise.copy()
    noise[:, :40] = np.nan
    pixels = made.reference.frame.pixels.copy()
    pixels[:, :40] = 0
    reference = replace(
        made.reference, frame=replace(made.reference.frame, pixels=pixels, mask=reference_mask), noise=noise
    )
    difference = subtract(replace(made.science, mask=mask), reference, made.measurement, method=method)
    assert (difference.mask[:, :40] & NODATA).all()
    assert (difference.mask[96:108, 101] & SATURATED).all()
    lost = (difference.mask & (NODATA | SATURATED)) != 0
    assert (difference.pixels[lost] == 0).all()
    assert (difference.pixels[~lost] != 0).mean() > 0.99
    assert np.isfinite(difference.noise).all() and (difference.noise > 0).all()
    assert difference.finite_fraction == pytest.approx(1 - lost.mean())
    assert difference.pixels.dtype == difference.noise.dtype == np.float32
    assert difference.mask.dtype == np.uint8


def test_a_smooth_residual_sky_is_taken_off(field):
    made = field()
    y, x = np.mgrid[:280, :300] / 300
    tilted = replace(made.science, pixels=(made.science.pixels + 80 * x - 50 * y**2).astype(np.float32))
    difference = subtract(tilted, made.reference, made.measurement)
    corners = [difference.pixels[a : a + 60, b : b + 60].mean() for a in (20, 200) for b in (20, 220)]
    assert np.abs(corners).max() < 3


def test_grids_must_agree(field):
    made, other = field(), field(shape=(200, 300))
    with pytest.raises(SubtractionError, match="warp the reference"):
        subtract(made.science, other.reference, made.measurement)


def test_no_overlap_is_an_error(field):
    made = field()
    nothing = replace(made.reference.frame, mask=np.full(made.science.shape, NODATA, np.uint8))
    with pytest.raises(SubtractionError, match="has data on both sides"):
        subtract(made.science, replace(made.reference, frame=nothing), made.measurement)


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0])
def test_psf_size_must_be_a_number(field, value):
    made = field()
    with pytest.raises(SubtractionError, match="PSF sizes"):
        subtract(made.science, made.reference, replace(made.measurement, fwhm=value))


def test_inputs_are_left_alone(field):
    made = field(science_fwhm=3.0, reference_fwhm=3.8)
    before = [a.copy() for a in (made.science.pixels, made.science.mask, made.reference.frame.pixels)]
    subtract(made.science, made.reference, made.measurement)
    after = (made.science.pixels, made.science.mask, made.reference.frame.pixels)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
