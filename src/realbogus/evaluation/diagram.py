"""Figure 3 of the paper: from the data to one score, by way of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .canvas import COLOURS, CYCLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ensemble_diagram"]

_HALF = 0.36  # half the height of a box, in rows


def ensemble_diagram(
    ax: Axes, members: Sequence[str] = ("DenseNet121", "EfficientNet_B0", "ResNet18"), *, threshold: float | None = None
) -> Axes:
    """Draw how members trained on bootstraps of the data vote (paper, figure 3 and section 3).

    Parameters
    ----------
    ax : Axes
        Where to draw, about 2.2 times as wide as high.
    members : sequence of str
        The networks, one or more.
    threshold : float, optional
        Written into the last box.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        No members.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> ax = ensemble_diagram(new_axes(7.2, 3.2), ["compact"])
    >>> [text.get_text() for text in ax.texts][1:3]
    ['bootstrap 1', 'compact']
    """
    if not members:
        raise InputError("no members to draw: name at least one network")
    rows = np.arange(len(members))[::-1] - (len(members) - 1) / 2
    plain, ink = COLOURS["wash"], COLOURS["muted"]
    _box(ax, 0.0, 0.0, 1.35, "training\nset", plain, ink, bold=True, half=0.5)
    for k, (name, row) in enumerate(zip(members, rows, strict=True)):
        colour = CYCLE[k % len(CYCLE)]
        _box(ax, 2.25, row, 1.55, f"bootstrap {k + 1}", plain, ink)
        _box(ax, 4.85, row, 2.1, name, colour, colour, bold=True)
        _arrow(ax, (0.675, 0.0), (1.475, row))
        _arrow(ax, (3.025, row), (3.8, row))
        _arrow(ax, (5.9, row), (6.85, 0.0), colour)
    _box(ax, 7.6, 0.0, 1.5, "mean of\nprobabilities", plain, ink, half=0.5)
    last = "score\n0 bogus, 1 real" if threshold is None else f"real where\nscore ≥ {threshold:g}"
    _box(ax, 9.95, 0.0, 1.75, last, plain, ink, bold=threshold is not None, half=0.5)
    _arrow(ax, (8.35, 0.0), (9.075, 0.0))
    top = float(rows[0]) + 0.72
    heads = (
        (0.0, "data"),
        (2.25, "per class, with\nreplacement"),
        (4.85, "trained apart"),
        (7.6, "soft vote"),
        (9.95, "decision"),
    )
    for x, words in heads:
        ax.annotate(words, (x, top), ha="center", va="bottom", fontsize=8.5, color=COLOURS["muted"])
    ax.set(xlim=(-0.8, 10.95), ylim=(float(rows[-1]) - 0.6, top + 0.62))
    ax.set_axis_off()
    return ax


def _box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    words: str,
    fill: str,
    edge: str,
    *,
    bold: bool = False,
    half: float = _HALF,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    tinted = fill == edge
    look: dict[str, Any] = {
        "facecolor": "none" if tinted else fill,
        "edgecolor": edge,
        "linewidth": 1.6 if tinted else 0.9,
    }
    corner = (x - width / 2, y - half)
    ax.add_patch(FancyBboxPatch(corner, width, 2 * half, boxstyle="round,pad=0,rounding_size=0.1", **look))
    ax.text(x, y, words, ha="center", va="center", fontsize=9, fontweight="bold" if bold else "normal",
            linespacing=1.3, color=COLOURS["ink"])  # fmt: skip


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = COLOURS["muted"]) -> None:
    from matplotlib.patches import FancyArrowPatch

    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=2, shrinkB=2,
                                 color=colour, linewidth=1.1))  # fmt: skip
