"""Several models on the same stamps, side by side, as Tables 2 and 3 of the paper have them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError
from .figures import new_axes, roc_curves, save_figure
from .result import Report
from .tables import Cell, Column, ResultTable

__all__ = ["comparison_table", "write_comparison"]


def comparison_table(reports: Mapping[str, Report], *, caption: str = "") -> ResultTable:
    """Return one row a report, best AUC first: specificity, recall, precision, F1, AUC and missed real.

    Parameters
    ----------
    reports : mapping of str to Report
        By the name in the first column. The first four numbers are those at each report's own threshold.
    caption : str
        Of the table.

    Returns
    -------
    ResultTable

    Raises
    ------
    InputError
        No reports, or they are of other stamps, or count missed real at other specificities.

    Examples
    --------
    >>> from realbogus.evaluation.report import report_on
    >>> one = report_on([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], draws=0)
    >>> print(comparison_table({"toy": one}).to_markdown(), end="")
    | model | threshold | spec % | recall % | precision % | F1 % | AUC | missed at spec 99.25 % |
    |---|--:|--:|--:|--:|--:|--:|--:|
    | toy | 0.500 | 50.00 | 50.00 | 50.00 | 50.00 | 0.7500 | 1 |
    """
    if not reports:
        raise InputError("no reports to compare: hand in at least one")
    fixed = {report.specificity for report in reports.values()}
    if len(fixed) > 1:
        raise InputError(f"the reports count missed real at the specificities {sorted(fixed)}: make them at one")
    first, *others = reports.values()
    if not all(np.array_equal(first.ids, it.ids) and np.array_equal(first.labels, it.labels) for it in others):
        raise InputError("the reports are of other stamps or labels: numbers compare only on the same")
    columns = [Column("model"), Column("threshold", ".3f")]
    columns += [Column(head, ".2f", 100) for head in ("spec %", "recall %", "precision %", "F1 %")]
    columns += [Column("AUC", ".4f"), Column(f"missed at spec {100 * fixed.pop():g} %", ".0f")]
    rows: list[list[Cell]] = []
    # those without an AUC last
    for name, report in sorted(reports.items(), key=lambda it: -it[1].auc if math.isfinite(it[1].auc) else math.inf):
        ratios = ("specificity", "recall", "precision", "f1", "auc", "missed")
        rows.append([name, report.threshold, *(report.measured(ratio) for ratio in ratios)])
    return ResultTable(columns, rows, caption)


def write_comparison(reports: Mapping[str, Report], folder: Path | str) -> ResultTable:
    """Write `comparison` as Markdown, CSV and LaTeX, and the ROC curves of all as PDF and PNG; return the table.

    Parameters
    ----------
    reports : mapping of str to Report
        As in `comparison_table`.
    folder : path
        Made where it is missing.

    Raises
    ------
    InputError
        As in `comparison_table`.
    OutputError
        A file cannot be written.
    """
    table = comparison_table(reports)
    table.save(Path(folder) / "comparison")
    scored = {name: (report.scores, report.labels) for name, report in reports.items()}
    specificity = next(iter(reports.values())).specificity
    save_figure(roc_curves(new_axes(), scored, specificity=specificity), Path(folder) / "roc")
    return table
