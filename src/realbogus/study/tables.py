"""The tables of the study, each a `ResultTable`: Table 2, Table 3, and what the paper could not say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..evaluation.tables import Cell, Column, Measured, ResultTable
from ..stamps import StampSet
from . import paper
from .comparisons import best_and_paper, breakdowns, calibration, crossing, leakage
from .measures import SPECIFICITY, Measures
from .plan import Network, titles
from .results import Results
from .splits import SPLITS
from .votes import combinations

__all__ = ["TABLES", "computing", "study_tables"]

_PERCENT = {"specificity": "specificity %", "recall": "recall %", "precision": "precision %", "f1": "F1 %"}
_ORDERED = ("auc", "average precision", "recall at specificity", "missed")
_AT = f"{100 * SPECIFICITY:g} %"
_MEASURED = [*(Column(head, ".2f", 100) for head in _PERCENT.values()), Column("AUC", ".4f"),
             Column("average precision", ".4f"), Column(f"recall % at {_AT}", ".2f", 100),
             Column(f"missed at {_AT}", ".0f")]  # fmt: skip
_PRINTED = [*(Column(f"paper {head}", ".2f") for head in _PERCENT.values()), Column("paper AUC", ".4f")]
_MILLION = 1e6


def table_2(results: Results, *, hard: bool = False) -> ResultTable:
    """Every network under the paper's recipe on the split per stamp, best AUC first, beside the paper's row."""
    from ..architectures.facts import PAPER_NETWORKS

    rows: list[list[Cell]] = []
    failed: list[list[Cell]] = []
    for network in results.plan.networks:
        title = [network.title]
        theirs, known = _printed(paper.TABLE_2.get(network.name)), PAPER_NETWORKS.get(network.name)
        reason = results.reason(f"single/{network.name}")
        if reason:
            failed.append([*title, None, None, *[None] * len(_MEASURED), *theirs, f"failed: {reason}"])
            continue
        facts = results.outcomes[f"single/{network.name}"].facts or {}
        table = results.singles[network.name]
        measures = results.measure(np.asarray(table["score"]), table, "stamp", hard=hard)
        counts: list[Cell] = [facts["parameters"] / _MILLION, known.millions if known else None]
        note = f"the paper's size: {known.note}" if known and known.note else ""
        rows.append([*title, *counts, *_cells(measures), *theirs, note])
    rows.sort(key=lambda row: -_value(row[3 + len(_PERCENT)]))
    columns = [Column("network"), Column("parameters, M", ".1f"), Column("paper M (1000 classes)", ".1f"),
               *_MEASURED, *_PRINTED, Column("note")]  # fmt: skip
    caption = (
        f"Table 2: networks under the paper's recipe ({_effort(results, results.plan.networks)}), "
        f"split per stamp, threshold 0.5, {_sizes(results, 'stamp', hard)}. 95 % bootstrap intervals. Parameters as "
        "trained." + (" The paper's rows: without its hard set." if hard else "")
    )
    return _without_empty_notes(ResultTable(columns, [*rows, *failed], caption))


def table_3(results: Results, *, split: str = "stamp", hard: bool = False) -> ResultTable:
    """Every combination of the bagged members, raw and calibrated votes, beside the paper's row."""
    rows: list[list[Cell]] = []
    bag = results.bags.get(split)
    if bag is not None:
        for chosen in combinations([network.name for network in results.members(split)]):
            theirs = _printed(paper.TABLE_3.get(frozenset(chosen)))
            for calibrated in (False, True):
                kind = "calibrated" if calibrated else "raw"
                measures = results.measure(bag.vote(chosen, calibrated=calibrated), bag.rows, split, hard=hard)
                printed = [None] * len(theirs) if calibrated else theirs
                rows.append([titles(chosen), kind, *_cells(measures), *printed, ""])
    for network in results.plan.trio:
        reason = results.reason(f"bag-{split}/{network.name}")
        if reason:
            rows.append([network.title, "", *[None] * (len(_MEASURED) + len(_PRINTED)), f"failed: {reason}"])
    columns = [Column("members"), Column("votes"), *_MEASURED, *_PRINTED, Column("note")]
    caption = (
        f"Table 3: bagged networks ({_effort(results, results.plan.trio, results.plan.bag_epochs)}), "
        f"split {SPLITS[split].title}, threshold 0.5, "
        f"{_sizes(results, split, hard)}. 95 % bootstrap intervals. The paper's rows: its split per "
        "stamp, without its hard set."
    )
    return _without_empty_notes(ResultTable(columns, rows, caption))


