"""Numbers at a fixed specificity against scikit-learn's ROC curve, purity against Bayes in whole candidates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from realbogus import metrics
from realbogus.errors import InputError
from realbogus.metrics.specificity import allowed_false_positives

LABELLED = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40).map(
    lambda rows: (np.array([s / 8 for s, _ in rows] + [0.5, 0.5]), np.array([int(v) for _, v in rows] + [0, 1]))
)


@given(LABELLED, st.sampled_from([0.0, 0.5, 0.9, 0.9925, 1.0]))
@settings(max_examples=100, deadline=None)
def test_recall_missed_and_threshold_agree_with_sklearn(data, specificity):
    scores, labels = data
    rate, recall, _ = roc_curve(labels, scores, drop_intermediate=False)
    best = recall[rate <= 1 - specificity + 1e-12].max()
    assert metrics.recall_at_specificity(scores, labels, specificity) == pytest.approx(best)
    missed = metrics.missed_at_specificity(scores, labels, specificity)
    assert isinstance(missed, int)
    assert missed == round(labels.sum() * (1 - best))
    threshold = metrics.threshold_at_specificity(scores, labels, specificity)
    if best == 0:
        assert math.isnan(threshold)
    else:
        counts = metrics.confusion(scores, labels, threshold)
        assert counts.fn == missed
        assert counts.specificity >= specificity - 1e-12
        assert threshold in scores[labels == 1]


def test_the_papers_specificity_is_exact_in_whole_candidates():
    assert [allowed_false_positives(n, 0.9925) for n in (4000, 35538, 399, 400)] == [30, 266, 2, 3]
    assert allowed_false_positives(10, 1.0) == 0


def test_one_class():
    assert math.isnan(metrics.recall_at_specificity([0.1, 0.2], [0, 0], 0.9))
    assert math.isnan(metrics.threshold_at_specificity([0.1, 0.2], [1, 1], 0.9))
    with pytest.raises(InputError, match="0 real and 2 bogus"):
        metrics.missed_at_specificity([0.1, 0.2], [0, 0], 0.9)


def test_purity_is_that_of_a_survey_counted_out():
    # 10,000 candidates, 100 real: 92 found, and 18 of 9,900 bogus pass
    assert metrics.purity_at_prevalence(0.92, 1 - 18 / 9900, 0.01) == pytest.approx(92 / (92 + 18))
    paper = metrics.Confusion(68, 9, 6, 4917)
    assert metrics.purity_at_prevalence(paper.recall, paper.specificity, 74 / 5000) == pytest.approx(paper.precision)
    assert np.isnan(metrics.purity_at_prevalence(0.0, 1.0, 0.01))
    np.testing.assert_allclose(metrics.purity_at_prevalence([1.0, 0.5], [1.0, 0.5], 0.5), [1.0, 0.5])


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_impossible_shares_are_named(value):
    with pytest.raises(InputError, match="specificity"):
        metrics.recall_at_specificity([0.1], [1], value)
    with pytest.raises(InputError, match="prevalence"):
        metrics.purity_at_prevalence(0.5, 0.5, value)
