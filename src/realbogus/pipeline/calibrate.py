"""Thresholds and completeness from sources put into the night's own frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

__all__ = ["completeness_bins", "cross_validated", "snr_bins", "threshold_at_completeness"]

#: Edges of the S/N bins that counts are given in.
SNR_EDGES = (0.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, np.inf)


def threshold_at_completeness(scores: ArrayLike, completeness: float) -> float:
    """Highest threshold that keeps at least `completeness` of the given scores.

    Parameters
    ----------
    scores : array_like, shape (N,)
        Scores of sources known to be real; -1 for one that has none.
    completeness : float
        Wanted share with `score >= threshold`.

    Raises
    ------
    InputError
        Too few sources, or too few of them scored, to speak of that share.

    Examples
    --------
    >>> threshold_at_completeness([0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9], 0.9)
    0.5
    """
    ranked = np.sort(np.asarray(scores, dtype=float))[::-1]
    if len(ranked) < 10:
        raise InputError(
            f"{len(ranked)} injected sources came back, at least 10 are needed to set a threshold: "
            "inject more (--inject), brighter (--inject-snr), or leave --calibrate out"
        )
    threshold = float(ranked[int(np.ceil(completeness * len(ranked))) - 1])
    if threshold < 0:
        raise InputError(
            f"of {len(ranked)} injected sources that came back {int((ranked < 0).sum())} have no score, too many for "
            f"a completeness of {completeness:g}: the frames are masked too much, or ask for less"
        )
    return threshold


def cross_validated(
    real_scores: ArrayLike, real_frames: Sequence[str], other_scores: ArrayLike, other_frames: Sequence[str],
    completeness: float, *, folds: int = 5,
) -> dict[str, Any]:  # fmt: skip
    """Measure what a threshold set on some frames does on the others.

    Frames are dealt into folds in order of name; the threshold of a fold comes from the
    injections of all other folds.

    Parameters
    ----------
    real_scores, other_scores : array_like
        Scores of injected sources and of everything else.
    real_frames, other_frames : sequence of str
        The frame of each.
    completeness : float
        Share of injected sources to keep.
    folds : int
        Number of folds; fewer where there are fewer frames.

    Returns
    -------
    dict
        `found` and `natural`: boolean arrays, passed or not under the threshold of the own
        fold; `thresholds`, one a fold.
    """
    real_scores, other_scores = np.asarray(real_scores, dtype=float), np.asarray(other_scores, dtype=float)
    real_names, other_names = np.asarray(real_frames, dtype=str), np.asarray(other_frames, dtype=str)
    frames = np.unique(np.concatenate([real_names, other_names]))
    folds = max(1, min(folds, len(frames)))
    found, natural = np.zeros(len(real_scores), bool), np.zeros(len(other_scores), bool)
    thresholds = []
    for fold in range(folds):
        held_out = frames[fold::folds]
        train = ~np.isin(real_names, held_out) if folds > 1 else np.ones(len(real_names), bool)
        threshold = threshold_at_completeness(real_scores[train], completeness)
        thresholds.append(threshold)
        for scores, names, passed in ((real_scores, real_names, found), (other_scores, other_names, natural)):
            mine = np.isin(names, held_out)
            passed[mine] = scores[mine] >= threshold
    return {"found": found, "natural": natural, "thresholds": thresholds}


def snr_bins(snr: ArrayLike, **masks: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Count rows in S/N bins: `n`, and how many of them each mask marks.

    Examples
    --------
    >>> import numpy as np
    >>> snr_bins([6.0, 6.5, 12.0], found=np.array([True, False, True]))
    [{'snr_lo': 5.0, 'snr_hi': 7.0, 'n': 2, 'found': 1}, {'snr_lo': 10.0, 'snr_hi': 15.0, 'n': 1, 'found': 1}]
    """
    values = np.abs(np.asarray(snr, dtype=float))
    rows = []
    for low, high in pairwise(SNR_EDGES):
        inside = (values >= low) & (values < high)
        if inside.any():
            row: dict[str, float] = {"snr_lo": low, "snr_hi": high, "n": int(inside.sum())}
            row |= {name: int((mask & inside).sum()) for name, mask in masks.items()}
            rows.append(row)
    return rows


def completeness_bins(truth: Table, found: NDArray[np.bool_]) -> Table:
    """Completeness against S/N: injected, detected and found (detected and above threshold) a bin."""
    detected = np.asarray(truth["detected"], dtype=bool)
    rows = snr_bins(truth["snr"], detected=detected, found=found & detected)
    names = ("snr_lo", "snr_hi", "n", "detected", "found")
    return Table({name: [row[name] for row in rows] for name in names})
