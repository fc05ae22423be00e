"""The noun `Report`: how good a classifier's scores are, in numbers."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..classifier import Classifier
from ..errors import InputError, OutputError
from ..metrics import (
    Confusion,
    average_precision,
    confusion,
    operating_points,
    precision_recall_crossing,
    recall_at_false_positive_rate,
    roc_auc,
    threshold_at_recall,
)
from ..scoring import channel_indices
from ..stamps import StampSet
from ..tables import write_parquet

__all__ = ["Report", "evaluate", "report_on"]

#: Edges of the bins of signal-to-noise in which recall is reported.
SNR_EDGES = (0.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, math.inf)
_CURVE_POINTS = 400
_HISTOGRAM_BINS = 50


@dataclass(frozen=True)
class Report:
    """Scores of labelled stamps, and what follows from them.

    Parameters
    ----------
    model : str
        Name and version of the classifier.
    threshold : float
        The threshold asked about; `score >= threshold` is real.
    ids : ndarray of str, shape (N,)
        The stamps, those to ignore left out.
    labels : ndarray of int, shape (N,)
        1 real, 0 bogus.
    scores : ndarray of float32, shape (N,)
        In [0, 1].
    auc, average_precision : float
        Of the ROC and of the precision-recall curve.
    thresholds : mapping of str to float
        Operating points by name: `asked`, `crossing` (precision = recall), `recall 95 %`.
    counts : mapping of str to Confusion
        The counts at each of them.
    recall_at_fpr : mapping of float to float
        Recall while that share of the bogus passes.
    snr_bins : list of dict
        Counts in bins of abs(S/N): `low`, `high`, `real`, `found`, `bogus`, `passed`.
    """

    model: str
    threshold: float
    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    auc: float
    average_precision: float
    thresholds: Mapping[str, float]
    counts: Mapping[str, Confusion]
    recall_at_fpr: Mapping[float, float]
    snr_bins: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def curves(self) -> dict[str, list[float]]:
        """Precision, recall and false positive rate by threshold, at most 400 points, and histograms."""
        points = operating_points(self.scores, self.labels)
        keep = np.unique(np.linspace(0, len(points.thresholds) - 1, _CURVE_POINTS).round().astype(int))
        edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
        histograms = {
            name: np.histogram(self.scores[self.labels == value], edges)[0].tolist()
            for name, value in (("histogram_real", 1), ("histogram_bogus", 0))
        }
        return {
            "threshold": points.thresholds[keep].tolist(),
            "precision": points.precision[keep].tolist(),
            "recall": points.recall[keep].tolist(),
            "false_positive_rate": points.false_positive_rate[keep].tolist(),
            **histograms,
        }

    def to_dict(self) -> dict[str, Any]:
        """Values for `report.json`; what cannot be known is null."""
        return {
            "model": self.model,
            "stamps": len(self.labels),
            "real": int((self.labels == 1).sum()),
            "bogus": int((self.labels == 0).sum()),
            "auc": _number(self.auc),
            "average_precision": _number(self.average_precision),
            "threshold": self.threshold,
            "operating_points": {
                name: {"threshold": _number(self.thresholds[name]), **_ratios(counts)}
                for name, counts in self.counts.items()
            },
            "recall_at_false_positive_rate": {str(k): _number(v) for k, v in self.recall_at_fpr.items()},
            "snr_bins": [{key: _number(value) for key, value in row.items()} for row in self.snr_bins],
            "curves": {name: [_number(v) for v in values] for name, values in self.curves().items()},
        }

    def to_markdown(self) -> str:
        """Tables for people: operating points, then bins of S/N."""
        lines = [
            f"# {self.model}",
            "",
            f"{len(self.labels)} stamps: {int((self.labels == 1).sum())} real, "
            f"{int((self.labels == 0).sum())} bogus. AUC {self.auc:.4f}, "
            f"average precision {self.average_precision:.4f}.",
            "",
            "| operating point | threshold | spec % | recall % | precision % | F1 % | TP | FP | FN | TN |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for name, c in self.counts.items():
            ratios = " | ".join(f"{100 * v:.2f}" for v in (c.specificity, c.recall, c.precision, c.f1))
            lines.append(f"| {name} | {self.thresholds[name]:.3f} | {ratios} | {c.tp} | {c.fp} | {c.fn} | {c.tn} |")
        lines += ["", "| bogus passing | recall % |", "|--:|--:|"]
        lines += [f"| {100 * rate:g} % | {100 * value:.2f} |" for rate, value in self.recall_at_fpr.items()]
        if self.snr_bins:
            lines += ["", "| S/N | real | found | bogus | passed |", "|--:|--:|--:|--:|--:|"]
            lines += [
                f"| {row['low']:g} to {row['high']:g} | {row['real']} | {row['found']} "
                f"| {row['bogus']} | {row['passed']} |"
                for row in self.snr_bins
            ]
        return "\n".join(lines) + "\n"

    def save(self, folder: Path | str) -> Path:
        """Write `report.json`, `report.md` and `scores.parquet`, and return the folder.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        folder = Path(folder)
        table = Table({"id": self.ids, "label": self.labels, "score": self.scores})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
            (folder / "report.json").write_text(text, encoding="utf-8")
            (folder / "report.md").write_text(self.to_markdown(), encoding="utf-8")
            write_parquet(table, folder / "scores.parquet")
        except OSError as error:
            raise OutputError(f"cannot write the report to {folder}: {error}") from error
        return folder


