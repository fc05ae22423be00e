"""Brier score, reliability and calibration error against scikit-learn and sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from realbogus import metrics
from realbogus.errors import InputError

LABELLED = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60).map(
    lambda rows: (np.array([s / 20 for s, _ in rows] + [0.3, 0.7]), np.array([int(v) for _, v in rows] + [0, 1]))
)


@given(LABELLED)
@settings(max_examples=60, deadline=None)
def test_brier_agrees_with_sklearn(data):
    scores, labels = data
    assert metrics.brier(scores, labels) == pytest.approx(brier_score_loss(labels, scores))
    weights = metrics.class_weights(labels, 0.1)
    assert metrics.brier(scores, labels, prevalence=0.1) == pytest.approx(
        brier_score_loss(labels, scores, sample_weight=weights)
    )


@given(LABELLED, st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_bins_are_those_of_sklearn(data, bins):
    scores, labels = data
    found = metrics.reliability(scores, labels, bins)
    share, mean = calibration_curve(labels, scores, n_bins=bins, strategy="uniform")
    filled = found.weight > 0
    np.testing.assert_allclose(found.share_real[filled], share)
    np.testing.assert_allclose(found.mean_score[filled], mean)
    assert np.isnan(found.share_real[~filled]).all()
    assert found.weight.sum() == pytest.approx(1)
    assert (found.real.sum(), found.bogus.sum()) == (labels.sum(), (1 - labels).sum())
    error = np.sum(found.weight[filled] * np.abs(share - mean))
    assert metrics.expected_calibration_error(scores, labels, bins) == pytest.approx(error)


def test_worked_by_hand():
    scores, labels = [0.1, 0.3, 0.8, 0.9], [0, 1, 1, 1]
    assert metrics.brier(scores, labels) == pytest.approx((0.01 + 0.49 + 0.04 + 0.01) / 4)
    # bins of one half: |1/2 - 0.2| and |1 - 0.85|, half of the candidates each
    assert metrics.expected_calibration_error(scores, labels, 2) == pytest.approx((0.3 + 0.15) / 2)
    # one real in five of the sample, one in two of the survey: weights 2.5 and 0.625
    labels = [1, 0, 0, 0, 0]
    np.testing.assert_allclose(metrics.class_weights(labels, 0.5), [2.5] + [0.625] * 4)
    np.testing.assert_array_equal(metrics.class_weights(labels), np.ones(5))
    binned = metrics.reliability([0.5] * 5, labels, 1, prevalence=0.5)
    assert binned.share_real[0] == pytest.approx(0.5)


def test_nothing_is_nan():
    assert math.isnan(metrics.brier([], []))
    assert math.isnan(metrics.expected_calibration_error([], []))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.brier([0.5, 1.2], [0, 1]), "0.5 to 1.2"),
        (lambda: metrics.brier([0.5, float("nan")], [0, 1]), "1 of 2 scores are NaN"),
        (lambda: metrics.brier([0.5], [0], prevalence=0.1), "0 of 1 candidates are real"),
        (lambda: metrics.class_weights([0, 1], 1.0), "prevalence 1.0"),
        (lambda: metrics.reliability([0.5], [0], 0), "0 bins"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
