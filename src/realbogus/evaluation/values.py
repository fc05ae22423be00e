"""A report as values for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import operating_points
from .probability import Probability
from .tables import Measured, known

if TYPE_CHECKING:
    from .result import Report

__all__ = ["curves", "report_values"]

_CURVE_POINTS = 400
_HISTOGRAM_BINS = 50


def curves(scores: ArrayLike, labels: ArrayLike) -> dict[str, list[float]]:
    """Return precision, recall and false positive rate by threshold, at most 400 points, and histograms."""
    points = operating_points(scores, labels)
    keep = np.unique(np.linspace(0, len(points.thresholds) - 1, _CURVE_POINTS).round().astype(int))
    values, truth, edges = np.asarray(scores), np.asarray(labels), np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    histograms = {
        name: np.histogram(values[truth == value], edges)[0].tolist()
        for name, value in (("histogram_real", 1), ("histogram_bogus", 0))
    }
    return {
        "threshold": points.thresholds[keep].tolist(),
        "precision": points.precision[keep].tolist(),
        "recall": points.recall[keep].tolist(),
        "false_positive_rate": points.false_positive_rate[keep].tolist(),
        **histograms,
    }


def report_values(report: Report) -> dict[str, Any]:
    """Return all numbers of a report; what cannot be known is None."""
    overall = ("auc", "average_precision", "crossing")
    return {
        "model": report.model,
        "stamps": len(report.labels),
        "real": report.real,
        "bogus": report.bogus,
        "left_out": dict(report.left_out),
        "auc": known(report.auc),
        "average_precision": known(report.average_precision),
        "threshold": report.threshold,
        "level": report.level,
        "intervals": {name: _ends(report.measured(name)) for name in overall},
        "operating_points": {name: _point(report, name) for name in report.counts},
        "missed_at_specificity": {
            "specificity": report.specificity,
            "missed": report.missed,
            "missed_interval": _ends(report.measured("missed")),
            "recall": known(report.measured("recall_at_specificity").value),
            "recall_interval": _ends(report.measured("recall_at_specificity")),
        },
        "prevalence": report.prevalence,
        "recall_at_false_positive_rate": {str(k): known(v) for k, v in report.recall_at_fpr.items()},
        "snr_bins": [{key: known(value) for key, value in row.items()} for row in report.snr_bins],
        "breakdowns": {part.column: part.to_dict() for part in report.breakdowns},
        "probability": {name: _probability(part) for name, part in report.probability.items()},
        "calibration": None if report.calibration is None else dict(report.calibration),
        "curves": {name: [known(v) for v in values] for name, values in report.curves().items()},
    }


def _point(report: Report, name: str) -> dict[str, Any]:
    counts = report.counts[name]
    ratios = {key: report.measured(key, name) for key in ("specificity", "recall", "precision", "f1", "accuracy")}
    ratios["purity"] = report.measured("purity", name)
    return {
        "threshold": known(report.thresholds[name]),
        **{key: getattr(counts, key) for key in ("tp", "fp", "fn", "tn")},
        **{key: known(part.value) for key, part in ratios.items()},
        "intervals": {key: _ends(part) for key, part in ratios.items()},
    }


def _probability(part: Probability) -> dict[str, Any]:
    binned = part.reliability
    return {
        "brier": known(part.brier),
        "expected_calibration_error": known(part.expected_calibration_error),
        "prevalence": part.prevalence,
        "reliability": {
            "edges": binned.edges.tolist(),
            "mean_score": [known(v) for v in binned.mean_score.tolist()],
            "share_real": [known(v) for v in binned.share_real.tolist()],
            "weight": binned.weight.tolist(),
            "real": binned.real.tolist(),
            "bogus": binned.bogus.tolist(),
        },
    }


def _ends(measured: Measured) -> list[float | None]:
    return [known(measured.low), known(measured.high)]
