"""All draws at once: the draw that is the sample itself gives the sample's numbers, and many give its spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from realbogus import metrics
from realbogus.errors import InputError


class Itself(np.random.Generator):
    """A generator whose only draw is the sample itself."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def multinomial(self, n, pvals, size=None):
        return np.tile(np.round(n * np.asarray(pvals)).astype(np.int64), (size, 1))


LABELLED = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60).map(
    lambda rows: (np.array([s / 9 for s, _ in rows] + [0.5, 0.5]), np.array([int(v) for _, v in rows] + [0, 1]))
)


def agrees(scores, labels):
    drawn = metrics.resample(scores, labels, rng=Itself(), draws=2, thresholds=[0.5, 9.0])
    assert drawn.roc_auc() == pytest.approx(sk.roc_auc_score(labels, scores))
    assert drawn.average_precision() == pytest.approx(sk.average_precision_score(labels, scores))
    for specificity in (0.5, 0.9, 0.9925, 1.0):
        missed = metrics.missed_at_specificity(scores, labels, specificity)
        assert (drawn.missed_at_specificity(specificity) == missed).all()
        recall = metrics.recall_at_specificity(scores, labels, specificity)
        assert drawn.recall_at_specificity(specificity) == pytest.approx(recall)
    assert drawn.precision_recall_crossing() == pytest.approx(metrics.precision_recall_crossing(scores, labels))
    ratios, counts = drawn.ratios_at(0.5), metrics.confusion(scores, labels, 0.5)
    for name in ("specificity", "recall", "precision", "f1", "accuracy"):
        assert ratios[name] == pytest.approx(getattr(counts, name), nan_ok=True)
    assert (drawn.counts_at(9.0)[0] == 0).all()
    return drawn


@given(LABELLED)
@settings(max_examples=100, deadline=None)
def test_the_sample_itself(data):
    agrees(*data)


def test_the_sample_itself_with_few_real_among_many():
    rng = np.random.default_rng(0)
    labels = np.arange(20000) < 25
    scores = np.float32(rng.normal(2.5 * labels))
    drawn = agrees(scores, labels)
    # bogus whose order decides nothing are drawn together
    assert len(drawn.thresholds) < 300


def test_spread_is_that_of_draws_one_by_one():
    rng = np.random.default_rng(1)
    labels = np.arange(1500) < 100
    scores = np.clip(rng.normal(0.3 + 0.3 * labels, 0.15), 0, 1).round(2)  # with ties
    drawn = metrics.resample(scores, labels, rng=rng, draws=2000, thresholds=[0.5])
    pairs = (
        (drawn.roc_auc(), metrics.roc_auc),
        (drawn.average_precision(), metrics.average_precision),
        (drawn.missed_at_specificity(0.95), lambda s, y: metrics.missed_at_specificity(s, y, 0.95)),
        (drawn.precision_recall_crossing(), metrics.precision_recall_crossing),
        (drawn.ratios_at(0.5)["f1"], lambda s, y: metrics.confusion(s, y, 0.5).f1),
    )
    real, bogus = np.flatnonzero(labels), np.flatnonzero(~labels)
    rows = [np.concatenate([rng.choice(real, len(real)), rng.choice(bogus, len(bogus))]) for _ in range(300)]
    for ours, statistic in pairs:
        truth = np.array([statistic(scores[part], labels[part]) for part in rows])
        spread = truth.std()
        assert ours.mean() == pytest.approx(truth.mean(), abs=5 * spread / np.sqrt(300))
        assert ours.std() == pytest.approx(spread, rel=0.2)


def test_counts_of_the_paper_have_the_binomial_spread():
    scores, labels = np.repeat([1.0, 1.0, 0.0, 0.0], [68, 9, 6, 4917]), np.repeat([1, 0, 1, 0], [68, 9, 6, 4917])
    tp, fp = metrics.resample(scores, labels, rng=np.random.default_rng(0), draws=4000, thresholds=[0.5]).counts_at(0.5)
    assert tp.mean() == pytest.approx(68, abs=0.2)
    assert tp.var() == pytest.approx(74 * (68 / 74) * (6 / 74), rel=0.1)
    assert fp.mean() == pytest.approx(9, abs=0.2)
    assert abs(np.corrcoef(tp, fp)[0, 1]) < 0.06


def test_one_class_and_unknown_thresholds():
    drawn = metrics.resample([0.1, 0.9], [0, 0], rng=np.random.default_rng(0), draws=3, thresholds=[0.5])
    for values in (drawn.roc_auc(), drawn.average_precision(), drawn.missed_at_specificity(0.9),
                   drawn.recall_at_specificity(0.9), drawn.precision_recall_crossing()):  # fmt: skip
        assert np.isnan(values).all()
    assert np.isnan(drawn.ratios_at(0.5)["recall"]).all()
    with pytest.raises(InputError, match=r"do not know the threshold 0\.4.*0\.5"):
        drawn.counts_at(0.4)
    with pytest.raises(InputError, match="no candidates"):
        metrics.resample([], [], rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="0 draws"):
        metrics.resample([0.5], [1], rng=np.random.default_rng(0), draws=0)
