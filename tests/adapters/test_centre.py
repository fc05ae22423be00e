"""The source's place in cutouts that were cut, padded, or moved."""

from __future__ import annotations

import made
import numpy as np
import pytest
from astropy.wcs import WCS
from numpy.typing import NDArray

from realbogus.adapters.centre import Place, centre_by_header, find_centre
from realbogus.adapters.missing import cleaned

# low edges, high edges, corners, just inside, the middle; (x, y) 0-based
PLACES = [
    (1500, 1500), (31, 31), (30, 1500), (1500, 30), (12, 900), (900, 3), (3071, 900), (3041, 900), (3040, 900),
    (900, 3079), (900, 3049), (900, 3048), (2, 2), (3070, 3078), (5, 3077), (3069, 4), (0, 0), (20.4, 12.6),
    (20.5, 12.5),
]  # fmt: skip


def _truth(x: float, y: float) -> tuple[int, int]:
    """Row and column of the source in what `made.cut_at` leaves."""
    row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    return row - max(row - 31, 0), column - max(column - 31, 0)


@pytest.mark.parametrize("where", PLACES, ids=str)
@pytest.mark.parametrize("style", ["cut", "far nan", "far zero", "far tiny", "near nan"])
def test_edges_are_found_however_they_were_treated(
    detector: NDArray[np.float32], where: tuple[float, float], style: str
) -> None:
    x, y = where
    row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    plane = made.cut_at(detector, row, column)
    truth = _truth(x, y)
    if style != "cut":
        value = {"nan": np.nan, "zero": 0.0, "tiny": 1e-9}[style.split()[1]]
        below, beside = 63 - plane.shape[0], 63 - plane.shape[1]
        if style.startswith("near"):  # as a survey pads that knows where its frame lies
            top, left = (below if row < 31 else 0), (beside if column < 31 else 0)
            truth = (31, 31)
        else:
            top = left = 0
        plane = np.pad(plane, ((top, below - top), (left, beside - left)), constant_values=value)
    clean, edges = cleaned(plane)
    found = find_centre([clean], edges, side=63, place=Place(x, y, made.WIDTH, made.HEIGHT))
    assert (found.y, found.x) == truth
    assert found.how == (
        "whole" if min(row, column, made.HEIGHT - 1 - row, made.WIDTH - 1 - column) >= 31 else "position"
    )
    # the pixel there is the detector's own
    assert clean[found.y, found.x] == detector[row, column]


@pytest.mark.parametrize("where", [(12, 900), (900, 3), (3065, 900), (2, 5), (900, 3070), (1500, 1500)], ids=str)
@pytest.mark.parametrize("padded", [False, True])
def test_without_a_position_the_source_itself_says_it(
    detector: NDArray[np.float32], where: tuple[int, int], padded: bool
) -> None:
    x, y = where
    truth = _truth(x, y)
    plane = made.star(made.cut_at(detector, y, x), *truth, -40.0)
    if padded:
        plane = np.pad(plane, ((0, 63 - plane.shape[0]), (0, 63 - plane.shape[1])), constant_values=np.nan)
    clean, edges = cleaned(plane)
    found = find_centre([clean], edges, side=63)
    assert (found.y, found.x) == truth
    assert found.how == ("whole" if where == (1500, 1500) else "measured")


def test_with_nothing_to_see_the_middle_is_assumed() -> None:
    clean, edges = cleaned(made.noise((45, 63), 9))
    assert find_centre([clean], edges, side=63).how == "assumed"
    assert find_centre([np.full((45, 63), np.nan, "f4")], (45, 45, 63, 63), side=63).how == "assumed"


def test_a_survey_that_rounds_otherwise_is_followed() -> None:
    """One line more or less than the position says: what is whole at its end tells where the source is."""
    for rows in (44, 45, 46):
        found = find_centre([made.noise((rows, 63))], (0, 0, 0, 0), side=63, place=Place(800, 13, 3072, 3080))
        assert (found.y, found.x, found.how) == (rows - 32, 31, "position")


def test_a_header_has_the_source_where_astropy_has_it() -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval = [-812.0, 377.5], [210.0, -45.0]
    wcs.wcs.cd = np.array([[-1.1, 0.2], [0.2, 1.1]]) / 3600
    ra, dec = wcs.all_pix2world([[17.3, 40.2]], 0)[0]
    header = dict(wcs.to_header())
    assert centre_by_header(header, (64, 64), ra, dec) == pytest.approx((17.3, 40.2), abs=1e-3)
    assert centre_by_header(header, (64, 17), ra, dec) is None  # beyond its edge
    assert centre_by_header(header, (64, 64), float("nan"), dec) is None
    assert centre_by_header({}, (64, 64), ra, dec) is None
    first = wcs.sub([2, 1]).to_header()  # the same sky with declination as the first axis, x and y exchanged
    assert str(first["CTYPE1"]).startswith("DEC")
    assert centre_by_header(first, (64, 64), ra, dec) == pytest.approx((40.2, 17.3), abs=1e-3)
    at = {"CTYPE1": "DEC--TAN", "CRPIX1": 12.0, "CRPIX2": 16.0, "CRVAL1": 2.0, "CRVAL2": 150.0}
    assert centre_by_header(at, (30, 30), 150.0, 2.0) == (11.0, 15.0)
    assert centre_by_header({"CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": 1.0, "CRVAL2": 1.0}, (64, 64), ra, dec) is None


def test_missing_pixels_of_every_kind() -> None:
    plane = made.noise((40, 50), 4) + 100
    plane[3, 4], plane[5, 6], plane[7, 8] = np.inf, -3.4e38, np.nan
    plane[20:24, 10:14] = 0  # beside a footprint
    plane[30, 30] = 0  # one pixel may well be zero
    plane[-2:] = 7.0
    clean, edges = cleaned(plane)
    lost = np.isnan(clean)
    assert edges == (0, 2, 0, 0)
    assert lost.sum() == 3 + 16 + 100
    assert not lost[30, 30]
    np.testing.assert_array_equal(clean[~lost], plane[~lost])
    assert not np.isnan(plane[30]).any()  # what was handed in stays as it was
    empty, edges = cleaned(np.zeros((9, 9), "f4"))
    assert np.isnan(empty).all() and edges == (9, 9, 9, 9)


def test_noise_below_the_digits_is_no_gap() -> None:
    plane = np.rint(made.noise((63, 63), 5) / made.NOISE * 0.3).astype("f4")
    assert (plane == 0).mean() > 0.8
    assert np.isfinite(cleaned(plane)[0]).all()
    wide = np.rint(made.noise((63, 63), 5))  # whole numbers, and a gap among them
    wide[:20, :30] = 0
    assert 600 <= np.isnan(cleaned(wide)[0]).sum() < 640
