"""How far scores can be read as probabilities, before and after calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import Calibration
from ..metrics import Reliability, brier, reliability

__all__ = ["Probability", "probability_of"]


@dataclass(frozen=True)
class Probability:
    """Quality of scores as probabilities.

    Parameters
    ----------
    brier : float
        Brier score.
    expected_calibration_error : float
        In the bins of `reliability`.
    reliability : Reliability
        What the diagram is drawn from.
    prevalence : float or None
        Share of real that all was weighted to; None is that of the sample.
    """

    brier: float
    expected_calibration_error: float
    reliability: Reliability
    prevalence: float | None = None


def probability_of(
    scores: ArrayLike, labels: ArrayLike, calibration: Calibration | None = None, *, bins: int = 15
) -> dict[str, Probability]:
    """Judge scores `before` and, with a calibration, `after` it.

    Both are weighted to the prevalence that the calibration is meant for, as far as there are real and bogus.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        In [0, 1]; 1 real, 0 bogus.
    calibration : Calibration, optional
        Fitted on other stamps.
    bins : int
        Of the reliability.

    Returns
    -------
    dict of str to Probability

    Examples
    --------
    >>> from realbogus.calibration import fit_calibration
    >>> calibration = fit_calibration([0.6, 0.8, 0.7, 0.9], [0, 0, 1, 1])
    >>> found = probability_of([0.6, 0.9], [0, 1], calibration)
    >>> round(found["before"].brier, 3), found["after"].brier
    (0.185, 0.0)
    """
    truth = np.asarray(labels) == 1
    prevalence = calibration.prevalence if calibration is not None and 0 < truth.sum() < len(truth) else None
    given = {"before": np.asarray(scores)}
    if calibration is not None:
        given["after"] = calibration(scores)
    found = {}
    for name, values in given.items():
        binned = reliability(values, truth, bins, prevalence=prevalence)
        error = binned.expected_calibration_error
        found[name] = Probability(brier(values, truth, prevalence=prevalence), error, binned, prevalence)
    return found
