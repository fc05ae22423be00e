"""Pictures: what is bright is bright, what is missing is hatched, up is up."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.table import Table
from astropy.visualization import ZScaleInterval
from astropy.wcs import WCS
from PIL import Image

from realbogus.errors import UnknownNameError
from realbogus.vetting.orientation import orientations
from realbogus.vetting.pictures import STRETCHES, levels, sheet, sheet_png

CHANNELS = ("science", "difference")


@pytest.fixture
def pixels():
    planes = np.random.default_rng(1).normal(100, 5, (4, 2, 32, 32)).astype(np.float32)
    planes[:, 1] -= 100
    planes[:, 0, 16, 16] += 400
    planes[:, 1, 16, 16] += 400
    planes[:, 1, 4, 16] -= 400
    return planes


@pytest.mark.parametrize("stretch", list(STRETCHES))
def test_bright_is_bright_and_the_difference_has_two_signs(pixels, stretch):
    found = levels(pixels, CHANNELS, np.full(4, 5.0, "float32"), stretch)
    assert (found[:, 0, 16, 16] == 125).all() and found[:, 0].max() < 126
    middle = 126 + 63
    assert (found[:, 1, 16, 16] > middle + 50).all() and (found[:, 1, 4, 16] < middle - 50).all()
    assert abs(float(np.median(found[:, 1])) - middle) <= 1


def test_zscale_is_astropys(pixels):
    low, high = ZScaleInterval(n_samples=600).get_limits(pixels[0, 0].ravel())
    share = np.clip((pixels[0, 0] - low) / (high - low), 0, 1)
    found = levels(pixels[:1], CHANNELS, np.ones(1, "float32"), "zscale")[0, 0]
    assert np.abs(found / 125 - share).max() < 0.01


@pytest.mark.parametrize("stretch", list(STRETCHES))
def test_nothing_breaks_a_picture(stretch):
    """Constants, nothing but gaps, and the fill values of real surveys."""
    planes = np.zeros((5, 2, 16, 16), dtype=np.float32)
    planes[1] = np.nan
    planes[2, 0] = -3.4e38
    planes[3, :, :8] = np.inf
    planes[4] = 1e6
    found = levels(planes, CHANNELS, np.array([0, np.nan, -1, 5, 5], "float32"), stretch)
    assert (found[1] >= 252).all() and (found[2, 0] >= 252).all() and (found[3, :, :8] >= 252).all()
    assert (found[3, :, 8:] < 252).all() and (found[0] < 252).all() and (found[4] < 252).all()


def test_row_zero_is_at_the_bottom_and_stamps_lie_in_rows(pixels):
    pixels[2, 0, 0, 5] = 9999  # below, left of the middle
    picture = Image.open(io.BytesIO(sheet_png(pixels, CHANNELS, np.ones(4, "float32")))).convert("RGB")
    assert picture.size == (64, 128)
    assert picture.getpixel((5, 2 * 32 + 31)) == (255, 255, 255)


def test_colours_are_told_apart_without_red_and_green(pixels):
    """Blue and orange differ in the channel that nobody lacks, and both are lighter than the middle."""
    picture = sheet(pixels, CHANNELS, np.ones(4, "float32")).getpalette()
    colours = np.array(picture).reshape(-1, 3).astype(int)[126:252]
    negative, middle, positive = colours[30], colours[63], colours[95]
    assert negative[2] - negative[0] > 100 and positive[0] - positive[2] > 100
    assert min(negative.sum(), positive.sum()) > 3 * middle.sum()


def test_an_unknown_stretch_lists_the_known_ones(pixels):
    with pytest.raises(UnknownNameError, match="asinh, percentile, zscale"):
        levels(pixels, CHANNELS, np.ones(4, "float32"), "sqrt")


def frame_wcs(angle: float, mirrored: bool, ra: float) -> WCS:
    wcs = WCS(naxis=2)
    turn, scale = np.radians(angle), 1e-3
    # north lies `angle` degrees counterclockwise from +y; east 90 degrees further, or less where mirrored
    east = (-np.cos(turn), -np.sin(turn)) if not mirrored else (np.cos(turn), np.sin(turn))
    wcs.wcs.cd = scale * np.array([east, (-np.sin(turn), np.cos(turn))])
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.ctype = [ra, 41.0], [200, 200], ["RA---TAN", "DEC--TAN"]
    return wcs


@pytest.mark.parametrize("ra", [10.0, 0.0])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.0, 30.0, -120.0, 179.0])
def test_north_by_matrix_and_by_positions(angle, mirrored, ra):
    wcs, rng = frame_wcs(angle, mirrored, ra), np.random.default_rng(0)
    x, y = rng.uniform(0, 400, (2, 6))
    sky = wcs.pixel_to_world(x, y)
    matrix = {f"cd{i + 1}_{j + 1}": np.full(6, wcs.wcs.cd[i, j]) for i in (0, 1) for j in (0, 1)}
    places = {"frame": ["f"] * 6, "x": x, "y": y, "ra": sky.ra.deg, "dec": sky.dec.deg}
    for columns in (matrix, places):
        north, parity = orientations(Table(columns))
        assert np.abs((north - angle + 180) % 360 - 180).max() < 0.5
        assert set(parity.tolist()) == {-1 if mirrored else 1}


def test_north_is_not_guessed():
    nothing = [
        {"x": [1.0, 2.0, 3.0]},
        {
            "frame": ["a", "a", "b"],
            "x": [1.0, 9.0, 3.0],
            "y": [1.0, 5.0, 3.0],
            "ra": [1.0, 2.0, 3.0],
            "dec": [1.0, 2.0, 3.0],
        },
        {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0], "ra": [1.0, 1.1, 1.2], "dec": [0.0, 0.1, 0.2]},  # on a line
        {
            "x": [0.0, 900.0, 0.0, 900.0],
            "y": [0.0, 0.0, 900.0, 900.0],
            "ra": [1.0, 1.1, 1.2, 5.0],
            "dec": [0.0, 3.1, 0.2, 0.0],
        },
    ]
    for columns in nothing:
        north, parity = orientations(Table(columns))
        assert np.isnan(north).all() and (parity == 1).all()


def test_a_column_may_say_where_north_is():
    north, parity = orientations(Table({"north_deg": [10.0, np.nan], "parity": [-1, 1]}))
    assert north[0] == 10.0 and np.isnan(north[1]) and parity.tolist() == [-1, 1]
