"""The numbers of one row of a table, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..evaluation.tables import Measured
from ..metrics import (
    SPECIFICITY,
    average_precision,
    confusion,
    missed_at_specificity,
    percentile_interval,
    recall_at_specificity,
    resample,
    roc_auc,
)

__all__ = ["SPECIFICITY", "Measures", "difference", "fewer_missed", "measure_scores"]

_RATIOS = ("specificity", "recall", "precision", "f1")


@dataclass(frozen=True)
class Measures:
    """What follows from the scores of labelled stamps.

    Parameters
    ----------
    values : mapping of str to Measured
        `specificity`, `recall`, `precision`, `f1` at the threshold; `auc`;
        `average precision`; `recall at specificity` and `missed` at the specificity of 99.25 %.
    draws : mapping of str to ndarray, shape (D,)
        Bootstrap draws of `auc` and `recall at specificity`.
    real, bogus : int
        How many there are.
    """

    values: Mapping[str, Measured]
    draws: Mapping[str, NDArray[np.float64]]
    real: int
    bogus: int


def measure_scores(
    scores: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int, name: str, draws: int, threshold: float = 0.5
) -> Measures:
    """Measure scores; the draws depend on the seed and the name (of the stamps) alone.

    Draws are of ranks, so those of two classifiers on the same stamps are no pairs: `fewer_missed` draws pairs.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 1, 1])
    >>> found = measure_scores(np.float32([0.1, 0.2, 0.6, 0.4, 0.8, 0.9]), labels, seed=0, name="x", draws=50)
    >>> round(found.values["recall"].value, 3), round(found.values["auc"].value, 3), found.values["missed"].value
    (0.667, 0.889, 1.0)
    """
    rng = np.random.default_rng([seed, crc32(name.encode())])
    drawn = resample(scores, labels, rng=rng, draws=draws, thresholds=[threshold])
    counts = confusion(scores, labels, threshold)
    ratios = drawn.ratios_at(threshold)
    values = {ratio: Measured(getattr(counts, ratio), *percentile_interval(ratios[ratio])) for ratio in _RATIOS}
    kept = {"auc": drawn.roc_auc(), "recall at specificity": drawn.recall_at_specificity(SPECIFICITY)}
    values["average precision"] = Measured(
        average_precision(scores, labels), *percentile_interval(drawn.average_precision())
    )
    values["auc"] = Measured(roc_auc(scores, labels), *percentile_interval(kept["auc"]))
    values["recall at specificity"] = Measured(
        recall_at_specificity(scores, labels, SPECIFICITY), *percentile_interval(kept["recall at specificity"])
    )
    values["missed"] = Measured(
        float(missed_at_specificity(scores, labels, SPECIFICITY)),
        *percentile_interval(drawn.missed_at_specificity(SPECIFICITY)),
    )
    return Measures(values, kept, drawn.positives, drawn.negatives)


def difference(one: Measures, other: Measures, name: str) -> Measured:
    """Return `one` less `other`, with its interval; of two samples drawn apart, under names of their own.

    Of two classifiers on one sample it would be far too narrow: their draws go up and down together.
    """
    value = one.values[name].value - other.values[name].value
    return Measured(value, *percentile_interval(one.draws[name] - other.draws[name]))


def fewer_missed(
    base: NDArray[np.float32],
    better: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    seed: int,
    draws: int,
) -> Measured:
    """Return the share of the missed reals that `better` finds: 1 - missed(better) / missed(base).

    At the specificity of 99.25 %. Both are asked about the same stamps, so they are drawn together.

    Examples
    --------
    >>> labels = np.array([0] * 5 + [1] * 4)
    >>> base = np.float32([0, 0, 0, 0, 0.5, 0.1, 0.2, 0.9, 0.9])
    >>> better = np.float32([0, 0, 0, 0, 0.5, 0.1, 0.8, 0.9, 0.9])
    >>> fewer_missed(base, better, labels, seed=0, draws=20).value
    0.5
    """
    rng = np.random.default_rng([seed, crc32(b"fewer missed")])
    real, bogus = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)

    def share(rows: NDArray[np.int64]) -> float:
        was = missed_at_specificity(base[rows], labels[rows], SPECIFICITY)
        now = missed_at_specificity(better[rows], labels[rows], SPECIFICITY)
        return 1.0 - now / was if was else float("nan")

    drawn = [share(np.append(rng.choice(real, len(real)), rng.choice(bogus, len(bogus)))) for _ in range(draws)]
    return Measured(share(np.arange(len(labels))), *percentile_interval(np.array(drawn)))
