"""The charts of a night's report.

Every function draws on the matplotlib Axes it is given and returns them; `evaluation.canvas.svg`
turns them into inline SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from ..evaluation.canvas import COLOURS, legend
from ..metrics import wilson_interval

__all__ = ["candidate_map", "completeness_curve", "score_histogram"]


def score_histogram(
    ax: Axes, scores: ArrayLike, *, threshold: float, injected: ArrayLike | None = None, bins: int = 40
) -> Axes:
    """Draw how many detections have which score, on a logarithmic count axis.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    scores : array_like of float, shape (N,)
        Scores in [0, 1]; NaN (unscored) is left out.
    threshold : float
        Drawn as a vertical line.
    injected : array_like of bool, shape (N,), optional
        Which rows are synthetic; they are drawn as an outline of their own.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> ax = score_histogram(new_axes(), [0.1, 0.2, 0.9], threshold=0.5)
    >>> ax.get_xlabel()
    'score'
    """
    values = np.asarray(scores, dtype=float)
    synthetic = np.zeros(values.shape, bool) if injected is None else np.asarray(injected, dtype=bool)
    finite = np.isfinite(values)
    edges = np.linspace(0, 1, bins + 1)
    natural = np.histogram(values[finite & ~synthetic], edges)[0]
    ax.set_yscale("log")
    ax.stairs(natural, edges, baseline=0.5, fill=True, color=COLOURS["accent"], alpha=0.8, label="natural")
    top = max(int(natural.max(initial=0)), 1)
    if synthetic.any():
        planted = np.histogram(values[finite & synthetic], edges)[0]
        # an outline, not a second fill: told apart without colour
        ax.stairs(planted, edges, baseline=0.5, color=COLOURS["warm"], linewidth=1.6, label="injected")
        top = max(top, int(planted.max()))
    ax.axvline(threshold, color=COLOURS["ink"], linewidth=1, linestyle=(0, (4, 3)))
    side = "right" if threshold > 0.5 else "left"
    ax.annotate(
        f"threshold {threshold:.3g}",
        (threshold, 1.0),
        (-5 if side == "right" else 5, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha=side,
        va="top",
        fontsize=9,
        color=COLOURS["ink"],
    )
    ax.set(xlim=(0, 1), ylim=(0.5, 4.0 * top), xlabel="score", ylabel="detections per bin")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if v >= 1 else ""))
    ax.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    ax.grid(visible=False, axis="x")
    if synthetic.any():
        legend(ax, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2)
    return ax


def candidate_map(
    ax: Axes,
    across: ArrayLike,
    up: ArrayLike,
    scores: ArrayLike,
    real: ArrayLike,
    *,
    threshold: float,
    sky: bool = False,
    links: Sequence[str | None] | None = None,
) -> Axes:
    """Draw where detections lie: candidates coloured by score, everything else in grey.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    across, up : array_like of float, shape (N,)
        Pixel coordinates x and y, or right ascension and declination (degrees) with `sky`.
    scores : array_like of float, shape (N,)
        NaN where unscored.
    real : array_like of bool, shape (N,)
        Which reached the threshold.
    threshold : float
        Lower end of the colour scale.
    sky : bool
        East to the left, and right ascension shrunk by the cosine of the declination.
    links : sequence of str or None, optional
        Address each candidate's mark links to.
    """
    x, y = np.array(across, dtype=float), np.asarray(up, dtype=float)
    values, chosen = np.asarray(scores, dtype=float), np.asarray(real, dtype=bool)
    placed = np.isfinite(x) & np.isfinite(y)
    if sky and placed.any():
        centre = float(np.degrees(np.angle(np.exp(1j * np.radians(x[placed])).mean())))
        x = centre + (x - centre + 180.0) % 360.0 - 180.0  # a field across 0h stays in one piece
    grey, marks = placed & ~chosen, np.flatnonzero(placed & chosen)
    # one bitmap instead of thousands of SVG elements, in a grey that reads on light and dark
    small: dict[str, Any] = {"markersize": 2.6, "markeredgewidth": 0, "rasterized": True}
    ax.plot(x[grey], y[grey], ".", color="#8a97a5", alpha=0.4, **small)
    marks = marks[np.argsort(values[marks])]
    floor = min(threshold, 0.99)
    points = ax.scatter(
        x[marks],
        y[marks],
        c=values[marks],
        s=26,
        cmap="cividis",
        vmin=floor,
        vmax=1.0,
        edgecolors=COLOURS["ink"],
        linewidths=0.6,
        zorder=3,
    )
    if links is not None:
        points.set_urls([links[int(row)] for row in marks])
    if len(marks):
        bar = ax.figure.colorbar(points, ax=ax, shrink=0.7, aspect=26, pad=0.02)
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, colors=COLOURS["muted"], labelsize=9)
        bar.set_label("score", color=COLOURS["muted"], fontsize=9.5)
        bar.locator = MaxNLocator(4)
        bar.update_ticks()
    if sky:
        ax.set(xlabel="right ascension (deg)", ylabel="declination (deg)")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v % 360.0:.8g}"))
        ax.ticklabel_format(axis="y", useOffset=False)
        ax.invert_xaxis()
        middle = float(np.median(y[placed])) if placed.any() else 0.0
        ax.set_aspect(1.0 / max(np.cos(np.radians(middle)), 0.01), adjustable="box")
    else:
        ax.set(xlabel="x (px)", ylabel="y (px)")
        ax.set_aspect("equal", adjustable="box")
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return ax


def completeness_curve(
    ax: Axes,
    low: ArrayLike,
    high: ArrayLike,
    n: ArrayLike,
    detected: ArrayLike,
    found: ArrayLike,
    *,
    quantity: str = "S/N",
) -> Axes:
    """Draw the share of injected sources that came back, with 95 % Wilson intervals.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    low, high : array_like of float, shape (B,)
        Edges of the bins.
    n, detected, found : array_like of int, shape (B,)
        Injected; of those detected; of those detected and above the threshold.
    quantity : str
        What the bins are of; "magnitude" puts bright to the left as it comes.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> ax = completeness_curve(new_axes(), [5, 10], [10, 20], [20, 20], [12, 20], [9, 19])
    >>> ax.get_xlabel(), len(ax.containers)
    ('S/N', 2)
    """
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    total = np.asarray(n, dtype=float)
    middle = 0.5 * (low + high)
    series = ((detected, "detected", "s", "muted", -1), (found, "found (above threshold)", "o", "accent", 1))
    for counts, label, marker, colour, side in series:
        k, kept = np.asarray(counts, dtype=float), total > 0
        share = k[kept] / total[kept]
        lower, upper = wilson_interval(k[kept], total[kept])
        where = middle[kept] + side * 0.04 * (high - low)[kept]  # the two do not hide each other
        ax.errorbar(
            where,
            share,
            yerr=np.clip([share - lower, upper - share], 0, None),
            color=COLOURS[colour],
            marker=marker,
            markersize=5,
            markerfacecolor=COLOURS[colour] if side > 0 else "none",
            linewidth=1.3 if side > 0 else 1.0,
            linestyle="-" if side > 0 else (0, (4, 2)),
            elinewidth=0.9,
            label=label,
        )
    for where, number in zip(middle, total, strict=True):
        ax.annotate(
            f"{number:,.0f}",
            (where, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=COLOURS["muted"],
        )
    ax.set(ylim=(0, 1.03), xlabel=quantity, ylabel="share of injected")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.0f} %"))
    legend(ax, loc="lower right", bbox_to_anchor=(1, 0.08))
    return ax
