"""The noun `Report`: how good a classifier's scores are, in numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import InputError
from ..files import remove_others, write_text, write_whole
from ..metrics import SPECIFICITY, Confusion, purity_at_prevalence
from ..tables import write_parquet
from .breakdown import Breakdown
from .intervals import Interval
from .probability import Probability
from .tables import Measured, ResultTable

__all__ = ["PREVALENCE", "SPECIFICITY", "Report"]

#: Share of real among a survey's candidates: the paper's are about 99 % bogus (section 1).
PREVALENCE = 0.01


@dataclass(frozen=True)
class Report:
    """Scores of labelled stamps, and what follows from them. Made by `evaluate` or `report_on`.

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
        Operating points by name: `asked`, `crossing` (precision = recall), `recall 95 %`, `specificity 99.25 %`.
    counts : mapping of str to Confusion
        The counts at each of them.
    recall_at_fpr : mapping of float to float
        Recall while that share of the bogus passes.
    specificity : float
        Where missed real are counted.
    missed : int or None
        Real ones that the best threshold of that specificity misses; None when a class is missing.
    prevalence : float
        Share of real among the survey's own candidates.
    intervals : mapping of str to mapping of str to (low, high)
        Bootstrap intervals: `overall` has `auc`, `average_precision`, `crossing` (the threshold),
        `missed`, `recall_at_specificity`; each operating point has its ratios. Empty without draws.
    level : float
        Of those intervals.
    breakdowns : sequence of Breakdown
        The counts at `threshold` apart by columns of the catalogue.
    probability : mapping of str to Probability
        How far scores can be read as probabilities, `before` and `after` calibration.
    probabilities : ndarray of shape (N,) or None
        Calibrated scores.
    calibration : mapping or None
        The calibration as values.
    left_out : mapping of str to int
        Stamps that do not count, by the reason.
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
    specificity: float = SPECIFICITY
    missed: int | None = None
    prevalence: float = PREVALENCE
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    level: float = 0.95
    breakdowns: Sequence[Breakdown] = ()
    probability: Mapping[str, Probability] = field(default_factory=dict)
    probabilities: NDArray[Any] | None = None
    calibration: Mapping[str, Any] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def real(self) -> int:
        """Number of real stamps."""
        return int((self.labels == 1).sum())

    @property
    def bogus(self) -> int:
        """Number of bogus stamps."""
        return int((self.labels == 0).sum())

    @property
    def snr_bins(self) -> list[dict[str, Any]]:
        """Counts in bins of abs(S/N): `low`, `high`, `real`, `found`, `bogus`, `passed`."""
        names = ("low", "high", "real", "found", "bogus", "passed")
        return [
            {name: getattr(part, name) for name in names}
            for found in self.breakdowns if found.column == "snr" for part in found.bins
        ]  # fmt: skip

    def measured(self, name: str, point: str = "asked") -> Measured:
        """Return one number with its bootstrap interval.

        Parameters
        ----------
        name : str
            `auc`, `average_precision`, `crossing`, `missed`, `recall_at_specificity`; or of an operating
            point `specificity`, `recall`, `precision`, `f1`, `accuracy`, `purity`.
        point : str
            A name in `thresholds`. What cannot be known there is nan.

        Raises
        ------
        InputError
            There is no such number or point.
        """
        overall = {
            "auc": self.auc,
            "average_precision": self.average_precision,
            "crossing": self.thresholds.get("crossing", math.nan),
            "missed": math.nan if self.missed is None else float(self.missed),
            "recall_at_specificity": math.nan if self.missed is None else 1 - self.missed / self.real,
        }
        ratios = ("specificity", "recall", "precision", "f1", "accuracy", "purity")
        if name not in overall and name not in ratios:
            raise InputError(f"a report has no number {name!r}: it has {', '.join((*overall, *ratios))}")
        if point not in self.thresholds:
            raise InputError(f"a report has no operating point {point!r}: it has {', '.join(self.thresholds)}")
        low, high = self.intervals.get("overall" if name in overall else point, {}).get(name, (math.nan, math.nan))
        if name in overall:
            return Measured(overall[name], low, high)
        counts = self.counts.get(point, Confusion(0, 0, 0, 0))
        if name == "purity":
            value = float(purity_at_prevalence(counts.recall, counts.specificity, self.prevalence))
        else:
            value = getattr(counts, name)
        return Measured(value, low, high)

    def curves(self) -> dict[str, list[float]]:
        """Precision, recall and false positive rate by threshold, at most 400 points, and histograms."""
        from .values import curves

        return curves(self.scores, self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Values for `report.json`; what cannot be known is null."""
        from .values import report_values

        return report_values(self)

    def tables(self) -> dict[str, ResultTable]:
        """Return all tables by name: operating points, passing bogus, probabilities, each breakdown."""
        from .text import report_tables

        return report_tables(self)

    def to_markdown(self) -> str:
        """Tables for people: operating points, then the rest."""
        from .text import report_markdown

        return report_markdown(self)

    def save(self, folder: Path | str, *, figures: bool = True) -> Path:
        """Write the report as a folder, and return it.

        It holds `report.json`, `report.md`, `scores.parquet`, and `tables/` as Markdown, CSV and LaTeX;
        with `figures` also `report.html`, one page that needs nothing else, and `figures/` as PDF and PNG.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        folder = Path(folder)
        columns: dict[str, Any] = {"id": self.ids, "label": self.labels, "score": self.scores}
        if self.probabilities is not None:
            columns["probability"] = self.probabilities
        write_whole(folder / "scores.parquet", lambda part: write_parquet(Table(columns), part))
        write_text(folder / "report.json", json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")
        write_text(folder / "report.md", self.to_markdown())
        tables = self.tables()
        remove_others(folder / "tables", tables, "by_*.*", "probability.*")  # another report's, of other columns
        for name, table in tables.items():
            table.save(folder / "tables" / name)
        if figures:
            from .page import write_page

            write_page(self, folder)
        return folder
