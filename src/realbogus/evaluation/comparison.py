"""Many reports side by side: Tables 2 and 3 of the paper, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..errors import InputError
from .result import Report
from .tables import Cell, Column, ResultTable

__all__ = ["comparison_table"]


def comparison_table(
    reports: Mapping[str, Report],
    *,
    name: str = "network",
    parameters: Mapping[str, float] | None = None,
    point: str = "asked",
    by_auc: bool = False,
    caption: str = "",
) -> ResultTable:
    """Return one row a report: specificity, recall, precision, F1, AUC and missed real.

    Parameters
    ----------
    reports : mapping of str to Report
        By the name in the first column.
    name : str
        Head of the first column: `network` (Table 2), `members` (Table 3).
    parameters : mapping of str to float, optional
        Millions of parameters of each, for a second column.
    point : str
        The operating point; `asked` is the threshold the report was made with, 0.5 in the paper.
    by_auc : bool
        Best AUC first, as in Table 2, instead of the order given.
    caption : str
        Of the table.

    Returns
    -------
    ResultTable

    Raises
    ------
    InputError
        No reports, or they count missed real at different specificities.

    Examples
    --------
    >>> from realbogus.evaluation.report import report_on
    >>> one = report_on([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], draws=0)
    >>> print(comparison_table({"toy": one}).to_markdown(), end="")
    | network | spec % | recall % | precision % | F1 % | AUC | missed at spec 99.25 % |
    |---|--:|--:|--:|--:|--:|--:|
    | toy | 50.00 | 50.00 | 50.00 | 50.00 | 0.7500 | 1 |
    """
    if not reports:
        raise InputError("no reports to compare: hand in at least one")
    fixed = {report.specificity for report in reports.values()}
    if len(fixed) > 1:
        raise InputError(f"the reports count missed real at the specificities {sorted(fixed)}: make them at one")
    columns = [Column(name)] + ([Column("parameters (M)", ".1f")] if parameters is not None else [])
    heads = ("spec %", "recall %", "precision %", "F1 %")
    columns += [Column(head, ".2f", 100) for head in heads] + [Column("AUC", ".4f")]
    columns += [Column(f"missed at spec {100 * fixed.pop():g} %", ".0f")]
    order = list(reports)
    if by_auc:  # those without an AUC last
        order.sort(key=lambda key: -reports[key].auc if math.isfinite(reports[key].auc) else math.inf)
    rows: list[list[Cell]] = []
    for key in order:
        numbers: list[Cell] = [
            reports[key].measured(ratio, point)
            for ratio in ("specificity", "recall", "precision", "f1", "auc", "missed")
        ]
        size: list[Cell] = [] if parameters is None else [parameters.get(key)]
        rows.append([key, *size, *numbers])
    return ResultTable(columns, rows, caption)
