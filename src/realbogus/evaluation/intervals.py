"""Bootstrap intervals of all numbers of a report, from one set of draws."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics import Resamples, percentile_interval, purity_at_prevalence, resample

__all__ = ["Interval", "intervals_of"]

#: Lower and upper end; nan where it cannot be known.
Interval = tuple[float, float]
_TURN = 1000
_CELLS = 20_000_000


def intervals_of(
    scores: ArrayLike,
    labels: ArrayLike,
    thresholds: Mapping[str, float],
    *,
    specificity: float,
    prevalence: float,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> dict[str, dict[str, Interval]]:
    """Return percentile intervals of a bootstrap stratified by class.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        1 real, 0 bogus.
    thresholds : mapping of str to float
        Operating points; each threshold stands still while candidates are drawn.
    specificity : float
        Where missed real are counted; here the threshold is found anew in every draw.
    prevalence : float
        For the purity in the survey.
    rng : numpy.random.Generator
        The only source of chance.
    draws : int
        Number of draws; with 0 there are no intervals.
    level : float
        Share of the draws inside.

    Returns
    -------
    dict of str to dict of str to tuple
        As in `Report.intervals`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1], [300, 60])
    >>> scores = rng.beta(1 + 3 * labels, 4 - 3 * labels)
    >>> found = intervals_of(scores, labels, {"asked": 0.5}, specificity=0.99, prevalence=0.01, rng=rng, draws=200)
    >>> low, high = found["asked"]["recall"]
    >>> bool(low < np.mean(scores[labels == 1] >= 0.5) < high)
    True
    """
    if not draws:
        return {}
    # many draws of many candidates are taken in turns: all counts of one turn lie in memory at once
    turn = max(1, min(_TURN, _CELLS // max(np.size(scores), 1)))
    turns = [
        _numbers(
            resample(scores, labels, rng=rng, draws=min(turn, draws - start), thresholds=list(thresholds.values())),
            thresholds, specificity, prevalence,
        )
        for start in range(0, draws, turn)
    ]  # fmt: skip
    return {
        point: {name: percentile_interval(np.concatenate([part[point][name] for part in turns]), level)
                for name in group}
        for point, group in turns[0].items()
    }  # fmt: skip


def _numbers(
    found: Resamples, thresholds: Mapping[str, float], specificity: float, prevalence: float
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return every number of each draw, shape (D,), by operating point and name."""
    numbers = {
        "overall": {
            "auc": found.roc_auc(),
            "average_precision": found.average_precision(),
            "crossing": found.precision_recall_crossing(),
            "missed": found.missed_at_specificity(specificity),
            "recall_at_specificity": found.recall_at_specificity(specificity),
        }
    }
    for name, threshold in thresholds.items():
        ratios = found.ratios_at(threshold)
        purity = np.asarray(purity_at_prevalence(ratios["recall"], ratios["specificity"], prevalence))
        numbers[name] = ratios | {"purity": purity}
    return numbers
