"""Numbers that say how well scores tell real from bogus. NumPy only.

Throughout, `labels` hold 1 for real and 0 for bogus, `scores` lie on any scale that
grows with "real", and a candidate is called real when ``score >= threshold``. A ratio
whose denominator is zero is ``nan``: it says "cannot be known", where 0 would say
"bad". A candidate without a score (NaN) has to be left out or filled in by the
caller, who alone knows which is fair.

Examples
--------
The 5,000 candidates of the paper (section 4.3), threshold at precision = recall:

>>> from realbogus.metrics import Confusion
>>> paper = Confusion(tp=68, fp=9, fn=6, tn=4917)
>>> print(f"{paper.precision:.2%} {paper.recall:.2%} {paper.specificity:.2%}")
88.31% 91.89% 99.82%
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

__all__ = [
    "Confusion",
    "OperatingPoints",
    "average_precision",
    "confusion",
    "operating_points",
    "precision_recall_crossing",
    "recall_at_false_positive_rate",
    "roc_auc",
    "threshold_at_recall",
]


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else float("nan")


@dataclass(frozen=True)
class Confusion:
    """Counts of right and wrong calls, and the ratios made of them.

    Parameters
    ----------
    tp : int
        Real, called real.
    fp : int
        Bogus, called real.
    fn : int
        Real, called bogus.
    tn : int
        Bogus, called bogus.

    Examples
    --------
    >>> Confusion(tp=3, fp=1, fn=2, tn=4).f1
    0.6666666666666666
    >>> Confusion(tp=0, fp=0, fn=2, tn=4).precision   # nothing was called real
    nan
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def total(self) -> int:
        """Number of candidates, tp + fp + fn + tn."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> float:
        """Purity, tp / (tp + fp); nan when nothing was called real."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Completeness, tp / (tp + fn); nan when nothing is real."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of bogus turned away, tn / (tn + fp); nan when nothing is bogus."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def false_positive_rate(self) -> float:
        """Share of bogus let through, fp / (fp + tn); nan when nothing is bogus."""
        return _ratio(self.fp, self.fp + self.tn)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); nan when nothing is real and nothing was called real."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float:
        """(tp + tn) / total; nan without candidates."""
        return _ratio(self.tp + self.tn, self.total)


@dataclass(frozen=True)
class OperatingPoints:
    """The counts at every threshold that makes a difference, highest threshold first.

    Parameters
    ----------
    thresholds : ndarray of float64, shape (T,)
        The distinct scores, falling.
    tp, fp : ndarray of int64, shape (T,)
        Real and bogus with ``score >= threshold``.
    positives, negatives : int
        Number of real and of bogus.
    """

    thresholds: NDArray[np.float64]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    positives: int
    negatives: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """Precision tp / (tp + fp), shape (T,); the denominator is never zero here."""
        return self.tp / (self.tp + self.fp)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Recall tp / positives, shape (T,); nan without positives."""
        return self.tp / self.positives if self.positives else np.full(len(self.tp), np.nan)

    @property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """False positive rate fp / negatives, shape (T,); nan without negatives."""
        return self.fp / self.negatives if self.negatives else np.full(len(self.fp), np.nan)


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores as float64 and labels as bool, or say what is wrong with them."""
    values, truth = np.asarray(scores), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise InputError(
            f"scores {values.shape} and labels {truth.shape} must be two lists of one length: "
            "hand in one score and one label per candidate"
        )
    values = values.astype(np.float64)
    missing = int(np.isnan(values).sum())
    if missing:
        raise InputError(
            f"{missing} of {len(values)} scores are NaN: leave candidates without a score out, "
            "or give them the score that the decision would treat them by"
        )
    real = truth == 1
    if not np.all(real | (truth == 0)):
        raise InputError(f"labels must be 0 (bogus) or 1 (real), got {np.unique(truth)[:6].tolist()}")
    return values, np.asarray(real, dtype=np.bool_)


def confusion(scores: ArrayLike, labels: ArrayLike, threshold: float = 0.5) -> Confusion:
    """Count right and wrong calls at one threshold.

    Parameters
    ----------
    scores : array_like, shape (N,)
        Higher is more real.
    labels : array_like of 0, 1 or bool, shape (N,)
        1 is real.
    threshold : float
        ``score >= threshold`` is called real.

    Returns
    -------
    Confusion

    Raises
    ------
    InputError
        Lengths differ, a score is NaN, or a label is neither 0 nor 1.

    Examples
    --------
    >>> confusion([0.9, 0.5, 0.4, 0.1], [1, 0, 1, 0], threshold=0.5)
    Confusion(tp=1, fp=1, fn=1, tn=1)
    """
    values, real = _checked(scores, labels)
    called = values >= threshold
    return Confusion(
        tp=int(np.sum(called & real)),
        fp=int(np.sum(called & ~real)),
        fn=int(np.sum(~called & real)),
        tn=int(np.sum(~called & ~real)),
    )


