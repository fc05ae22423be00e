"""Counts of a night: what was put in, what came back, what passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray

from .calibrate import cross_validated, snr_bins, threshold_at_completeness
from .chain import FrameResult, no_truth
from .products import stack

__all__ = ["calibrated", "counts", "gather", "injections", "passes", "scores_of"]


def gather(results: Sequence[FrameResult]) -> Table:
    """Join the catalogues of all frames; `part` and `row` say where each stamp lies."""
    tables = []
    for number, result in enumerate(results):
        rows = result.catalogue
        rows["part"] = np.full(len(rows), number, dtype=np.int32)
        rows["row"] = np.arange(len(rows), dtype=np.int32)
        tables.append(rows)
    filled = [rows for rows in tables if len(rows)]
    rows = stack(filled or tables[:1])
    if "score" in rows.colnames:
        rows["score"] = MaskedColumn(rows["score"])  # a night in which all were scored comes back unmasked
    return rows


def injections(results: Sequence[FrameResult]) -> Table:
    """Every injected source of the night, those for calibration where there are no others."""
    tables = []
    for result in results:
        truth = result.truth if len(result.truth) else result.trial
        truth["frame"] = np.full(len(truth), result.facts["frame"])
        tables.append(truth)
    return stack([truth for truth in tables if len(truth)] or tables[:1] or [no_truth()])


def scores_of(column: Any) -> NDArray[np.float64]:
    """Return scores with -1 for those that have none: they pass no threshold."""
    values: NDArray[np.float64] = np.ma.filled(np.ma.asarray(column, dtype=float), -1.0)
    return np.where(np.isfinite(values), values, -1.0)


def passes(scores: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Tell which of `scores_of` are real; what has no score is not, whatever the threshold."""
    return (scores >= 0) & (scores >= threshold)


def counts(rows: Table, truth: Table, threshold: float, *, injected: bool) -> dict[str, Any]:
    """Count detections, scores and verdicts of a night, as `summary.json` has them.

    Parameters
    ----------
    rows : Table
        The night's catalogue.
    truth : Table
        Injected sources.
    threshold : float
        `score >= threshold` is real.
    injected : bool
        Whether the injections are in the catalogue (and not in copies used to calibrate).
    """
    if not len(rows):
        score, mine, snr = np.zeros(0), np.zeros(0, bool), np.zeros(0)
    else:
        score, mine, snr = (
            scores_of(rows["score"]),
            np.asarray(rows["injected"], bool),
            np.asarray(rows["snr"], float),
        )
    passed = passes(score, threshold)
    natural = ~mine
    summary: dict[str, Any] = {
        "detections": len(rows),
        "scored": int((score >= 0).sum()),
        "unscored": int((score < 0).sum()),
        "above_threshold": int(passed.sum()),
        "natural": {
            "detections": int(natural.sum()),
            "above_threshold": int((passed & natural).sum()),
            "bins": snr_bins(snr[natural], above_threshold=passed[natural]),
        },
    }
    if injected:
        detected = np.asarray(truth["detected"], dtype=bool)
        found = detected & passes(scores_of(truth["score"]), threshold)
        summary["injected"] = {
            "n": len(truth),
            "detected": int(detected.sum()),
            "found": int(found.sum()),
            "bins": snr_bins(truth["snr"], detected=detected, found=found),
        }
    return summary


def calibrated(rows: Table, truth: Table, completeness: float) -> dict[str, Any]:
    """Set the threshold from injected sources, and say what it does on frames it was not set on.

    Returns
    -------
    dict
        `threshold`, the wanted `completeness`, how many detected injections it rests on
        (`sources`), and cross-validated by frame: `found` of `detected`, `natural_above` of `natural`.

    Raises
    ------
    InputError
        Too few injected sources came back.
    """
    back = np.asarray(truth["detected"], dtype=bool)
    real = scores_of(truth["score"])[back]
    natural = ~np.asarray(rows["injected"], dtype=bool)
    other = scores_of(rows["score"])[natural]
    threshold = threshold_at_completeness(real, completeness)
    check = cross_validated(
        real,
        list(np.asarray(truth["frame"])[back]),
        other,
        list(np.asarray(rows["frame"])[natural]),
        completeness,
    )
    return {
        "threshold": threshold,
        "completeness": completeness,
        "sources": int(back.sum()),
        "detected": int(back.sum()),
        "found": int(check["found"].sum()),
        "found_fraction": float(check["found"].mean()),
        "natural": int(natural.sum()),
        "natural_above": int(check["natural"].sum()),
        "natural_fraction": float(check["natural"].mean()) if natural.any() else 0.0,
        "fold_thresholds": check["thresholds"],
    }
