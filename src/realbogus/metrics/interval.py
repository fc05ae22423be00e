"""How far a number might lie elsewhere with another sample: bootstrap and Wilson intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .counts import checked

__all__ = ["Statistic", "bootstrap_interval", "percentile_interval", "wilson_interval"]

#: A number made of scores and labels (bool, true for real).
Statistic = Callable[[NDArray[np.float64], NDArray[np.bool_]], float]


def bootstrap_interval(
    statistic: Statistic,
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of any statistic (Efron 1979).

    Each draw takes as many real and as many bogus as there are, with replacement within
    the class, so that every draw has the mixture of the sample. `resample` gives the same for the
    statistics of this room at once, and much faster where there are many candidates.

    Parameters
    ----------
    statistic : callable
        From scores (N,) and labels (N,) to a number. Draws where it is nan are left out.
    scores, labels : array_like, shape (N,)
        As in `confusion`.
    rng : numpy.random.Generator
        The only source of chance.
    draws : int
        Number of draws.
    level : float
        Share of the draws that lies inside, in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper end; (nan, nan) where the statistic is nan in every draw. A
        statistic that cannot vary within the sample (nothing missed, say) has an interval of no width:
        the bootstrap knows no candidate that it has not seen.

    Raises
    ------
    InputError
        As in `confusion`, no candidates, or `draws` or `level` are impossible.

    Examples
    --------
    >>> from realbogus.metrics import roc_auc
    >>> rng = np.random.default_rng(1)
    >>> labels = np.repeat([0, 1], [400, 100])
    >>> scores = rng.normal(2.0 * labels)
    >>> low, high = bootstrap_interval(roc_auc, scores, labels, rng=rng, draws=200)
    >>> low < roc_auc(scores, labels) < high, high - low < 0.1
    (True, True)
    """
    values, real = checked(scores, labels)
    if not len(values):
        raise InputError("no candidates to draw from: hand in scores and labels")
    if draws < 1:
        raise InputError(f"{draws} draws: take at least one, better 1000")
    classes = [rows for rows in (np.flatnonzero(real), np.flatnonzero(~real)) if len(rows)]
    truth = real[np.concatenate(classes)]
    found = np.empty(draws)
    for k in range(draws):
        rows = np.concatenate([rows[rng.integers(0, len(rows), len(rows))] for rows in classes])
        found[k] = statistic(values[rows], truth)
    return percentile_interval(found, level)


def percentile_interval(draws: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the ends between which the middle share `level` of the draws lies; nan draws do not count.

    Raises
    ------
    InputError
        `level` lies outside (0, 1).

    Examples
    --------
    >>> percentile_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level {level} is not in (0, 1): 0.95 is usual")
    values = np.asarray(draws, dtype=np.float64)
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def wilson_interval(k: ArrayLike, n: ArrayLike, z: float = 1.959964) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Wilson score interval of k successes in n trials (Wilson 1927).

    It has a width even at none or all, where the bootstrap has none: the one for small bins.

    Parameters
    ----------
    k, n : array_like of one shape
        Successes and trials.
    z : float
        Normal quantile; the default gives 95 %.

    Returns
    -------
    tuple of ndarray
        Lower and upper end; nan where n is 0.

    Examples
    --------
    >>> low, high = wilson_interval(9, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.596, 0.982)
    """
    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    trials = np.where(trials > 0, trials, np.nan)
    share, extra = successes / trials, z * z / trials
    centre = (share + 0.5 * extra) / (1.0 + extra)
    half = z / (1.0 + extra) * np.sqrt(share * (1.0 - share) / trials + 0.25 * extra / trials)
    # rounding must not put the share itself outside, at none or all of them
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)
