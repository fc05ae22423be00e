"""Right and wrong calls at one threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

__all__ = ["Confusion", "checked", "confusion"]


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


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
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
    values, real = checked(scores, labels)
    called = values >= threshold
    return Confusion(
        tp=int(np.sum(called & real)),
        fp=int(np.sum(called & ~real)),
        fn=int(np.sum(~called & real)),
        tn=int(np.sum(~called & ~real)),
    )
