"""Every number against scikit-learn or a count by hand, ties included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from realbogus import metrics
from realbogus.errors import InputError

#: Few distinct scores, so that most examples hold ties; both classes always there.
LABELLED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).map(
    lambda rows: (
        np.array([score / 6 for score, _ in rows] + [0.5, 0.5]),
        np.array([int(label) for _, label in rows] + [0, 1]),
    )
)


@given(LABELLED)
@settings(max_examples=60, deadline=None)
def test_areas_agree_with_sklearn(data):
    scores, labels = data
    assert metrics.roc_auc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert metrics.average_precision(scores, labels) == pytest.approx(sk.average_precision_score(labels, scores))


@given(LABELLED, st.sampled_from([0.0, 0.3, 0.5, 2 / 3, 1.0, 1.1]))
@settings(max_examples=60, deadline=None)
def test_confusion_agrees_with_sklearn(data, threshold):
    scores, labels = data
    called = scores >= threshold
    ours = metrics.confusion(scores, labels, threshold)
    tn, fp, fn, tp = sk.confusion_matrix(labels, called, labels=[0, 1]).ravel()
    assert (ours.tp, ours.fp, ours.fn, ours.tn) == (tp, fp, fn, tn)
    assert ours.total == len(labels)
    assert ours.accuracy == pytest.approx(sk.accuracy_score(labels, called))
    assert ours.recall == pytest.approx(sk.recall_score(labels, called))
    assert ours.specificity == pytest.approx(sk.recall_score(labels, called, pos_label=0))
    assert ours.false_positive_rate == pytest.approx(1 - ours.specificity)
    if called.any():
        assert ours.precision == pytest.approx(sk.precision_score(labels, called))
        assert ours.f1 == pytest.approx(sk.f1_score(labels, called))
    else:
        assert math.isnan(ours.precision)


@given(LABELLED)
@settings(max_examples=60, deadline=None)
def test_operating_points_are_the_counts_at_each_threshold(data):
    scores, labels = data
    points = metrics.operating_points(scores, labels)
    np.testing.assert_array_equal(points.thresholds, np.unique(scores)[::-1])
    for k, threshold in enumerate(points.thresholds):
        counts = metrics.confusion(scores, labels, threshold)
        assert (points.tp[k], points.fp[k]) == (counts.tp, counts.fp)
        assert points.precision[k] == pytest.approx(counts.precision)
        assert points.recall[k] == pytest.approx(counts.recall)
        assert points.false_positive_rate[k] == pytest.approx(counts.false_positive_rate)


@given(LABELLED)
@settings(max_examples=60, deadline=None)
def test_crossing_is_the_best_of_all_thresholds(data):
    scores, labels = data
    chosen = metrics.confusion(scores, labels, metrics.precision_recall_crossing(scores, labels))
    assert chosen.tp > 0
    everything = [metrics.confusion(scores, labels, t) for t in np.unique(scores)]
    gaps = [abs(c.precision - c.recall) for c in everything if c.tp]
    assert abs(chosen.precision - chosen.recall) == pytest.approx(min(gaps), abs=1e-12)


def test_crossing_is_exact_without_ties():
    rng = np.random.default_rng(3)
    labels = rng.random(2000) < 0.05
    scores = np.float32(rng.normal(size=2000) + 2.5 * labels)
    at = metrics.confusion(scores, labels, metrics.precision_recall_crossing(scores, labels))
    assert at.precision == at.recall
    assert at.tp + at.fp == labels.sum()


def test_crossing_prefers_a_true_positive_to_an_empty_equality():
    # at 0.9 precision = recall = 0; only 0.1 finds the real one
    assert metrics.precision_recall_crossing([0.9, 0.1], [0, 1]) == 0.1


@given(LABELLED, st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_recall_at_rate_is_the_best_allowed(data, rate):
    scores, labels = data
    everything = [metrics.confusion(scores, labels, t) for t in np.unique(scores)]
    best = max([c.recall for c in everything if c.false_positive_rate <= rate], default=0.0)
    assert metrics.recall_at_false_positive_rate(scores, labels, rate) == pytest.approx(best)


@given(LABELLED, st.floats(0.01, 1))
@settings(max_examples=60, deadline=None)
def test_threshold_at_recall_is_the_strictest_that_keeps_it(data, recall):
    scores, labels = data
    threshold = metrics.threshold_at_recall(scores, labels, recall)
    assert metrics.confusion(scores, labels, threshold).recall >= recall
    stricter = np.unique(scores)[np.unique(scores) > threshold]
    assert all(metrics.confusion(scores, labels, t).recall < recall for t in stricter)


def test_the_paper():
    scores = np.repeat([1.0, 1.0, 0.0, 0.0], [68, 9, 6, 4917])
    labels = np.repeat([1, 0, 1, 0], [68, 9, 6, 4917])
    counts = metrics.confusion(scores, labels)
    assert counts == metrics.Confusion(68, 9, 6, 4917)
    assert [round(100 * v, 2) for v in (counts.precision, counts.recall, counts.specificity)] == [
        88.31,
        91.89,
        99.82,
    ]


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_gives_nan_not_a_number(labels):
    scores = np.linspace(0, 1, len(labels))
    assert math.isnan(metrics.roc_auc(scores, labels))
    assert math.isnan(metrics.recall_at_false_positive_rate(scores, labels, 0.1))
    if 1 not in labels:
        assert math.isnan(metrics.average_precision(scores, labels))
        assert math.isnan(metrics.precision_recall_crossing(scores, labels))
        assert math.isnan(metrics.threshold_at_recall(scores, labels, 0.9))
        assert np.isnan(metrics.operating_points(scores, labels).recall).all()
    else:
        assert np.isnan(metrics.operating_points(scores, labels).false_positive_rate).all()
        assert metrics.average_precision(scores, labels) == 1.0


def test_empty_confusion_is_all_nan():
    empty = metrics.confusion([], [])
    ratios = (empty.precision, empty.recall, empty.specificity, empty.f1, empty.accuracy)
    assert all(math.isnan(v) for v in ratios)


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([0.1, 0.2], [1], "one length"),
        ([[0.1]], [[1]], "one length"),
        ([0.1, float("nan")], [1, 0], "1 of 2 scores are NaN"),
        ([0.1, 0.2], [1, 2], "0 .bogus. or 1 .real."),
        ([0.1, 0.2], [1, float("nan")], "0 .bogus. or 1 .real."),
    ],
)
def test_bad_input_is_named(scores, labels, words):
    with pytest.raises(InputError, match=words):
        metrics.confusion(scores, labels)


def test_impossible_targets_are_named():
    with pytest.raises(InputError, match=r"rate 1\.5"):
        metrics.recall_at_false_positive_rate([0.1], [1], 1.5)
    with pytest.raises(InputError, match="recall 0"):
        metrics.threshold_at_recall([0.1], [1], 0.0)
