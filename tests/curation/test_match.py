"""Matching, held against astropy's own and a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from realbogus.curation.match import nearest, places_of
from realbogus.errors import InputError


def test_the_sky_is_matched_as_astropy_does():
    rng = np.random.default_rng(1)
    # around the pole and across 0 h, where plain differences of degrees go wrong
    here = Table({"ra": rng.uniform(0, 360, 300), "dec": 90 - rng.uniform(0, 0.02, 300)})
    known = Table({"ra": rng.uniform(0, 360, 200), "dec": 90 - rng.uniform(0, 0.02, 200)})
    row, distance = nearest(places_of(here, sky=True), places_of(known, sky=True), 5.0)
    index, apart, _ = SkyCoord(here["ra"] * u.deg, here["dec"] * u.deg).match_to_catalog_sky(
        SkyCoord(known["ra"] * u.deg, known["dec"] * u.deg)
    )
    near = apart.arcsec <= 5.0
    assert 20 < near.sum() < 280
    assert np.array_equal(row >= 0, near)
    assert np.array_equal(row[near], index[near])
    assert np.allclose(distance[near], apart.arcsec[near], atol=1e-6)


def test_pixels_with_times_against_all_pairs():
    rng = np.random.default_rng(2)
    here = Table({"x": rng.uniform(0, 100, 80), "y": rng.uniform(0, 100, 80)})
    known = Table({"x": rng.uniform(0, 100, 60), "y": rng.uniform(0, 100, 60)})
    mjd, when = rng.uniform(60000, 60000.2, 80), rng.uniform(60000, 60000.2, 60)
    row, _ = nearest(places_of(here, sky=False), places_of(known, sky=False), 20.0, mjd=mjd, known_mjd=when,
                     within_days=0.03)  # fmt: skip
    far = np.hypot(here["x"][:, None] - known["x"], here["y"][:, None] - known["y"])
    far = np.where((far <= 20.0) & (np.abs(mjd[:, None] - when) <= 0.03), far, np.inf)
    wanted = np.where(np.isfinite(far.min(axis=1)), far.argmin(axis=1), -1)
    assert (wanted == -1).any()
    assert row.tolist() == wanted.tolist()


def test_the_common_frame_of_a_night_comes_before_its_own_pixels():
    rows = Table({"x": [1.0], "y": [2.0], "ref_x": [11.0], "ref_y": [12.0]})
    assert places_of(rows, sky=False).points.tolist() == [[11.0, 12.0]]


def test_places_that_are_not_known_match_nothing():
    here = places_of(Table({"ra": [np.nan, 1.0], "dec": [0.0, 0.0]}), sky=True)
    row, distance = nearest(here, places_of(Table({"ra": [1.0], "dec": [0.0]}), sky=True), 1.0)
    assert row.tolist() == [-1, 0]
    assert distance.tolist() == [np.inf, 0.0]


def test_sky_and_pixels_are_never_matched():
    with pytest.raises(InputError, match="cannot be matched with pixels"):
        nearest(places_of(Table({"ra": [1.0], "dec": [1.0]}), sky=True), places_of(Table({"x": [1.0], "y": [1.0]}),
                sky=False), 1.0)  # fmt: skip
