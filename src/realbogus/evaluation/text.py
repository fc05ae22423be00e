"""A report as tables and Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .breakdown import table_of
from .tables import Cell, Column, Measured, ResultTable, escaped

if TYPE_CHECKING:
    from .result import Report

__all__ = ["report_lines", "report_markdown", "report_tables"]


def report_tables(report: Report) -> dict[str, ResultTable]:
    """Return the tables of a report by name, in reading order; empty ones are left out."""
    found = {"operating_points": _operating_points(report), "passing": _passing(report)}
    if report.probability:
        found["probability"] = _probability(report)
    return found | {f"by_{part.column}": table_of(part) for part in report.breakdowns}


def report_lines(report: Report) -> list[str]:
    """Return what is said of a report before its tables, as sentences of plain text."""
    auc, precision = report.measured("auc"), report.measured("average_precision")
    lines = [
        f"{len(report.labels):,} stamps: {report.real:,} real, {report.bogus:,} bogus. "
        f"AUC {_text(auc, 4)}, average precision {_text(precision, 4)}."
    ]
    left = [f"{count:,} {reason}" for reason, count in report.left_out.items() if count]
    if left:
        lines.append(f"Left out: {', '.join(left)}.")
    if report.missed is not None:
        share = report.measured("recall_at_specificity")
        lines.append(
            f"At a specificity of {100 * report.specificity:g} % or more, {_text(report.measured('missed'), 0)} of "
            f"{report.real:,} real are missed: recall {_text(_percent(share), 2)} %."
        )
    if report.intervals:
        lines.append(
            f"In brackets: {100 * report.level:g} % bootstrap intervals, drawn within each class. One without a width "
            "only says that the sample holds no error of that kind."
        )
    if report.breakdowns:
        lines.append(
            "The tables by a column of the catalogue have 95 % Wilson intervals, which have a width even there."
        )
    return lines


def report_markdown(report: Report) -> str:
    """Return the whole report as Markdown."""
    lines = [f"# {escaped(report.model)}", ""]
    for line in report_lines(report):
        lines += [escaped(line), ""]
    for table in report.tables().values():
        lines += [table.to_markdown()]
    return "\n".join(lines).rstrip("\n") + "\n"


def _operating_points(report: Report) -> ResultTable:
    ratios = (("spec %", "specificity"), ("recall %", "recall"), ("precision %", "precision"), ("F1 %", "f1"))
    columns = [Column("operating point"), Column("threshold", ".3f"), *(Column(head, ".2f", 100) for head, _ in ratios)]
    columns += [Column(f"purity % at {100 * report.prevalence:g} % real", ".2f", 100)]
    columns += [Column(head, "d") for head in ("TP", "FP", "FN", "TN")]
    rows: list[list[Cell]] = []
    for name, counts in report.counts.items():
        threshold: Cell = report.measured("crossing") if name == "crossing" else report.thresholds[name]
        numbers = [report.measured(key, name) for key in (*(key for _, key in ratios), "purity")]
        rows.append([name, threshold, *numbers, counts.tp, counts.fp, counts.fn, counts.tn])
    return ResultTable(columns, rows)


def _passing(report: Report) -> ResultTable:
    rows: list[list[Cell]] = [[f"{100 * rate:g} %", value] for rate, value in report.recall_at_fpr.items()]
    return ResultTable([Column("bogus passing"), Column("recall %", ".2f", 100)], rows)


def _probability(report: Report) -> ResultTable:
    rows: list[list[Cell]] = [
        [f"{name} calibration", part.brier, part.expected_calibration_error]
        for name, part in report.probability.items()
    ]
    return ResultTable([Column("scores"), Column("Brier", ".5f"), Column("ECE", ".4f")], rows)


def _percent(part: Measured) -> Measured:
    return Measured(100 * part.value, 100 * part.low, 100 * part.high)


def _text(part: Measured, places: int) -> str:
    if math.isnan(part.value):
        return "–"
    ends = f" [{part.low:.{places}f}, {part.high:.{places}f}]" if part.bounded else ""
    return f"{part.value:.{places}f}{ends}"
