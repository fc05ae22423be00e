"""Tables of what the paper could not say: leakage, the better recipe, calibration, where the ensemble fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..evaluation.breakdown import break_down, table_of
from ..evaluation.tables import Cell, Column, ResultTable
from ..metrics import brier, confusion, expected_calibration_error, purity_at_prevalence
from ..stamps import StampSet
from . import paper
from .measures import SPECIFICITY, difference, fewer_missed
from .plan import titles
from .results import Results, tested
from .splits import SPLITS
from .votes import combinations

__all__ = ["best_and_paper", "breakdowns", "calibration", "crossing", "leakage"]

_AT = f"{100 * SPECIFICITY:g} %"
#: Share of reals among the paper's operational samples (figure 7).
_PREVALENCE = (paper.OPERATIONAL[0] + paper.OPERATIONAL[2]) / sum(paper.OPERATIONAL)
_CROSSING = (
    "The threshold at which precision equals recall on the validation side without its hard bogus, and what it gives "
    "on the test side. Purity: of what is called real, in a survey with as many reals among its "
    "candidates as the paper's operational samples. (The paper does not say on what it chose its threshold.)"
)


def leakage(results: Results) -> ResultTable:
    """How much of the score is leakage: the same bag on the split per stamp and by field."""
    rows: list[list[Cell]] = []
    if len(results.bags) == len(SPLITS):
        both = [n.name for n in results.members("stamp") if n in results.members("field")]
        for chosen in combinations(both):
            for hard in (False, True):
                found = {}
                for split in SPLITS:
                    bag = results.bags[split]
                    found[split] = results.measure(bag.vote(chosen), bag.rows, split, hard=hard)
                cells: list[Cell] = [
                    titles(chosen),
                    "yes" if hard else "no",
                ]
                for name in ("auc", "recall at specificity"):
                    pair = (found["stamp"].values[name], found["field"].values[name])
                    cells += [*pair, difference(found["stamp"], found["field"], name)]
                rows.append(cells)
    columns = [Column("members"), Column("hard set")]
    for head, scale, form in (("AUC", 1.0, ".4f"), (f"recall % at {_AT}", 100.0, ".2f")):
        columns += [Column(f"{head}, {where}", form, scale) for where in ("per stamp", "by field", "gap")]
    caption = (
        "Leakage: the split per stamp puts stamps of one star on both sides, the split by field does not. "
        "The gap is what the first says too much, but for chance: the two test sides are drawn apart."
    )
    return ResultTable(columns, rows, caption)


def best_and_paper(results: Results) -> ResultTable:
    """Compare the better recipe with the paper's bagged trio on the honest split: same stamps for both."""
    rows: list[list[Cell]] = []
    seeds = {"seed": results.plan.seed, "draws": results.plan.draws}
    pairs = [("no", results.bags.get("field"), results.best), ("yes", results.bag_hard, results.best_hard)]
    for learned, bag, best in pairs:
        if bag is None or best is None:
            continue
        base = bag.vote(list(bag.scores))
        whole = len(bag.scores) == len(results.plan.trio)
        name = "bagged trio" if whole and len(bag.scores) == len(paper.TRIO) else titles(list(bag.scores))
        for hard in (True, False):
            entries = [
                (f"paper: {name}, raw votes", base),
                (f"paper: {name}, calibrated votes", bag.vote(list(bag.scores), calibrated=True)),
                ("best", best.vote(list(best.scores))),
            ]
            inside = tested(bag.rows, hard=hard)
            labels = np.asarray(bag.rows["label"])[inside]
            for title, votes in entries:
                measures = results.measure(votes, bag.rows, "field", hard=hard)
                gain = None if votes is base else fewer_missed(base[inside], votes[inside], labels, **seeds)
                values = measures.values
                cells = [values[name] for name in ("auc", "average precision", "recall at specificity", "missed")]
                where: list[Cell] = [title, learned, "yes" if hard else "no", measures.real, measures.bogus]
                rows.append([*where, *cells, gain])
    columns = [Column("recipe"), Column("learned from hard"), Column("tested on hard"), Column("real", "d"),
               Column("bogus", "d"), Column("AUC", ".4f"), Column("average precision", ".4f"),
               Column(f"recall % at {_AT}", ".2f", 100), Column(f"missed reals at {_AT}", ".0f"),
               Column("fewer missed than raw votes, %", ".0f", 100)]  # fmt: skip
    caption = (
        "The better recipe and the paper's, split by field: the same training stamps for both. Without the hard "
        "bogus of the training side, as the paper did"
        + (", then with them. " if results.plan.hard_too else ". ")
        + "What each cost stands in computing.csv."
    )
    failed = [
        f"{key}: {reason}" for key in results.outcomes if key.startswith("best") and (reason := results.reason(key))
    ]
    if failed:
        caption += f" Failed: {'; '.join(failed)}."
    return ResultTable(columns, rows, caption)


