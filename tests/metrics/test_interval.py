"""Intervals against distributions that are known: binomial counts, Hanley & McNeil's AUC."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from realbogus import metrics
from realbogus.errors import InputError


def paper() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 candidates of section 4.3."""
    return np.repeat([1.0, 1.0, 0.0, 0.0], [68, 9, 6, 4917]), np.repeat([1, 0, 1, 0], [68, 9, 6, 4917])


def test_recall_of_the_paper_is_binomial():
    scores, labels = paper()
    recall = lambda s, y: metrics.confusion(s, y).recall  # noqa: E731
    low, high = metrics.bootstrap_interval(recall, scores, labels, rng=np.random.default_rng(0))
    exact = stats.binom.ppf([0.025, 0.975], 74, 68 / 74) / 74
    assert [low, high] == pytest.approx(exact, abs=1.01 / 74)
    assert low < 68 / 74 < high


def test_classes_keep_their_numbers_and_seeds_their_results():
    scores, labels = paper()
    seen = []

    def count(values, truth):
        seen.append((int(truth.sum()), len(truth)))
        return float(values.sum())

    first = metrics.bootstrap_interval(count, scores, labels, rng=np.random.default_rng(3), draws=50)
    assert set(seen) == {(74, 5000)}
    assert first == metrics.bootstrap_interval(count, scores, labels, rng=np.random.default_rng(3), draws=50)
    assert first != metrics.bootstrap_interval(count, scores, labels, rng=np.random.default_rng(4), draws=50)


def test_a_narrower_level_lies_inside():
    scores, labels = paper()
    wide, narrow = (
        metrics.bootstrap_interval(
            metrics.roc_auc, scores, labels, rng=np.random.default_rng(0), draws=200, level=level
        )
        for level in (0.99, 0.5)
    )
    assert wide[0] < narrow[0] < metrics.roc_auc(scores, labels) < narrow[1] < wide[1]


def test_what_is_nan_in_every_draw_is_nan():
    assert all(map(math.isnan, metrics.bootstrap_interval(metrics.roc_auc, [0.1], [1], rng=np.random.default_rng(0))))
    assert metrics.percentile_interval([np.nan, 1.0, 2.0, 3.0], 0.5) == (1.5, 2.5)


def test_wilson_is_scipys():
    for k, n in ((0, 5), (9, 10), (10, 10), (500, 1000)):
        low, high = metrics.wilson_interval(k, n)
        exact = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert [float(low), float(high)] == pytest.approx([exact.low, exact.high], abs=1e-6)
    assert np.isnan(metrics.wilson_interval(0, 0)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"draws": 0}, "0 draws"),
        ({"level": 1.0}, "level 1.0"),
        ({"scores": [], "labels": []}, "no candidates"),
        ({"scores": [0.1, np.nan]}, "1 of 2 scores are NaN"),
    ],
)
def test_bad_input_is_named(arguments, words):
    given = {"scores": [0.1, 0.2], "labels": [0, 1], "rng": np.random.default_rng(0)} | arguments
    with pytest.raises(InputError, match=words):
        metrics.bootstrap_interval(metrics.roc_auc, given.pop("scores"), given.pop("labels"), **given)
