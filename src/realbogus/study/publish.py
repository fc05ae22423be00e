"""The last stage: tables, figures, report and summary, each file whole or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..evaluation.canvas import save_figure, svg
from ..files import plain, remove_others, write_text
from ..stamps import StampSet
from .figures import FIGURES, study_figures
from .page import write_page
from .results import Results
from .tables import computing, study_tables

__all__ = ["publish"]


def publish(
    results: Results,
    stamps: StampSet,
    facts: dict[str, Any],
    clock: dict[str, float],
    *,
    progress: Callable[[int, int], None],
) -> Path:
    """Write `tables/`, `tables.md`, `figures/`, `computing.*`, `report.html` and last `summary.json`.

    Tables and figures follow from the scores alone; all is made anew every time.

    Parameters
    ----------
    results : Results
        What was trained.
    stamps : StampSet
        For the pictures.
    facts : dict
        For the summary.
    clock : dict
        Seconds of the stages of this call; those of this stage are added.
    progress : callable
        Called with (done, of).

    Returns
    -------
    Path
        The report.
    """
    out, started = results.out, time.perf_counter()
    steps = 2 + len(FIGURES)
    tables = study_tables(results, stamps)
    remove_others(out / "tables", tables, "*.*")  # of an earlier release they say nothing of this study any more
    for name, table in tables.items():
        table.save(out / "tables" / name)
    text = "\n".join(f"## {name}\n\n{table.to_markdown()}" for name, table in tables.items())
    write_text(out / "tables.md", text)
    spent = computing(results)
    spent.save(out / "computing")
    progress(1, steps)
    drawn: list[tuple[str, str, str]] = []
    for number, (name, axes, caption) in enumerate(study_figures(results, stamps), start=1):
        save_figure(axes, out / "figures" / name)
        drawn.append((name, svg(axes, name), caption))
        progress(1 + number, steps)
    remove_others(out / "figures", {name for name, _, _ in drawn}, "*.*")
    clock["tables and figures"] = time.perf_counter() - started
    trained = [outcome.facts for outcome in results.outcomes.values() if outcome.facts is not None]
    summary = plain(
        facts
        | {
            "seconds": {
                "data": facts["data"]["seconds"],
                "screen": facts["screen"]["seconds"],
                "networks, training, one after the other": sum(it["train_seconds"] for it in trained),
                "networks, scoring, one after the other": sum(it["score_seconds"] for it in trained),
                "this call": clock,
            }
        }
    )
    report = write_page(out / "report.html", tables=tables | {"computing": spent}, figures=drawn, summary=summary)
    written = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_text(out / "summary.json", written)
    progress(steps, steps)
    return report
