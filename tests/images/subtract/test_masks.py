import numpy as np
import pytest

from realbogus.images.frame import BAD, NODATA, SATURATED
from realbogus.images.subtract.masks import grow_saturated, join_masks, spread_missing


def blank(side=101):
    return np.zeros((side, side), np.uint8)


@pytest.mark.parametrize(("radius", "fwhm"), [(0, 3.0), (6, 3.0), (6, 5.0), (20, 2.0)])
def test_saturated_stars_grow_by_two_pixels_fwhm_and_half_their_radius(radius, fwhm):
    y, x = np.mgrid[:101, :101]
    distance = np.hypot(x - 50, y - 48)
    mask = blank()
    mask[distance <= radius] = SATURATED
    area = (mask != 0).sum()
    grow_saturated(mask, fwhm)
    by = 2 + fwhm + 0.5 * np.sqrt(area / np.pi)
    grown = mask != 0
    assert grown[distance <= radius + by - 1].all()
    assert not grown[distance > radius + by + 1].any()


@pytest.mark.parametrize("at", [(0, 0), (0, 50), (100, 100), (99, 3)])
def test_growth_stops_at_the_border(at):
    mask = blank()
    mask[at] = SATURATED
    grow_saturated(mask, 3.0)
    y, x = np.mgrid[:101, :101]
    near = np.hypot(y - at[0], x - at[1]) <= 2 + 3 + 0.5 * np.sqrt(1 / np.pi)
    np.testing.assert_array_equal(mask != 0, near)


def test_two_stars_grow_each_by_its_own_size():
    mask = blank(200)
    mask[40:60, 40:60] = SATURATED
    mask[150, 150] = SATURATED
    grow_saturated(mask, 3.0)
    assert mask[50, 60:70].all() and not mask[150, 156:].any()


def test_a_saturated_hot_pixel_is_no_star():
    mask = blank()
    mask[50, 50] = SATURATED | BAD
    grow_saturated(mask, 3.0)
    assert (mask != 0).sum() == 1


def test_missing_pixels_spread_within_reach_across_tiles():
    mask, source = blank(700), blank(700)
    source[510, 511] = NODATA
    spread_missing(mask, source, 4)
    expected = blank(700)
    expected[506:515, 507:516] = NODATA
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("convolved", ["reference", "science", "none"])
def test_only_the_convolved_side_spreads_its_missing_pixels(convolved):
    science, reference = blank(), blank()
    science[30, 30] = reference[70, 70] = NODATA
    science[50, 50] = BAD
    mask = join_masks(science, reference, fwhm=3.0, reach=2, convolved=convolved)
    wide = 25 if convolved != "none" else 1
    inner = mask[2:-2, 2:-2] & NODATA
    assert inner[20:40, 20:40].astype(bool).sum() == (25 if convolved == "science" else 1)
    assert inner[60:80, 60:80].astype(bool).sum() == (25 if convolved == "reference" else 1)
    assert (mask[:2] == NODATA).all() == (wide == 25)
    assert mask[50, 50] == BAD and (mask & BAD).astype(bool).sum() == 1
    assert science[30, 31] == 0  # what came in is left alone
