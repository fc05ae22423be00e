"""How far scores can be read as probabilities: Brier score, reliability, calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .counts import checked

__all__ = ["Reliability", "brier", "class_weights", "expected_calibration_error", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """What was forecast and what came, in bins of the score.

    Parameters
    ----------
    edges : ndarray of float64, shape (B + 1,)
        Edges of the bins, 0 to 1; a bin holds its upper edge, the first also 0.
    mean_score : ndarray of float64, shape (B,)
        Mean score of each bin's candidates; nan where there are none.
    share_real : ndarray of float64, shape (B,)
        Share of them that is real; nan where there are none.
    weight : ndarray of float64, shape (B,)
        Share of all candidates that lies in each bin; sums to 1.
    real, bogus : ndarray of int64, shape (B,)
        Their numbers, before any re-weighting.
    """

    edges: NDArray[np.float64]
    mean_score: NDArray[np.float64]
    share_real: NDArray[np.float64]
    weight: NDArray[np.float64]
    real: NDArray[np.int64]
    bogus: NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean of abs(share_real - mean_score) over the bins, each by its weight; nan without candidates."""
        filled = self.weight > 0
        if not filled.any():
            return float("nan")
        return float(np.sum(self.weight[filled] * np.abs(self.share_real - self.mean_score)[filled]))


def class_weights(labels: ArrayLike, prevalence: float | None = None) -> NDArray[np.float64]:
    r"""Weight candidates so that a share `prevalence` of all weight is on the real ones.

    .. math:: w_\mathrm{real} = \frac{\pi N}{N_\mathrm{real}}, \quad
              w_\mathrm{bogus} = \frac{(1 - \pi) N}{N_\mathrm{bogus}}

    A test set is seldom mixed as the sky is (Saerens et al. 2002): with the survey's own
    prevalence the numbers hold for the survey.

    Parameters
    ----------
    labels : array_like of 0, 1 or bool, shape (N,)
        1 is real.
    prevalence : float, optional
        Share of real among the survey's candidates, in (0, 1); all weights are 1 without.

    Returns
    -------
    ndarray of float64, shape (N,)
        With the sum N.

    Raises
    ------
    InputError
        `prevalence` lies outside (0, 1), or one of the two classes is missing.

    Examples
    --------
    >>> class_weights([1, 0, 0, 0], prevalence=0.5)
    array([2.        , 0.66666667, 0.66666667, 0.66666667])
    """
    real = np.asarray(labels) == 1
    if prevalence is None:
        return np.ones(len(real))
    if not 0.0 < prevalence < 1.0:
        raise InputError(f"prevalence {prevalence} is not in (0, 1): it is the share of real among all candidates")
    positives = int(real.sum())
    if positives in (0, len(real)):
        raise InputError(
            f"{positives} of {len(real)} candidates are real: with one class alone there is nothing to re-weight; "
            "leave `prevalence` out or add the other class"
        )
    per_class = prevalence * len(real) / positives, (1.0 - prevalence) * len(real) / (len(real) - positives)
    return np.where(real, *per_class)


def brier(scores: ArrayLike, labels: ArrayLike, *, prevalence: float | None = None) -> float:
    r"""Return the Brier score, the mean squared error of scores read as probabilities.

    .. math:: B = \frac{1}{N} \sum_i w_i (s_i - y_i)^2

    (Brier 1950). 0 is perfect; always saying the share of real gives share (1 - share).

    Parameters
    ----------
    scores : array_like, shape (N,)
        In [0, 1].
    labels : array_like of 0, 1 or bool, shape (N,)
        1 is real.
    prevalence : float, optional
        As in `class_weights`.

    Returns
    -------
    float
        In [0, 1]; nan without candidates.

    Raises
    ------
    InputError
        As in `confusion` and `class_weights`, or a score lies outside [0, 1].

    Examples
    --------
    >>> brier([1.0, 0.5, 0.0], [1, 0, 0])
    0.08333333333333333
    """
    values, real = _probabilities(scores, labels)
    if not len(values):
        return float("nan")
    return float(np.mean(class_weights(real, prevalence) * (values - real) ** 2))


def reliability(
    scores: ArrayLike, labels: ArrayLike, bins: int = 15, *, prevalence: float | None = None
) -> Reliability:
    """Compare scores with the share of real, in bins of equal width.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `brier`.
    bins : int
        Number of bins between 0 and 1.
    prevalence : float, optional
        As in `class_weights`.

    Returns
    -------
    Reliability

    Raises
    ------
    InputError
        As in `brier`, or `bins` is not positive.

    Examples
    --------
    >>> found = reliability([0.1, 0.3, 0.8, 0.9], [0, 1, 1, 1], bins=2)
    >>> found.mean_score, found.share_real
    (array([0.2 , 0.85]), array([0.5, 1. ]))
    """
    if bins < 1:
        raise InputError(f"{bins} bins: take at least one")
    values, real = _probabilities(scores, labels)
    weights = class_weights(real, prevalence)
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.searchsorted(edges[1:-1], values)
    weight = np.bincount(place, weights, bins)
    safe = np.where(weight > 0, weight, np.nan)
    return Reliability(
        edges=edges,
        mean_score=np.bincount(place, weights * values, bins) / safe,
        share_real=np.bincount(place, weights * real, bins) / safe,
        weight=weight / max(len(values), 1),
        real=np.bincount(place[real], minlength=bins),
        bogus=np.bincount(place[~real], minlength=bins),
    )


def expected_calibration_error(
    scores: ArrayLike, labels: ArrayLike, bins: int = 15, *, prevalence: float | None = None
) -> float:
    r"""Return the mean distance between score and share of real.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N} \left| \bar y_b - \bar s_b \right|

    over bins of equal width (Naeini et al. 2015; Guo et al. 2017).

    Parameters
    ----------
    scores, labels, bins, prevalence
        As in `reliability`.

    Returns
    -------
    float
        In [0, 1]; nan without candidates.

    Raises
    ------
    InputError
        As in `reliability`.

    Examples
    --------
    >>> round(expected_calibration_error([0.1, 0.3, 0.8, 0.9], [0, 1, 1, 1], bins=2), 3)
    0.225
    """
    return reliability(scores, labels, bins, prevalence=prevalence).expected_calibration_error


def _probabilities(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, real = checked(scores, labels)
    if len(values) and not (values.min() >= 0.0 and values.max() <= 1.0):
        raise InputError(
            f"scores run from {values.min():g} to {values.max():g}: only scores in [0, 1] can be read as probabilities"
        )
    return values, real
