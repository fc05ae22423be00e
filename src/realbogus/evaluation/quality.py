"""Figures beside the paper's: ROC, reliability, and recall where it is hard."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..metrics import Reliability, operating_points, wilson_interval
from .breakdown import Bin
from .canvas import COLOURS, CYCLE, legend, log_axis
from .tables import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["recall_by_bin", "reliability_diagram", "roc_curves", "specificity_by_bin"]


def roc_curves(
    ax: Axes, scored: Mapping[str, tuple[ArrayLike, ArrayLike]], *, specificity: float | None = None
) -> Axes:
    """Draw recall against the false positive rate, the latter logarithmic: surveys live at its left end.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    scored : mapping of str to (scores, labels)
        One curve each, by the name in the legend; scores and labels have shape (N,).
    specificity : float, optional
        Marked by a vertical line at ``1 - specificity``.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        A class is missing, or the scores cannot be used.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> ax = roc_curves(new_axes(), {"toy": ([0.9, 0.8, 0.3, 0.2], [1, 0, 1, 0])})
    >>> ax.get_xscale(), ax.get_ylabel()
    ('log', 'recall')
    """
    lowest = 1.0
    for (name, (scores, labels)), colour in zip(scored.items(), itertools.cycle(CYCLE), strict=False):
        points = operating_points(scores, labels)
        if not (points.positives and points.negatives):
            raise InputError(f"{name}: {points.positives} real and {points.negatives} bogus; a ROC curve needs both")
        # a logarithmic axis has no zero: less than one bogus stands at half a one
        floor = 0.5 / points.negatives
        rate = np.concatenate([[floor], np.maximum(points.false_positive_rate, floor), [1.0]])
        recall = np.concatenate([[0.0], points.recall, [1.0]])
        corner = np.ones(len(rate), dtype=bool)  # the points where the staircase turns are all of it
        corner[1:-1] = (np.diff(recall)[:-1] > 0) | (np.diff(recall)[1:] > 0)
        ax.plot(rate[corner], recall[corner], color=colour, linewidth=1.6, drawstyle="steps-post",
                label=fill(name, 40))  # fmt: skip
        lowest = min(lowest, floor)
    if specificity is not None and specificity < 1.0:
        lowest = min(lowest, 0.5 * (1 - specificity))  # few bogus: the line must still lie on the axis
        ax.axvline(1 - specificity, color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)))
        ax.annotate(f"specificity {100 * specificity:g} %", (1 - specificity, 0.02), (4, 0), fontsize=9,
                    xycoords=("data", "axes fraction"), textcoords="offset points", color=COLOURS["ink"])  # fmt: skip
    ax.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.02), xlabel="false positive rate", ylabel="recall")
    log_axis(ax.xaxis)
    if len(scored) > 1:
        legend(ax, loc="best")
    return ax


def reliability_diagram(ax: Axes, found: Mapping[str, Reliability]) -> Axes:
    """Draw the share of real against the mean score in bins; a calibrated score lies on the diagonal.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    found : mapping of str to Reliability
        By the name in the legend, such as `before` and `after`. Bars are Wilson intervals
        of the bin's counts, left out where candidates were re-weighted to a prevalence.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> from realbogus.metrics import reliability
    >>> ax = reliability_diagram(new_axes(), {"before": reliability([0.2, 0.7, 0.9], [0, 1, 1], bins=5)})
    >>> ax.get_legend().get_texts()[0].get_text()
    'before, ECE 0.200'
    """
    ax.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)))
    looks = zip(
        ("o", "s", "D", "^"), (COLOURS["bogus"], COLOURS["real"], COLOURS["third"], COLOURS["fourth"]), strict=True
    )
    for (name, part), (marker, colour) in zip(found.items(), itertools.cycle(looks), strict=False):
        filled = part.weight > 0
        x, y = part.mean_score[filled], part.share_real[filled]
        real, total = part.real[filled], (part.real + part.bogus)[filled]
        if np.allclose(y, real / total):
            low, high = wilson_interval(real, total)
            ax.vlines(x, low, high, color=colour, linewidth=1.1, alpha=0.6)
        label = f"{name}, ECE {part.expected_calibration_error:.3f}"
        ax.plot(x, y, color=colour, linewidth=0.8, alpha=0.5)
        ax.plot(x, y, color=colour, marker=marker, markersize=5, linestyle="none", label=label)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="mean score of the bin", ylabel="share of real")
    legend(ax, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1, columnspacing=1.4)
    return ax


def recall_by_bin(ax: Axes, bins: Sequence[Bin], *, quantity: str = "S/N") -> Axes:
    """Draw the share of the real that is found in each bin, with its Wilson interval and number.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    bins : sequence of Bin
        As in a `Breakdown`; those without real are left out.
    quantity : str
        What the bins are bins of.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> ax = recall_by_bin(new_axes(), [Bin("5 to 7", 10, 6, 90, 3), Bin("7 to 10", 20, 19, 50, 1)])
    >>> [text.get_text() for text in ax.texts]
    ['10', '20']
    """
    shown = [part for part in bins if part.real]
    _bars(ax, shown, [part.recall for part in shown], [part.real for part in shown], COLOURS["real"])
    ax.set(ylim=(0, 1.12), ylabel="recall", xlabel=f"{quantity}  (numbers: real in the bin)")
    ax.set_yticks(np.linspace(0, 1, 6))
    return ax


def specificity_by_bin(ax: Axes, bins: Sequence[Bin], *, quantity: str = "kind") -> Axes:
    """Draw the share of the bogus that passes in each bin, with its Wilson interval and the number of bogus.

    Parameters
    ----------
    ax, bins, quantity
        As in `recall_by_bin`; bins without bogus are left out.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> ax = specificity_by_bin(new_axes(), [Bin("cosmic ray", 0, 0, 50, 1), Bin("dipole", 0, 0, 80, 4)])
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['cosmic ray', 'dipole']
    """
    from matplotlib.ticker import PercentFormatter

    shown = [part for part in bins if part.bogus]
    passed = [Measured(1 - s.value, 1 - s.high, 1 - s.low) for s in (part.specificity for part in shown)]
    _bars(ax, shown, passed, [part.bogus for part in shown], COLOURS["bogus"])
    ax.set(ylabel="bogus that pass", xlabel=f"{quantity}  (numbers: bogus in the bin)")
    ax.set_ylim(0, 1.18 * max([share.high for share in passed], default=1.0))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    return ax


def _bars(ax: Axes, bins: Sequence[Bin], shares: Sequence[Measured], counts: Sequence[int], colour: str) -> None:
    """Draw shares with their intervals, one place a bin, the counts above."""
    places = np.arange(len(bins))
    ax.bar(places, [share.value for share in shares], width=0.72, color=colour, alpha=0.3)
    ax.vlines(places, [s.low for s in shares], [s.high for s in shares], color=colour, linewidth=1.3)
    ax.plot(places, [share.value for share in shares], "o", color=colour, markersize=4.5)
    for place, share, count in zip(places, shares, counts, strict=True):
        ax.annotate(f"{count:,}", (place, share.high), (0, 4), textcoords="offset points", ha="center", fontsize=8.5,
                    color=COLOURS["muted"])  # fmt: skip
    names = [part.name for part in bins]
    spare = max(0.0, (4 - len(bins)) / 2)  # few bars need not be wide ones
    ax.set_xlim(-0.6 - spare, len(bins) - 0.4 + spare)
    room = 0.85 * float(ax.get_figure(root=True).get_size_inches()[0]) / max(len(bins), 1)  # type: ignore[union-attr]
    if max(map(len, names), default=0) * 0.085 > room:
        ax.set_xticks(places, names, rotation=30, ha="right", rotation_mode="anchor")
    else:
        ax.set_xticks(places, names)
    ax.grid(axis="x", visible=False)
