"""The study's report: one HTML page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..evaluation.html import environment
from ..evaluation.tables import ResultTable
from ..files import write_text

__all__ = ["write_page"]

#: Where each table and figure stands; tables in no section come before the last two.
_SECTIONS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("data", "Data and screening", ("screening",), ("figure1", "figure2a", "figure2b")),
    ("networks", "Networks", ("table2", "table2_hard"), ()),
    ("ensemble", "Ensemble", ("table3_stamp", "table3_stamp_hard", "crossing"),
     ("figure3", "figure4", "figure5", "figure6", "figure7")),
    ("leakage", "What leakage and the hard set are worth", ("leakage", "table3_field", "table3_field_hard"), ("roc",)),
    ("calibration", "Scores as probabilities", ("calibration",), ("reliability",)),
    ("best", "A better recipe", ("best",), ()),
    ("cost", "Computing time", ("computing",), ()),
)  # fmt: skip


def write_page(
    path: Path,
    *,
    tables: Mapping[str, ResultTable],
    figures: Sequence[tuple[str, str, str]],
    summary: Mapping[str, Any],
) -> Path:
    """Write the report.

    Parameters
    ----------
    path : Path
        The page; replaced whole or not at all.
    tables : mapping of str to ResultTable
        By name.
    figures : sequence of (name, svg, caption)
        In order.
    summary : mapping
        As in `summary.json`.

    Returns
    -------
    Path
        The page.
    """
    pictures = {name: (Markup(text), caption) for name, text, caption in figures}
    placed = {name for _, _, names, _ in _SECTIONS for name in names}
    rest = tuple(name for name in tables if name not in placed)
    layout = (*_SECTIONS[:-2], ("where", "Where the ensemble fails", rest, ()), *_SECTIONS[-2:])
    sections = [
        {
            "id": key,
            "title": title,
            "tables": [_table(tables[name]) for name in names if name in tables],
            "figures": [pictures[name] for name in drawn if name in pictures],
        }
        for key, title, names, drawn in layout
    ]
    text = (
        environment("realbogus.study")
        .get_template("study.html.j2")
        .render(
            sections=[section for section in sections if section["tables"] or section["figures"]],
            summary=summary,
            plan=json.dumps(summary["plan"], indent=1),
        )
    )
    return write_text(path, text)


def _table(table: ResultTable) -> dict[str, Any]:
    rows = table.to_text()
    return {
        "caption": table.caption,
        "columns": [(column.header, bool(column.format)) for column in table.columns],
        "rows": rows,
    }
