"""Labelled stamps from simulations."""

import numpy as np
import pytest
from astropy.table import Table

from realbogus.dataset.assemble import label_by_truth, simulate_stamps
from realbogus.stamps import IGNORE


def detections(*rows):
    return Table(rows=[(*row,) for row in rows], names=("x", "y", "sign"))


def test_only_the_nearest_of_the_right_sign_is_real():
    found = detections((10.0, 10.0, 1), (11.5, 10.0, 1), (10.2, 10.0, -1), (40.0, 40.0, 1))
    truth = Table({"x": [10.1], "y": [10.0], "flux": [5.0]})
    labels, match = label_by_truth(found, truth)
    assert labels.tolist() == [1, IGNORE, IGNORE, 0]
    assert match.tolist() == [0, -1, -1, -1]


def test_a_fading_source_needs_a_negative_detection():
    found = detections((10.0, 10.0, 1), (50.0, 50.0, -1))
    truth = Table({"x": [10.0, 50.0], "y": [10.0, 50.0], "flux": [-5.0, -5.0]})
    assert label_by_truth(found, truth)[0].tolist() == [IGNORE, 1]


def test_one_detection_is_never_two_sources():
    found = detections((10.0, 10.0, 1))
    truth = Table({"x": [9.5, 10.5], "y": [10.0, 10.0], "flux": [5.0, 5.0]})
    assert (label_by_truth(found, truth)[1] >= 0).sum() == 1


def test_ambiguous_places_are_ignored_and_nothing_gives_nothing():
    found = detections((30.0, 30.0, 1), (80.0, 80.0, 1))
    ignore = Table({"x": [31.0], "y": [30.0], "radius": [4.0]})
    empty = Table({"x": [], "y": [], "flux": []})
    assert label_by_truth(found, empty, ignore)[0].tolist() == [IGNORE, 0]
    assert len(label_by_truth(found[:0], empty)[0]) == 0


@pytest.fixture(scope="module")
def stamps():
    return simulate_stamps("varied", 3, seed=11, size=256)


def test_both_labels_and_all_facts_are_there(stamps):
    labels = stamps.labels
    assert (labels == 1).sum() >= 5 and (labels == 0).sum() >= 1
    assert np.isfinite(stamps.pixels).all() and (stamps.noise > 0).all() and (stamps.fwhm > 1).all()
    assert stamps.channels == ("difference", "science", "reference")
    real = stamps.catalogue[labels == 1]
    assert (np.abs(real["true_snr"]) > 1).all() and not np.isnan(real["true_snr"]).any()
    assert len(set(stamps.catalogue["id"])) == len(stamps)


def test_a_range_of_pairs_is_the_same_alone_and_in_company(stamps):
    alone = simulate_stamps("varied", 1, seed=11, first=2, size=256)
    mine = stamps.select(np.asarray(stamps.catalogue["frame"]) == "11-2")
    np.testing.assert_array_equal(alone.pixels, mine.pixels)
    assert list(alone.catalogue["id"]) == list(mine.catalogue["id"])


def test_real_stamps_hold_their_source_in_the_centre(stamps):
    bright = stamps.select((stamps.labels == 1) & (np.nan_to_num(np.abs(stamps.catalogue["true_snr"])) > 20))
    assert len(bright)
    for stamp in np.abs(bright.pixels[:, 0]):
        y, x = np.unravel_index(stamp[24:41, 24:41].argmax(), (17, 17))
        assert np.hypot(x - 8, y - 8) <= 4.5