def crossing(results: Results) -> ResultTable:
    """Take the threshold at which precision equals recall on validation to the test side, all members voting."""
    rows: list[list[Cell]] = []
    for split, bag in results.bags.items():
        names = [network.name for network in results.members(split)]
        for hard in (False, True):
            inside = tested(bag.rows, hard=hard)
            labels = np.asarray(bag.rows["label"])[inside]
            for calibrated in (False, True):
                votes = bag.vote(names, calibrated=calibrated)[inside]
                threshold = results.threshold(split, calibrated=calibrated)
                counts = confusion(votes, labels, threshold)
                kind = "calibrated" if calibrated else "raw"
                where: list[Cell] = [SPLITS[split].title, "yes" if hard else "no", kind]
                purity = float(purity_at_prevalence(counts.recall, counts.specificity, _PREVALENCE))
                rows.append([*where, threshold, counts.precision, counts.recall, counts.specificity, purity])
    rows.append(["paper", "no", "raw", paper.CROSSING[0], paper.CROSSING[1], paper.CROSSING[1], None, None])
    columns = [Column("split"), Column("hard set"), Column("votes"), Column("threshold", ".3f"),
               Column("precision %", ".2f", 100), Column("recall %", ".2f", 100), Column("specificity %", ".2f", 100),
               Column(f"purity % at {100 * _PREVALENCE:.2g} % reals", ".2f", 100)]  # fmt: skip
    return ResultTable(columns, rows, _CROSSING)


def calibration(results: Results) -> ResultTable:
    """Brier score and expected calibration error of every member and of all together, before and after."""
    rows: list[list[Cell]] = []
    for split, bag in results.bags.items():
        names = [network.name for network in results.members(split)]
        inside = tested(bag.rows, hard=False)
        labels = np.asarray(bag.rows["label"])[inside]
        for chosen in [*([name] for name in names), *([names] if len(names) > 1 else [])]:
            cells: list[Cell] = []
            for measure in (brier, expected_calibration_error):
                votes = (bag.vote(chosen)[inside], bag.vote(chosen, calibrated=True)[inside])
                cells += [measure(each, labels) for each in votes]
            rows.append([SPLITS[split].title, titles(chosen), *cells])
    columns = [Column("split"), Column("members"), Column("Brier, raw", ".5f"), Column("Brier, calibrated", ".5f"),
               Column("ECE, raw", ".5f"), Column("ECE, calibrated", ".5f")]  # fmt: skip
    caption = f"Scores read as probabilities on the test side; method {results.plan.calibration}, fitted on validation."
    return ResultTable(columns, rows, caption)


def breakdowns(results: Results, stamps: StampSet) -> dict[str, ResultTable]:
    """Break the calls of the bag by field, hard set included, down by S/N, magnitude, seeing and kind."""
    split = "field"
    if split not in results.bags:
        return {}
    bag = results.bags[split]
    votes = bag.vote([network.name for network in results.members(split)])
    labels = np.asarray(bag.rows["label"])
    inside, threshold = tested(bag.rows, hard=True), results.threshold(split)
    catalogue = stamps.catalogue[np.asarray(bag.rows["row"])[inside]]
    columns = {name: catalogue[name] for name in ("snr", "mag", "seeing", "kind") if name in catalogue.colnames}
    tables = {}
    for part in break_down(votes[inside], labels[inside], threshold, columns):
        caption = (
            f"The ensemble by {part.title}: split {SPLITS[split].title}, with the hard set, threshold {threshold:.3f} "
            "(precision = recall on validation). Wilson intervals."
        )
        tables[f"by_{part.column}"] = replace(table_of(part), caption=caption)
    return tables
