"""Figures 1 to 7 of the paper from the study's own results, and two of what the paper did not show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.figures import (
    bands_gallery,
    confusion_matrix,
    ensemble_diagram,
    learning_curves,
    new_axes,
    new_figure,
    precision_recall_by_threshold,
    reliability_diagram,
    roc_curves,
    score_histograms,
    screening_histogram,
    stamp_gallery,
)
from ..metrics import Confusion, confusion, reliability
from ..stamps import StampSet
from ..tables import read_parquet
from .data import EXAMPLES
from .measures import SPECIFICITY
from .results import Results, tested
from .splits import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIGURES", "Drawing", "operational_sample", "study_figures"]

#: `(results, stamps) -> (any Axes of the figure, caption)`; None where there is nothing to draw.
Drawing = Callable[[Results, StampSet], "tuple[Axes, str] | None"]

_EXAMPLES = EXAMPLES


def figure_1(results: Results, stamps: StampSet) -> tuple[Axes, str]:
    """Real stamps: at random, those that the screening network doubts most, and reals that were excluded."""
    screen = read_parquet(results.out / "screen" / "scores.parquet")
    real = np.flatnonzero(np.asarray(screen["label"]) == 1)
    scores = np.asarray(screen["score"])
    rng = np.random.default_rng([results.plan.seed, 4])
    doubted = real[np.argsort(scores[real], kind="stable")][:_EXAMPLES]
    others = np.setdiff1d(real, doubted)
    at_random = rng.choice(others, min(_EXAMPLES, len(others)), replace=False) if len(others) else real[:0]
    groups, notes = {}, {}
    excluded = results.out / "data" / "excluded"
    if excluded.exists():
        aside = StampSet.load(excluded)
        groups["excluded"] = _difference(aside, np.arange(len(aside)))
        notes["excluded"] = [str(reason) for reason in aside.catalogue["look"]]
    for name, rows in (("kept, at random", at_random), ("kept, doubted most by the screening network", doubted)):
        if len(rows):
            groups[name] = _difference(stamps, rows)
            notes[name] = [f"{scores[row]:.3f}" for row in rows]
    axes = stamp_gallery(new_figure(7.2, 5.6, constrained=False), groups, columns=_EXAMPLES, notes=notes)
    return axes[0], (
        "Figure 1: stamps of real sources. Excluded: too faint to be seen, or beside something brighter; a rule looks "
        "at them in place of people. Kept: with their screening scores."
    )


def figure_2a(results: Results, stamps: StampSet) -> tuple[Axes, str]:
    """Screening scores of the raw bogus, with the bands."""
    screen = read_parquet(results.out / "screen" / "scores.parquet")
    bogus = np.asarray(screen["score"])[np.asarray(screen["label"]) == 0]
    low, high = results.plan.bands
    ax = screening_histogram(new_axes(), bogus, low=low, high=high)
    return ax, "Figure 2a: scores that the screening network gave the raw bogus, and the bands of the decision."


def figure_2b(results: Results, stamps: StampSet) -> tuple[Axes, str]:
    """Bogus by band, the score rising."""
    screen = read_parquet(results.out / "screen" / "scores.parquet")
    scores, labels = np.asarray(screen["score"]), np.asarray(screen["label"])
    chosen = []
    for band in ("keep", "review", "hard"):
        rows = np.flatnonzero((labels == 0) & (np.asarray(screen["band"]) == band))
        rows = rows[np.argsort(scores[rows], kind="stable")]
        if len(rows):  # few of each: stamps lie on disk
            chosen.append(rows[np.unique(np.linspace(0, len(rows) - 1, _EXAMPLES).round().astype(int))])
    rows = np.concatenate(chosen)
    low, high = results.plan.bands
    axes = bands_gallery(
        new_figure(7.2, 4.0, constrained=False), _difference(stamps, rows), scores[rows],
        low=low, high=high, columns=_EXAMPLES,
    )  # fmt: skip
    return axes[0], "Figure 2b: bogus by band of the screening score; the highest are the hard set."


def figure_3(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Draw the ensemble."""
    found = results.main()
    if found is None:
        return None
    members = [network.title for network in results.plan.trio if network.name in found[2]]
    return ensemble_diagram(new_axes(7.2, 3.2), members), "Figure 3: the ensemble, bootstraps and a soft vote."