def evaluate(classifier: Classifier, stamps: StampSet, threshold: float | None = None) -> Report:
    """Score labelled stamps and report; stamps to ignore or without a label are left out.

    Parameters
    ----------
    classifier : Classifier
        A model, an ensemble or a runtime.
    stamps : StampSet
        With the column `label`, and the channels that the classifier takes.
    threshold : float, optional
        The card's where absent.

    Raises
    ------
    InputError
        No labels, or a channel is missing.

    Examples
    --------
    >>> from realbogus.classifier import Card
    >>> class Peak:
    ...     card = Card(name="peak", architecture="none", threshold=0.5)
    ...     def predict(self, pixels, *, noise=None, fwhm=None):
    ...         return np.clip(pixels[:, 0, 32, 32] / 10, 0, 1)
    >>> pixels = np.zeros((4, 1, 64, 64), "float32")
    >>> pixels[2:, 0, 32, 32] = 8.0
    >>> rows = Table({"id": list("abcd"), "noise": [1.0] * 4, "fwhm": [3.0] * 4, "label": [0, 0, 1, 1]})
    >>> evaluate(Peak(), StampSet(pixels, rows)).counts["asked"]
    Confusion(tp=2, fp=0, fn=0, tn=2)
    """
    card = classifier.card
    rows = np.flatnonzero((stamps.labels == 0) | (stamps.labels == 1))
    if not len(rows):
        raise InputError(f"none of {len(stamps)} stamps has a label: fill the column `label` (1 real, 0 bogus)")
    # `select` would copy all channels of all rows at once
    channels = channel_indices(stamps.channels, card.channels)
    noise, fwhm = stamps.noise, stamps.fwhm
    parts = [
        classifier.predict(stamps.pixels[part][:, channels], noise=noise[part], fwhm=fwhm[part])
        for part in np.array_split(rows, -(-len(rows) // 4096))
    ]
    catalogue = stamps.catalogue[rows]
    return report_on(
        np.concatenate(parts),
        stamps.labels[rows],
        threshold=card.threshold if threshold is None else threshold,
        model=f"{card.name} {card.version}",
        ids=catalogue["id"],
        snr=catalogue["snr"] if "snr" in catalogue.colnames else None,
    )


def report_on(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float = 0.5,
    model: str = "scores",
    ids: ArrayLike | None = None,
    snr: ArrayLike | None = None,
) -> Report:
    """Report on scores that are already there.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        In [0, 1]; 1 real, 0 bogus.
    threshold : float
        `score >= threshold` is real.
    model : str
        Where the scores come from.
    ids : array_like, shape (N,), optional
        The stamps; their row numbers where absent.
    snr : array_like, shape (N,), optional
        Signal-to-noise of each, for the table of bins.

    Raises
    ------
    InputError
        Lengths differ, or a label is neither 0 nor 1.
    """
    values = np.asarray(scores, dtype=np.float32)
    truth = np.asarray(labels, dtype=np.int64)
    thresholds = {
        "asked": float(threshold),
        "crossing": precision_recall_crossing(values, truth),
        "recall 95 %": threshold_at_recall(values, truth, 0.95),
    }
    return Report(
        model=model,
        threshold=float(threshold),
        ids=np.asarray(np.arange(len(values)) if ids is None else ids).astype(str),
        labels=truth,
        scores=values,
        auc=roc_auc(values, truth),
        average_precision=average_precision(values, truth),
        thresholds=thresholds,
        counts={name: confusion(values, truth, value) for name, value in thresholds.items() if math.isfinite(value)},
        recall_at_fpr={rate: recall_at_false_positive_rate(values, truth, rate) for rate in (0.001, 0.01, 0.03)},
        snr_bins=[] if snr is None else _snr_bins(values, truth, snr, float(threshold)),
    )


def _snr_bins(
    scores: NDArray[np.float32], labels: NDArray[np.int64], snr: ArrayLike, threshold: float
) -> list[dict[str, Any]]:
    strength = np.abs(np.ma.filled(np.ma.asarray(snr, dtype=float), np.nan))
    rows = []
    for low, high in itertools.pairwise(SNR_EDGES):
        inside = (strength >= low) & (strength < high)
        called = inside & (scores >= threshold)
        counts = {
            "real": int((inside & (labels == 1)).sum()),
            "found": int((called & (labels == 1)).sum()),
            "bogus": int((inside & (labels == 0)).sum()),
            "passed": int((called & (labels == 0)).sum()),
        }
        if inside.any():
            rows.append({"low": low, "high": high, **counts})
    return rows


def _ratios(counts: Confusion) -> dict[str, Any]:
    names = ("specificity", "recall", "precision", "f1", "accuracy")
    ratios = {name: _number(getattr(counts, name)) for name in names}
    return {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "tn": counts.tn, **ratios}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON knows no NaN
