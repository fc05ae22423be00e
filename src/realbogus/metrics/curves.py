"""What follows from the counts at every threshold: curves, areas under them, operating points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .counts import checked

__all__ = [
    "OperatingPoints",
    "average_precision",
    "operating_points",
    "precision_recall_crossing",
    "recall_at_false_positive_rate",
    "roc_auc",
    "threshold_at_recall",
]


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
    values, real = checked(scores, labels)
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
    values, real = checked(scores, labels)
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
    >>> from realbogus.metrics import confusion
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
