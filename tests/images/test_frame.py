"""Frame: shape, mask bits, copies."""

from __future__ import annotations

import numpy as np

from realbogus.images.frame import BAD, NODATA, SATURATED, Frame


def test_unusable_is_no_data_or_saturated_but_not_bad() -> None:
    mask = np.array([[0, NODATA, SATURATED, BAD, BAD | SATURATED]], np.uint8)
    frame = Frame("a", np.zeros((1, 5), np.float32), mask)
    assert frame.shape == (1, 5)
    assert frame.unusable.tolist() == [[False, True, True, False, True]]


def test_with_pixels_keeps_the_rest() -> None:
    frame = Frame("a", np.zeros((2, 3), np.float32), np.ones((2, 3), np.uint8), gain=2.5, band="r")
    other = frame.with_pixels(np.ones((2, 3), np.float32))
    assert other.gain == 2.5 and other.band == "r" and other.pixels.sum() == 6 and other.mask.sum() == 6
    assert frame.pixels.sum() == 0
    assert frame.with_pixels(other.pixels, np.zeros((2, 3), np.uint8)).mask.sum() == 0
