"""The report on the votes: for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ..files import plain, write_text
from ..stamps import IGNORE, UNLABELLED
from .consensus import Consensus
from .vetters import VetterReport

__all__ = ["markdown", "print_report", "summary", "write_report"]

_HEADS = ("vetter", "votes", "real", "bogus", "unsure", "sensitivity", "specificity", "informedness", "agreement",
          "repeats", "same", "s/vote", "first to last", "remarks")  # fmt: skip
#: The same for a terminal: heads, and what stands below them.
_SHORT = {
    "vetter": "vetter", "votes": "votes", "real": "real", "bogus": "bogus", "unsure": "unsure", "sens.": "sensitivity",
    "spec.": "specificity", "informedness": "informedness", "same": "repeats", "s/vote": "s/vote",
}  # fmt: skip


def summary(found: Consensus, reports: Sequence[VetterReport]) -> dict[str, Any]:
    """Return everything as plain values, ready for JSON.

    Examples
    --------
    >>> from realbogus.vetting.consensus import consensus
    >>> summary(consensus([], ["a", "b"]), [])["stamps"]
    {'all': 2, 'voted': 0, 'real': 0, 'bogus': 0, 'undecided': 0, 'majority_differs': 0, 'strangers': 0}
    """
    label, majority = np.asarray(found.table["label"]), np.asarray(found.table["majority"])
    voted = label != UNLABELLED
    stamps = {
        "all": len(label), "voted": int(voted.sum()), "real": int((label == 1).sum()),
        "bogus": int((label == 0).sum()), "undecided": int((label == IGNORE).sum()),
        "majority_differs": int((voted & (label != majority)).sum()), "strangers": found.strangers,
    }  # fmt: skip
    return {
        "stamps": stamps,
        "prevalence": None if found.skills is None else found.skills.prevalence,
        "bad": [report.name for report in reports if report.bad],
        "vetters": [plain(asdict(report)) for report in reports],
    }


def _cells(report: VetterReport) -> list[str]:
    confusion = [_share(value) for value in (report.sensitivity, report.specificity)]
    worth = "–" if math.isnan(report.informedness) else f"{report.informedness:.2f} ± {report.margin:.2f}"
    votes = (report.real + report.bogus + report.unsure, report.real, report.bogus, report.unsure)
    return [
        report.name, *map(str, votes), *confusion, worth, _share(report.agreement), str(report.repeats),
        _share(report.steady[0]), "–" if math.isnan(report.seconds) else f"{report.seconds:.1f}",
        " ".join(_share(value) for value in report.drift) if report.drift else "–",
        "; ".join((["BAD"] if report.bad else []) + list(report.remarks)),
    ]  # fmt: skip


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"


def _sentences(values: dict[str, Any]) -> list[str]:
    stamps = values["stamps"]
    lines = [
        f"{stamps['voted']:,} of {stamps['all']:,} stamps voted on: {stamps['real']:,} real, "
        f"{stamps['bogus']:,} bogus, {stamps['undecided']:,} undecided; the majority differs on "
        f"{stamps['majority_differs']:,}",
    ]
    if stamps["strangers"]:
        lines.append(f"{stamps['strangers']:,} votes are on stamps that are not in this set")
    if len(values["vetters"]) == 1:
        lines.append("one vetter: there is nobody to measure these votes by")
    lines += [f"bad: {name}, whose votes do not say what the stamps are" for name in values["bad"]]
    return lines


def print_report(found: Consensus, reports: Sequence[VetterReport], console: Console) -> None:
    """Print one row a vetter, then what there is to say of some and of all. Names are printed as they are.

    The rows fit a terminal of 80 columns.
    """
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in _SHORT:
        shown.add_column(
            head, justify="left" if head == "vetter" else "right", no_wrap=head != "vetter", overflow="fold"
        )
    for report in reports:
        cells = dict(zip(_HEADS, _cells(report), strict=True))
        cells["repeats"] = f"{report.same}/{report.repeats}"
        row = [Text(cells[name]) for name in _SHORT.values()]
        shown.add_row(*row, style="bold" if report.bad else None)
    if reports:
        console.print(shown)
    remarks = [f"{report.name}: {'; '.join(report.remarks)}" for report in reports if report.remarks]
    for line in [*remarks, *_sentences(summary(found, reports))]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def markdown(found: Consensus, reports: Sequence[VetterReport]) -> str:
    """Return the report as Markdown.

    Examples
    --------
    >>> from realbogus.vetting.consensus import consensus
    >>> print(markdown(consensus([], ["a"]), []).splitlines()[0])
    # Votes
    """
    lines = ["# Votes", "", *(f"- {_escaped(line)}" for line in _sentences(summary(found, reports))), ""]
    lines += ["| " + " | ".join(_HEADS) + " |", "| " + " | ".join("---" for _ in _HEADS) + " |"]
    lines += ["| " + " | ".join(map(_escaped, _cells(report))) + " |" for report in reports]
    lines += [
        "",
        "Sensitivity and specificity: shares of reals called real and of bogus called bogus, by the consensus of all "
        "(Dawid and Skene). Informedness: their sum less 1, with its 95 % margin; 0 is a coin or a stuck key. "
        "Agreement: how probably a vote is right by the others alone, first to last in five parts of equal size.",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Keep a name from outside from being markup, Markdown's or HTML's."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return text.replace("\n", " ")


def write_report(found: Consensus, reports: Sequence[VetterReport], folder: Path | str) -> tuple[Path, Path]:
    """Write `votes.json` and `votes.md` into a folder and return them.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    folder = Path(folder)
    text = json.dumps(summary(found, reports), indent=1, allow_nan=False) + "\n"
    return write_text(folder / "votes.json", text), write_text(folder / "votes.md", markdown(found, reports))
