"""Stamps against slices and medians taken by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from realbogus.errors import InputError
from realbogus.images.cut import cut
from realbogus.images.frame import BAD, NODATA, SATURATED

H, W = 90, 120


@pytest.fixture(scope="module")
def channels():
    rng = np.random.default_rng(1)
    return [np.float32(rng.normal(level, 3, size=(H, W))) for level in (0, 1000, 900)]


def clear():
    return np.zeros((H, W), np.uint8)


def test_inside_a_stamp_is_a_slice(channels):
    stamps, missing, usable = cut(Table({"x": [60.4], "y": [44.6]}), channels, clear())
    assert stamps.shape == (1, 3, 64, 64) and stamps.dtype == np.float32
    for c, channel in enumerate(channels):
        np.testing.assert_array_equal(stamps[0, c], channel[45 - 32 : 45 + 32, 60 - 32 : 60 + 32])
    assert missing[0] == 0 and missing.dtype == np.float32
    assert usable[0] and usable.dtype == np.bool_


@given(
    x=st.floats(-30, W + 30),
    y=st.floats(-30, H + 30),
    size=st.sampled_from([16, 32, 64, 100]),
)
@settings(max_examples=80, deadline=None)
def test_anywhere_the_source_stays_centred_and_gaps_hold_the_median(x, y, size):
    rng = np.random.default_rng(1)
    image = np.float32(rng.normal(1000, 3, size=(H, W)))
    stamps, missing, usable = cut({"x": [x], "y": [y]}, [image], clear(), size=size)
    # independent: pad generously with NaN and slice
    margin = 200
    padded = np.pad(image, margin, constant_values=np.nan)
    row, column = int(np.floor(y + 0.5)) + margin, int(np.floor(x + 0.5)) + margin
    half = size // 2
    expected = padded[row - half : row + half, column - half : column + half]
    gap = np.isnan(expected)
    assert missing[0] == pytest.approx(gap.mean())
    np.testing.assert_array_equal(stamps[0, 0][~gap], expected[~gap])
    if gap.all():
        assert not usable[0] and np.all(stamps == 0)
    elif gap.any():
        assert np.all(stamps[0, 0][gap] == np.float32(np.median(expected[~gap])))
    # the source's own pixel is at [half, half]
    if 0 <= row - margin < H and 0 <= column - margin < W:
        assert stamps[0, 0, half, half] == image[row - margin, column - margin]


def test_masked_pixels_are_filled_per_channel_and_bad_ones_kept(channels):
    mask = clear()
    mask[40:44, 70:74] = NODATA
    mask[50:52, 50:52] = SATURATED
    mask[30, 60] = BAD
    loud = [channel.copy() for channel in channels]
    for channel in loud:
        channel[(mask & (NODATA | SATURATED)) != 0] = 6e4
    stamps, missing, usable = cut({"x": [60.0], "y": [45.0]}, loud, mask)
    inside = (mask[13:77, 28:92] & (NODATA | SATURATED)) != 0
    assert missing[0] == pytest.approx(20 / 64**2)
    assert usable[0]
    for c, channel in enumerate(loud):
        there = channel[13:77, 28:92][~inside]
        assert np.all(stamps[0, c][inside] == np.median(there))
        np.testing.assert_array_equal(stamps[0, c][~inside], there)


def test_a_lost_centre_is_not_usable_however_much_else_is_there(channels):
    mask = clear()
    mask[45 - 3 : 45 + 4, 60 - 3 : 60 + 4] = SATURATED
    _, missing, usable = cut({"x": [60.0, 66.0], "y": [45.0, 45.0]}, channels, mask)
    assert np.all(missing < 0.05)
    assert usable.tolist() == [False, True]


def test_min_valid_decides(channels):
    # the source two pixels from the left edge: 30 of 64 columns are missing
    at = {"x": [2.0], "y": [45.0]}
    _, missing, usable = cut(at, channels, clear(), min_valid=0.5)
    assert missing[0] == pytest.approx(30 / 64) and usable[0]
    assert not cut(at, channels, clear(), min_valid=0.6)[2][0]


def test_corner_is_not_usable(channels):
    _, missing, usable = cut({"x": [0.0], "y": [0.0]}, channels, clear())
    assert missing[0] == pytest.approx(0.75)
    assert not usable[0]


def test_rows_out_are_rows_in_whatever_the_positions(channels):
    x = [np.nan, np.inf, -1e300, 1e18, 60.0, -500.0]
    y = [45.0, 45.0, 45.0, -1e18, 45.0, 45.0]
    stamps, missing, usable = cut({"x": x, "y": y}, channels, clear())
    assert len(stamps) == len(missing) == len(usable) == 6
    assert usable.tolist() == [False, False, False, False, True, False]
    assert np.all(missing[[0, 1, 2, 3, 5]] == 1)
    assert np.isfinite(stamps).all()


def test_pixels_that_are_not_finite_in_any_channel_are_missing(channels):
    broken = [channel.copy() for channel in channels]
    broken[1][20, 60] = np.nan
    broken[2][21, 60] = np.inf
    stamps, missing, _ = cut({"x": [60.0], "y": [45.0]}, broken, clear())
    assert missing[0] == pytest.approx(2 / 64**2)
    assert np.isfinite(stamps).all()


def test_chunks_and_order(channels):
    rng = np.random.default_rng(2)
    at = {"x": rng.uniform(-5, W + 5, 1300), "y": rng.uniform(-5, H + 5, 1300)}
    stamps, missing, usable = cut(at, channels, clear(), size=16)
    for k in (0, 511, 512, 1023, 1299):
        one = cut({name: [values[k]] for name, values in at.items()}, channels, clear(), size=16)
        np.testing.assert_array_equal(stamps[k], one[0][0])
        assert missing[k] == one[1][0] and usable[k] == one[2][0]


def test_no_rows(channels):
    stamps, missing, usable = cut({"x": [], "y": []}, channels, clear(), size=32)
    assert stamps.shape == (0, 3, 32, 32) and missing.shape == usable.shape == (0,)


def test_structured_arrays_and_masked_columns(channels):
    rows = np.array([(60.0, 45.0)], dtype=[("x", "f4"), ("y", "f4")])
    assert cut(rows, channels, clear())[2][0]
    hidden = Table({"x": MaskedColumn([60.0, 60.0], mask=[False, True]), "y": [45.0, 45.0]})
    assert cut(hidden, channels, clear())[2].tolist() == [True, False]


def test_a_frame_smaller_than_the_stamp():
    image = np.full((20, 30), 5, np.float32)
    stamps, missing, usable = cut({"x": [15.0], "y": [10.0]}, [image], np.zeros((20, 30), np.uint8))
    assert np.all(stamps == 5)
    assert missing[0] == pytest.approx(1 - 600 / 4096) and not usable[0]


def test_the_inputs_stay_untouched(channels):
    mask = clear()
    mask[45, 60] = NODATA
    before = [channel.copy() for channel in channels]
    cut({"x": [60.0], "y": [45.0]}, channels, mask)
    for channel, old in zip(channels, before, strict=True):
        np.testing.assert_array_equal(channel, old)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"catalogue": {"x": [1.0]}}, "columns 'x' and 'y'"),
        ({"catalogue": {"x": [1.0], "y": [1.0, 2.0]}}, "one length"),
        ({"catalogue": {"x": ["a"], "y": ["b"]}}, "number columns"),
        ({"channels": []}, "0 channels"),
        ({"mask": np.zeros((5, 5), np.uint8)}, "one shape"),
        ({"size": 15}, "size 15"),
        ({"size": 8}, "size 8"),
        ({"min_valid": 1.5}, "min_valid 1.5"),
    ],
)
def test_bad_input_is_named(channels, change, words):
    good = {"catalogue": {"x": [1.0], "y": [1.0]}, "channels": channels, "mask": clear()}
    with pytest.raises(InputError, match=words):
        cut(**(good | change))
