"""Thresholds from injected sources."""

import numpy as np
import pytest
from astropy.table import Table

from realbogus.errors import InputError
from realbogus.pipeline.calibrate import (
    completeness_bins,
    cross_validated,
    snr_bins,
    threshold_at_completeness,
)


def test_the_threshold_keeps_the_share_and_no_more():
    scores = np.random.default_rng(1).random(1000)
    for share in (0.5, 0.9, 0.97):
        threshold = threshold_at_completeness(scores, share)
        kept = (scores >= threshold).mean()
        assert share <= kept < share + 0.0011


def test_too_few_sources_are_refused():
    with pytest.raises(InputError, match="inject more"):
        threshold_at_completeness([0.5] * 9, 0.9)


def test_what_has_no_score_never_sets_the_threshold():
    scores = [0.9] * 95 + [-1.0] * 5
    assert threshold_at_completeness(scores, 0.9) == 0.9
    with pytest.raises(InputError, match="5 have no score"):
        threshold_at_completeness(scores, 0.97)


def test_cross_validation_never_uses_a_frame_on_itself():
    # one frame's injections score low: a threshold set without it must lose them all
    frames = np.repeat([f"f{k}" for k in range(10)], 20)
    scores = np.where(frames == "f3", 0.1, 0.9)
    check = cross_validated(scores, list(frames), np.zeros(5), ["f0"] * 5, 0.95, folds=10)
    assert not check["found"][frames == "f3"].any()
    assert check["found"][frames != "f3"].all()
    assert not check["natural"].any() and len(check["thresholds"]) == 10


def test_cross_validated_completeness_is_unbiased():
    rng = np.random.default_rng(2)
    frames = [f"f{k % 40}" for k in range(4000)]
    check = cross_validated(rng.random(4000), frames, rng.random(4000), frames, 0.9)
    assert check["found"].mean() == pytest.approx(0.9, abs=0.02)
    assert check["natural"].mean() == pytest.approx(0.9, abs=0.02)


def test_one_frame_is_no_reason_to_fail():
    check = cross_validated(np.linspace(0, 1, 50), ["f"] * 50, [0.99, 0.0], ["f", "f"], 0.9)
    assert check["found"].sum() == 45 and check["natural"].tolist() == [True, False]


def test_bins_count_every_row_once():
    snr = np.random.default_rng(3).uniform(1, 200, 500)
    assert sum(row["n"] for row in snr_bins(snr)) == 500
    assert sum(row["n"] for row in snr_bins(-snr)) == 500


def test_found_means_detected_and_above():
    truth = Table({"snr": [6.0, 6.0, 6.0], "detected": [True, True, False]})
    row = completeness_bins(truth, np.array([True, False, True]))[0]
    assert (row["n"], row["detected"], row["found"]) == (3, 2, 1)
