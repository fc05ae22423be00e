"""What is left of the real where the share of bogus that may pass is fixed beforehand."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .curves import OperatingPoints, operating_points

__all__ = [
    "SPECIFICITY",
    "allowed_false_positives",
    "missed_at_specificity",
    "purity_at_prevalence",
    "recall_at_specificity",
    "threshold_at_specificity",
]

#: Specificity of the paper's trio (Table 3), at which missed real are counted.
SPECIFICITY = 0.9925


def allowed_false_positives(negatives: int, specificity: float) -> int:
    """Return how many of `negatives` bogus may pass at a specificity of at least `specificity`.

    Raises
    ------
    InputError
        `specificity` lies outside [0, 1].

    Examples
    --------
    >>> allowed_false_positives(4000, 0.9925)
    30
    """
    if not 0.0 <= specificity <= 1.0:
        raise InputError(f"specificity {specificity} is not in [0, 1]: it is the share of bogus to turn away")
    # 1 - 0.9925 is not 0.0075 in floating point; a millionth of a candidate heals that
    return int(np.floor((1.0 - specificity) * negatives + 1e-6))


def recall_at_specificity(scores: ArrayLike, labels: ArrayLike, specificity: float) -> float:
    """Return the largest recall of any threshold that keeps the specificity.

    ``max { tp(t) / P : tn(t) / N >= specificity }`` over the thresholds t; 0 when even the
    highest score lets too many bogus through. No interpolation between thresholds.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        As in `confusion`.
    specificity : float
        Share of the bogus to turn away, in [0, 1]; the paper's ensemble has 0.9925.

    Returns
    -------
    float
        In [0, 1]; nan when one of the two classes is missing.

    Raises
    ------
    InputError
        As in `confusion`, or `specificity` lies outside [0, 1].

    Examples
    --------
    >>> recall_at_specificity([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0], specificity=0.5)
    1.0
    """
    points, allowed = _allowed(scores, labels, specificity)
    if points.positives == 0 or points.negatives == 0:
        return float("nan")
    return float(points.recall[allowed - 1]) if allowed else 0.0


def missed_at_specificity(scores: ArrayLike, labels: ArrayLike, specificity: float) -> int:
    """Count the real that are missed by the best threshold that keeps the specificity.

    Parameters
    ----------
    scores, labels, specificity
        As in `recall_at_specificity`.

    Returns
    -------
    int
        ``P - max tp``.

    Raises
    ------
    InputError
        As in `recall_at_specificity`, or one of the two classes is missing.

    Examples
    --------
    >>> missed_at_specificity([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0], specificity=1.0)
    2
    """
    points, allowed = _allowed(scores, labels, specificity)
    if points.positives == 0 or points.negatives == 0:
        raise InputError(
            f"{points.positives} real and {points.negatives} bogus: "
            "missed real at a fixed specificity need some of both classes"
        )
    return points.positives - (int(points.tp[allowed - 1]) if allowed else 0)


def threshold_at_specificity(scores: ArrayLike, labels: ArrayLike, specificity: float) -> float:
    """Return the threshold that finds most real at a specificity of at least `specificity`.

    Of thresholds that find equally many the highest, which lets the fewest bogus through.

    Parameters
    ----------
    scores, labels, specificity
        As in `recall_at_specificity`.

    Returns
    -------
    float
        The score of one of the real; nan when no threshold finds any, or a class is missing.

    Raises
    ------
    InputError
        As in `recall_at_specificity`.

    Examples
    --------
    >>> threshold_at_specificity([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0], specificity=0.5)
    0.6
    """
    points, allowed = _allowed(scores, labels, specificity)
    if points.positives == 0 or points.negatives == 0 or not allowed or points.tp[allowed - 1] == 0:
        return float("nan")
    return float(points.thresholds[np.searchsorted(points.tp, points.tp[allowed - 1])])


def purity_at_prevalence(
    recall: ArrayLike, specificity: ArrayLike, prevalence: float
) -> NDArray[np.float64] | np.float64:
    r"""Return the precision that a recall and specificity give in a survey.

    .. math:: \frac{\pi R}{\pi R + (1 - \pi)(1 - S)}

    with R the recall, S the specificity and π the share of real among the survey's
    candidates (Bayes). Precision on a test set holds for that set's mixture alone.

    Parameters
    ----------
    recall, specificity : array_like
        In [0, 1], of one shape.
    prevalence : float
        In [0, 1]; about 0.01 in the paper (section 1).

    Returns
    -------
    float64 or ndarray of float64
        In [0, 1]; nan where nothing is called real.

    Raises
    ------
    InputError
        `prevalence` lies outside [0, 1].

    Examples
    --------
    The paper's ensemble (Table 3) among 99 % bogus:

    >>> round(float(purity_at_prevalence(0.9537, 0.9925, 0.01)), 3)
    0.562
    """
    if not 0.0 <= prevalence <= 1.0:
        raise InputError(f"prevalence {prevalence} is not in [0, 1]: it is the share of real among all candidates")
    true = prevalence * np.asarray(recall, dtype=np.float64)
    called = true + (1.0 - prevalence) * (1.0 - np.asarray(specificity, dtype=np.float64))
    purity: NDArray[np.float64] = true / np.where(called > 0, called, np.nan)
    return purity[()]


def _allowed(scores: ArrayLike, labels: ArrayLike, specificity: float) -> tuple[OperatingPoints, int]:
    """Return all operating points and how many of them, from the highest threshold on, keep the specificity."""
    points = operating_points(scores, labels)
    most = allowed_false_positives(points.negatives, specificity)
    return points, int(np.searchsorted(points.fp, most, side="right"))