def figure_4(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Loss and accuracy of the bagged members by epoch."""
    found = results.main()
    if found is None:
        return None
    split, _, names = found
    histories = {
        network.title: results.history(f"bag-{split}/{network.name}")
        for network in results.plan.trio
        if network.name in names
    }
    pair = new_axes(8.4, 3.5, columns=2)
    for ax, quantity in zip(pair, ("loss", "accuracy"), strict=True):
        learning_curves(ax, histories, quantity=quantity)
    return pair[0], f"Figure 4: loss and accuracy of the bagged members, split {SPLITS[split].title}."


def figure_5(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Scores of real and bogus."""
    found = _main_votes(results)
    if found is None:
        return None
    votes, labels, where, threshold = found
    ax = score_histograms(new_axes(), votes, labels, threshold=threshold)
    return ax, (
        f"Figure 5: scores of the ensemble, {where}; bogus left, real right axis. "
        "The threshold is where precision equals recall on validation."
    )


def figure_6(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Precision and recall against the threshold."""
    found = _main_votes(results)
    if found is None:
        return None
    votes, labels, where, _ = found
    return precision_recall_by_threshold(new_axes(), votes, labels), (
        f"Figure 6: precision and recall of the ensemble, {where}. Marked is where they "
        "cross there; figures 5 and 7 take the crossing on validation (paper: both 0.922 at 0.798)."
    )


def figure_7(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Confusion of the operational sample at the crossing threshold."""
    found = operational_sample(results)
    if found is None:
        return None
    counts, threshold, size = found
    return confusion_matrix(new_axes(3.8, 3.4), counts, truth="truth"), (
        f"Figure 7: {size} stamps drawn at random from the test side with its hard bogus, threshold {threshold:.3f} "
        f"(precision = recall on validation), the simulation's truth in place of people's verdict: "
        f"precision {_percent(counts.precision)}, recall {_percent(counts.recall)}, "
        f"specificity {_percent(counts.specificity)} "
        "(paper: 88.31, 91.89 and 99.82 %)."
    )


def figure_roc(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Draw the ensemble on both splits, with and without the hard set, and the better recipe."""
    scored: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]] = {}
    for split, bag in results.bags.items():
        names = [network.name for network in results.members(split)]
        for hard in (False, True):
            inside = tested(bag.rows, hard=hard)
            name = f"{SPLITS[split].title}{', hard set too' if hard else ''}"
            scored[name] = bag.vote(names)[inside], np.asarray(bag.rows["label"])[inside]
    if results.best is not None:
        inside = tested(results.best.rows, hard=True)
        votes = results.best.vote(list(results.best.scores))
        scored["best, by field, hard set too"] = votes[inside], np.asarray(results.best.rows["label"])[inside]
    if not scored:
        return None
    ax = roc_curves(new_axes(6.4, 4.2), scored, specificity=SPECIFICITY)
    return (
        ax,
        "Leakage and the hard set: recall against false positives of the ensemble and, where it was trained, "
        "the better recipe.",
    )


def figure_reliability(results: Results, stamps: StampSet) -> tuple[Axes, str] | None:
    """Votes as probabilities before and after calibration."""
    found = results.main()
    if found is None:
        return None
    split, bag, names = found
    inside = tested(bag.rows, hard=False)
    labels = np.asarray(bag.rows["label"])[inside]
    curves = {
        word: reliability(bag.vote(names, calibrated=calibrated)[inside], labels)
        for word, calibrated in (("raw votes", False), ("calibrated votes", True))
    }
    ax = reliability_diagram(new_axes(4.6, 4.2), curves)
    return ax, f"Scores as probabilities, before and after calibration; split {SPLITS[split].title}."


#: Every figure by the name of its files.
FIGURES: dict[str, Drawing] = {
    "figure1": figure_1,
    "figure2a": figure_2a,
    "figure2b": figure_2b,
    "figure3": figure_3,
    "figure4": figure_4,
    "figure5": figure_5,
    "figure6": figure_6,
    "figure7": figure_7,
    "roc": figure_roc,
    "reliability": figure_reliability,
}


def study_figures(results: Results, stamps: StampSet) -> Iterator[tuple[str, Any, str]]:
    """Draw every figure for which there is something to draw: name, Axes, caption."""
    for name, draw in FIGURES.items():
        found = draw(results, stamps)
        if found is not None:
            yield name, *found


def operational_sample(results: Results) -> tuple[Confusion, float, int] | None:
    """Return the confusion of random test stamps, hard ones among them, at the crossing threshold.

    Returns
    -------
    tuple of Confusion, threshold and size, or None where nobody was bagged.
    """
    found = results.main()
    if found is None:
        return None
    split, bag, names = found
    votes, labels = bag.vote(names), np.asarray(bag.rows["label"])
    loud, threshold = np.flatnonzero(tested(bag.rows, hard=True)), results.threshold(split)
    rng = np.random.default_rng([results.plan.seed, 5])
    size = min(results.plan.operational, len(loud))
    rows = rng.choice(loud, size, replace=False)
    return confusion(votes[rows], labels[rows], threshold), threshold, size


def _main_votes(results: Results) -> tuple[NDArray[np.float32], NDArray[np.int64], str, float] | None:
    found = results.main()
    if found is None:
        return None
    split, bag, names = found
    inside = tested(bag.rows, hard=False)
    labels = np.asarray(bag.rows["label"], dtype=np.int64)[inside]
    counts = f"{int((labels == 1).sum())} real and {int((labels == 0).sum())} bogus"
    where = f"{counts} of the test side, split {SPLITS[split].title}"
    return bag.vote(names)[inside], labels, where, results.threshold(split)


def _difference(stamps: StampSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    plane = stamps.channels.index("difference") if "difference" in stamps.channels else 0
    order = np.argsort(rows, kind="stable")  # along the file
    picked = np.empty((len(rows), *stamps.pixels.shape[2:]), dtype=np.float32)
    picked[order] = stamps.pixels[rows[order], plane]
    return picked


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %" if np.isfinite(value) else "unknown"
