"""Figures 2a and 5 to 7 of the paper; the others are named here as well.

Every function draws on the matplotlib Axes (or Figure) it is given and returns them. `new_axes` makes
some in the house's style, `save_figure` writes PDF and PNG.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..metrics import Confusion, operating_points, precision_recall_crossing
from .canvas import COLOURS, legend, log_axis, new_axes, new_figure, save_figure, svg
from .diagram import ensemble_diagram
from .gallery import bands_gallery, stamp_gallery
from .learning import learning_curves
from .quality import recall_by_bin, reliability_diagram, roc_curves, specificity_by_bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "bands_gallery",
    "confusion_matrix",
    "ensemble_diagram",
    "learning_curves",
    "legend",
    "new_axes",
    "new_figure",
    "precision_recall_by_threshold",
    "recall_by_bin",
    "reliability_diagram",
    "roc_curves",
    "save_figure",
    "score_histograms",
    "screening_histogram",
    "specificity_by_bin",
    "stamp_gallery",
    "svg",
]


def screening_histogram(ax: Axes, scores: ArrayLike, *, low: float = 0.2, high: float = 0.9, bins: int = 50) -> Axes:
    """Draw how the raw bogus score in screening, the bands of the decision shaded (paper, figure 2a).

    Parameters
    ----------
    ax : Axes
        Where to draw; the counts are logarithmic.
    scores : array_like of float, shape (N,)
        In [0, 1].
    low, high : float
        Below `low` they are kept, up to `high` people look, above they are excluded (section 2.2).
    bins : int
        Bins between 0 and 1.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        No score, NaN, or one outside [0, 1].

    Examples
    --------
    >>> ax = screening_histogram(new_axes(), [0.05, 0.1, 0.1, 0.5, 0.95])
    >>> [text.get_text().split()[0] for text in ax.texts]
    ['keep', 'review', 'hard']
    """
    values = _scores(scores)
    counts, edges = np.histogram(values, np.linspace(0, 1, bins + 1))
    bands = (
        ("keep", 0.0, low, COLOURS["third"], values < low),
        ("review", low, high, COLOURS["fifth"], (values >= low) & (values <= high)),
        ("hard", high, 1.0, COLOURS["bogus"], values > high),
    )
    top = 10 ** (1.35 * np.log10(max(counts.max(), 2)) + 0.4)  # room for the words
    for name, start, end, colour, inside in bands:
        ax.axvspan(start, end, color=colour, alpha=0.14, linewidth=0)
        share = f"{name}\n{inside.sum():,}\n{100 * inside.mean():.1f} %"
        # the last band is narrow: its words end at the edge of the figure
        x, side = (1.0, "right") if name == "hard" else ((start + end) / 2, "center")
        ax.annotate(share, (x, 0.98), xycoords=("data", "axes fraction"), ha=side, va="top", fontsize=9,
                    linespacing=1.35, color=COLOURS["ink"])  # fmt: skip
    for edge in (low, high):
        ax.axvline(edge, color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)))
    ax.stairs(counts, edges, fill=True, color=COLOURS["real"], baseline=0.5)
    ax.set(xlim=(0, 1), yscale="log", xlabel="score of the screening network", ylabel="detections")
    ax.set_ylim(0.7, top)
    log_axis(ax.yaxis)
    return ax


def score_histograms(
    ax: Axes, scores: ArrayLike, labels: ArrayLike, *, threshold: float | None = None, bins: int = 50
) -> Axes:
    """Draw the scores of real and of bogus, each on a count axis of its own (paper, figure 5).

    Parameters
    ----------
    ax : Axes
        Where to draw. It gets the bogus; the real have a twin, the last Axes of the figure.
    scores, labels : array_like, shape (N,)
        In [0, 1]; 1 real, 0 bogus.
    threshold : float, optional
        Drawn as a vertical line.
    bins : int
        Bins between 0 and 1.

    Returns
    -------
    Axes
        The given ones.

    Examples
    --------
    >>> ax = score_histograms(new_axes(), [0.1, 0.2, 0.9], [0, 0, 1], threshold=0.5)
    >>> ax.get_ylabel(), ax.figure.axes[-1].get_ylabel()
    ('bogus per bin', 'real per bin')
    """
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    values, truth = _scores(scores), np.asarray(labels)
    twin: Any = ax.twinx()
    sides = (
        (ax, 0, "bogus", COLOURS["bogus"], "left", None),
        (twin, 1, "real", COLOURS["real"], "right", "////"),
    )
    for axes, value, name, colour, side, hatch in sides:
        counts, edges = np.histogram(values[truth == value], np.linspace(0, 1, bins + 1))
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25, linewidth=0)
        axes.stairs(counts, edges, color=colour, linewidth=1.3, hatch=hatch)
        axes.set_ylim(0, max(counts.max() * 1.12, 1))
        axes.set_ylabel(f"{name} per bin", color=colour)
        axes.tick_params(axis="y", colors=colour)
        axes.spines[side].set(visible=True, color=colour)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    twin.spines[["top", "left", "bottom"]].set_visible(False)
    twin.grid(False)
    if threshold is not None and 0 <= threshold <= 1:
        ax.axvline(threshold, color=COLOURS["ink"], linewidth=1, linestyle=(0, (4, 3)))
        _beside(ax, threshold, f"threshold {threshold:.3g}")
    ax.set(xlim=(0, 1), xlabel="score")
    return ax


def precision_recall_by_threshold(ax: Axes, scores: ArrayLike, labels: ArrayLike, *, crossing: bool = True) -> Axes:
    """Draw precision and recall against the threshold, their crossing marked (paper, figure 6).

    Parameters
    ----------
    ax : Axes
        Where to draw.
    scores, labels : array_like, shape (N,)
        In [0, 1]; 1 real, 0 bogus.
    crossing : bool
        Whether to mark where they are equal: the paper's starting point for operation.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        Nothing is real, or the scores cannot be used.

    Examples
    --------
    >>> ax = precision_recall_by_threshold(new_axes(), [0.9, 0.8, 0.6, 0.3, 0.2], [1, 0, 1, 1, 0])
    >>> ax.texts[-1].get_text().split()
    ['threshold', '0.600', 'both', '0.667']
    """
    points = operating_points(_scores(scores), labels)
    if points.positives == 0:
        raise InputError(f"none of {points.negatives} candidates is real: there is no recall to draw")
    for name, values, colour, dash in (
        ("precision", points.precision, COLOURS["bogus"], "-"),
        ("recall", points.recall, COLOURS["real"], (0, (5, 2))),
    ):
        x, y = _thin(points.thresholds, values)
        ax.plot(x, y, color=colour, linestyle=dash, linewidth=1.6, drawstyle="steps-pre", label=name)
    ax.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="threshold", ylabel="precision, recall")
    legend(ax, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1)
    if crossing:
        at = precision_recall_crossing(scores, labels)
        place = int(np.searchsorted(-points.thresholds, -at))
        height, recall = float(points.precision[place]), float(points.recall[place])
        # scores that are tied leave no place where both are equal
        both = f"both {height:.3f}" if abs(height - recall) < 5e-4 else f"precision {height:.3f}\nrecall {recall:.3f}"
        ax.plot([at, at], [0, height], color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (2, 2)))
        ax.plot(at, height, "o", color=COLOURS["ink"], markersize=5, zorder=4)
        # low beside the line: both curves pass above
        side, shift = ("right", -5) if at > 0.5 else ("left", 5)
        ax.annotate(f"threshold {at:.3f}\n{both}", (at, 0.03), (shift, 0), textcoords="offset points",
                    ha=side, va="bottom", fontsize=9, color=COLOURS["ink"])  # fmt: skip
    return ax


def confusion_matrix(ax: Axes, counts: Confusion, *, truth: str = "people") -> Axes:
    """Draw the four counts of one threshold, each with its share of its row (paper, figure 7).

    Parameters
    ----------
    ax : Axes
        Where to draw.
    counts : Confusion
        What was called what.
    truth : str
        Who says what is real: the name of the vertical axis.

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = confusion_matrix(new_axes(3.6, 3.2), Confusion(68, 9, 6, 4917))
    >>> [text.get_text().split()[0] for text in ax.texts]
    ['4,917', '9', '6', '68']
    """
    from matplotlib.colors import LinearSegmentedColormap

    cells = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    sums = cells.sum(axis=1, keepdims=True)
    shares = cells / np.where(sums > 0, sums, np.nan)
    blues = LinearSegmentedColormap.from_list("blues", ["#f3f7fa", COLOURS["real"]])
    ax.imshow(np.nan_to_num(shares), cmap=blues, vmin=0, vmax=1)
    for row, column in itertools.product(range(2), range(2)):
        share = shares[row, column]
        words = "–" if np.isnan(share) else f"{100 * share:.2f} %"
        ax.text(column, row, f"{cells[row, column]:,}\n{words}", ha="center", va="center", fontsize=12,
                linespacing=1.4, color="#ffffff" if share > 0.6 else "#18222e")  # fmt: skip
    ax.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["bogus", "real"], xlabel="model", ylabel=truth)
    ax.set_yticklabels(["bogus", "real"], rotation=90, va="center")
    ax.tick_params(length=0, labelsize=10, labelcolor=COLOURS["ink"])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.axhline(0.5, color="#ffffff", linewidth=2)
    ax.axvline(0.5, color="#ffffff", linewidth=2)
    return ax


def _scores(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.all((values >= 0) & (values <= 1)):
        bad = int(np.sum(~((values >= 0) & (values <= 1))))
        raise InputError(f"{bad} of {values.size} scores are NaN or outside [0, 1]: draw scores of one or more stamps")
    return values


def _thin(x: NDArray[np.float64], y: NDArray[np.float64], most: int = 1500) -> tuple[NDArray[Any], NDArray[Any]]:
    """Take at most that many points of a curve, rising in x: more is not seen, but makes the file large."""
    keep = np.unique(np.linspace(0, len(x) - 1, most).round().astype(int))
    return x[keep][::-1], y[keep][::-1]


def _beside(ax: Axes, x: float, text: str) -> None:
    """Write beside a vertical line, on the side where there is room."""
    side, shift = ("right", -4) if x > 0.6 else ("left", 4)
    ax.annotate(text, (x, 0.97), (shift, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
                ha=side, va="top", fontsize=9, color=COLOURS["ink"])  # fmt: skip