def screening(results: Results) -> ResultTable:
    """Bands of the screening score beside the paper's."""
    bands = results.screen["bands"]
    names = {"keep": "below 0.2: kept", "review": "0.2 to 0.9: reviewed", "hard": "above 0.9: the hard set"}
    low, high = (f"{edge:g}" for edge in results.plan.bands)
    rows: list[list[Cell]] = [
        [names[name].replace("0.2", low).replace("0.9", high), it["count"], it["share"], it["paper_share"]]
        for name, it in bands.items()
    ]
    columns = [Column("band"), Column("bogus", "d"), Column("share %", ".2f", 100), Column("paper %", ".2f", 100)]
    caption = (
        f"Screening of {results.screen['raw_bogus']} raw bogus; held-out accuracy of the screening network "
        f"{100 * results.screen['accuracy']:.1f} % (paper: 97 %). People kept 9,007 of the 9,994 reviewed; "
        "here the truth says that all are bogus, and all are kept."
    )
    return ResultTable(columns, rows, caption)


def computing(results: Results) -> ResultTable:
    """Seconds of training and scoring: not among `TABLES`, as they differ from run to run."""
    rows: list[list[Cell]] = []
    for key, outcome in results.outcomes.items():
        facts = outcome.facts
        if facts is None:
            continue
        core_seconds = facts["train_seconds"] * facts["threads"]
        shown = facts["train_stamps"] * facts["epochs"] / max(facts["train_seconds"], 1e-9)
        rows.append([key, facts["epochs"], facts["train_stamps"], facts["threads"], facts["device"],
                     facts["train_seconds"], core_seconds, shown, facts["score_seconds"]])  # fmt: skip
    for title, prefix in (
        ("all: paper's bag by field", "bag-field/"), ("all: best", "best/"),
        ("all: paper's bag, learned from hard", "bag-hard/"), ("all: best, learned from hard", "best-hard/"),
    ):  # fmt: skip
        of = [row for row in rows if str(row[0]).startswith(prefix)]
        if of:
            total = [sum(_value(row[column]) for row in of) for column in (5, 6, 8)]
            rows.append([title, None, None, None, "", total[0], total[1], None, total[2]])
    columns = [Column("network"), Column("epochs", "d"), Column("stamps", "d"), Column("threads", "d"),
               Column("device"), Column("training s", ".0f"), Column("core seconds", ".0f"),
               Column("stamps/s, before repetition", ".0f"), Column("scoring s", ".0f")]  # fmt: skip
    return ResultTable(columns, rows, "Computing time. These numbers are measured and change from run to run.")


#: Every table that follows from the scores, by the name of its files.
TABLES: dict[str, Callable[[Results], ResultTable]] = {
    "table2": table_2,
    "table2_hard": lambda results: table_2(results, hard=True),
    "table3_stamp": table_3,
    "table3_stamp_hard": lambda results: table_3(results, hard=True),
    "table3_field": lambda results: table_3(results, split="field"),
    "table3_field_hard": lambda results: table_3(results, split="field", hard=True),
    "leakage": leakage,
    "best": best_and_paper,
    "crossing": crossing,
    "calibration": calibration,
    "screening": screening,
}


def study_tables(results: Results, stamps: StampSet) -> dict[str, ResultTable]:
    """Fill every table, and break the ensemble's calls down by what the catalogue knows of the stamps."""
    return {name: fill(results) for name, fill in TABLES.items()} | breakdowns(results, stamps)


def _cells(measures: Measures) -> list[Cell]:
    return [measures.values[name] for name in (*_PERCENT, *_ORDERED)]


def _printed(row: paper.Printed | None) -> list[Cell]:
    return [None] * len(_PRINTED) if row is None else [row.specificity, row.recall, row.precision, row.f1, row.auc]


def _value(cell: Cell) -> float:
    value = cell.value if isinstance(cell, Measured) else cell
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else float("-inf")


def _effort(results: Results, networks: Sequence[Network], epochs: int = 0) -> str:
    recipe = results.plan.recipe.training
    others = [f"{network.title} {network.lr:g}" for network in networks if network.lr]
    rates = f"{recipe.lr:g} ({', '.join(others)})" if others else f"{recipe.lr:g}"
    shape = recipe.schedule.replace("_", " ") + (f" over {100 * recipe.warmup:g} %" if recipe.warmup else "")
    return (
        f"epochs {epochs or recipe.epochs}, batches of {recipe.batch_size}, highest rate {rates}, schedule {shape}; "
        "the paper's 100, 256, 0.0001 and cosine"
    )


def _sizes(results: Results, split: str, hard: bool) -> str:
    test = results.splits["counts"][split]["test"]
    bogus = f"{test['bogus']} bogus" + (f" and {test['hard']} hard bogus" if hard else "")
    each = (test["bogus"] + hard * test["hard"]) / test["real"]
    return (
        f"test side of {test['real']} real and {bogus}; precision and F1 are those of {each:.0f} bogus a real (the "
        f"paper: {paper.BOGUS_A_REAL:.0f})"
    )


def _without_empty_notes(table: ResultTable) -> ResultTable:
    if any(row[-1] for row in table.rows):
        return table
    return ResultTable(table.columns[:-1], [row[:-1] for row in table.rows], table.caption)