def operating_points(scores: ArrayLike, labels: ArrayLike) -> OperatingPoints:
    """Count true and false positives at every distinct score.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.

    Returns
    -------
    OperatingPoints
        What curves are drawn from; equal scores make one point.

    Examples
    --------
    >>> points = operating_points([0.9, 0.9, 0.2], [1, 0, 1])
    >>> points.thresholds.tolist(), points.tp.tolist(), points.fp.tolist()
    ([0.9, 0.2], [1, 2], [1, 1])
    """
    values, real = _checked(scores, labels)
    order = np.argsort(-values, kind="stable")
    values, real = values[order], real[order]
    last = np.ones(len(values), dtype=bool)  # the last of each run of equal scores
    last[:-1] = values[1:] != values[:-1]
    tp = np.cumsum(real, dtype=np.int64)[last]
    fp = np.cumsum(~real, dtype=np.int64)[last]
    return OperatingPoints(values[last], tp, fp, int(real.sum()), int((~real).sum()))


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    r"""Area under the ROC curve: the chance that a real outscores a bogus.

    .. math:: \mathrm{AUC} = \frac{\sum_{i \in \mathrm{real}} r_i - P (P + 1) / 2}{P N}

    with r the ranks of all scores (equal scores share their mean rank, so a tie counts
    one half), P the number of real and N of bogus (Mann & Whitney 1947).

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.

    Returns
    -------
    float
        In [0, 1]; nan when one of the two classes is missing.

    Examples
    --------
    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    >>> roc_auc([0.5, 0.5], [0, 1])
    0.5
    """
    values, real = _checked(scores, labels)
    positives = int(real.sum())
    negatives = len(real) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[real].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    r"""Area under the precision-recall curve, as a sum of steps.

    .. math:: \mathrm{AP} = \sum_k (R_k - R_{k-1}) P_k

    over the distinct scores, falling, with P_k and R_k precision and recall there: no
    interpolation, which would be too kind.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.

    Returns
    -------
    float
        In [0, 1]; nan when nothing is real.

    Examples
    --------
    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    points = operating_points(scores, labels)
    if points.positives == 0:
        return float("nan")
    return float(np.sum(np.diff(points.recall, prepend=0.0) * points.precision))


def precision_recall_crossing(scores: ArrayLike, labels: ArrayLike) -> float:
    r"""Return the threshold at which precision equals recall (paper, section 4.3).

    .. math:: P = R \iff \mathrm{tp} + \mathrm{fp} = \mathrm{tp} + \mathrm{fn}

    so as many candidates are called real as are real. Equal scores can make that
    impossible; then the threshold with the smallest :math:`|P - R|` is taken. Thresholds
    without any true positive (P = R = 0) do not count. Of equals, the lower threshold,
    which finds more, wins.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.

    Returns
    -------
    float
        One of the scores; nan when nothing is real.

    Examples
    --------
    >>> scores, labels = [0.9, 0.8, 0.6, 0.3, 0.2], [1, 0, 1, 1, 0]
    >>> threshold = precision_recall_crossing(scores, labels)
    >>> threshold, confusion(scores, labels, threshold)
    (0.6, Confusion(tp=2, fp=1, fn=1, tn=1))
    """
    points = operating_points(scores, labels)
    if points.positives == 0:
        return float("nan")
    # |P - R| = tp |1/called - 1/positives|, written in integers so that equal gaps compare equal
    called = points.tp + points.fp
    gap = points.tp * np.abs(points.positives - called) / (called * points.positives)
    gap[points.tp == 0] = np.inf
    best = len(gap) - 1 - int(np.argmin(gap[::-1]))
    return float(points.thresholds[best])


def recall_at_false_positive_rate(scores: ArrayLike, labels: ArrayLike, rate: float) -> float:
    """Return the largest share of real that is found while at most `rate` of the bogus passes.

    ``max { tp(t) / P : fp(t) / N <= rate }`` over the thresholds t; 0 when even the
    highest score lets too many through. No interpolation between thresholds.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.
    rate : float
        Largest false positive rate allowed, in [0, 1].

    Returns
    -------
    float
        In [0, 1]; nan when one of the two classes is missing.

    Raises
    ------
    InputError
        As in `confusion`, or `rate` lies outside [0, 1].

    Examples
    --------
    >>> recall_at_false_positive_rate([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0], rate=0.5)
    1.0
    >>> round(recall_at_false_positive_rate([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0], rate=0.0), 3)
    0.333
    """
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"rate {rate} is not in [0, 1]: it is the share of bogus that may pass")
    points = operating_points(scores, labels)
    if points.positives == 0 or points.negatives == 0:
        return float("nan")
    allowed = points.recall[points.false_positive_rate <= rate]
    return float(allowed[-1]) if len(allowed) else 0.0


def threshold_at_recall(scores: ArrayLike, labels: ArrayLike, recall: float) -> float:
    """Return the highest threshold that still finds a share `recall` of the real.

    ``max { t : tp(t) / P >= recall }``: the strictest cut that keeps the promise.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.
    recall : float
        Share of the real to find, in (0, 1].

    Returns
    -------
    float
        The score of one of the real; nan when nothing is real.

    Raises
    ------
    InputError
        As in `confusion`, or `recall` lies outside (0, 1].

    Examples
    --------
    >>> threshold_at_recall([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0], recall=0.6)
    0.7
    """
    if not 0.0 < recall <= 1.0:
        raise InputError(f"recall {recall} is not in (0, 1]: it is the share of real to find")
    points = operating_points(scores, labels)
    if points.positives == 0:
        return float("nan")
    first = int(np.argmax(points.recall >= recall))
    return float(points.thresholds[first])
