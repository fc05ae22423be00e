"""Figure 4 of the paper: how training went."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .canvas import COLOURS, CYCLE, legend, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["learning_curves"]


def learning_curves(
    ax: Axes, histories: Mapping[str, Sequence[Mapping[str, Any]]], *, quantity: str = "loss", log: bool | None = None
) -> Axes:
    """Draw one quantity by epoch, training dashed and validation solid, a colour a member (paper, figure 4).

    Parameters
    ----------
    ax : Axes
        Where to draw.
    histories : mapping of str to sequence of mapping
        Rows of each member's `history.csv`: `epoch`, `train_loss`, `valid_loss`, and so on; None is left out.
    quantity : {"loss", "accuracy", "auc"}
        What stands behind `train_` and `valid_` in the rows.
    log : bool, optional
        Whether the vertical axis is logarithmic; so for losses by default.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        A history has no such column.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_axes
    >>> rows = [{"epoch": k, "train_loss": 1 / k, "valid_loss": 1.1 / k} for k in range(1, 9)]
    >>> ax = learning_curves(new_axes(), {"resnet18": rows})
    >>> [line.get_linestyle() for line in ax.lines]
    ['--', '-', '-', '--']
    """
    from matplotlib.ticker import MaxNLocator

    for (member, rows), colour in zip(histories.items(), itertools.cycle(CYCLE), strict=False):
        for part, dash, width in (("train", "--", 1.0), ("valid", "-", 1.6)):
            column = f"{part}_{quantity}"
            if rows and column not in rows[0]:
                raise InputError(f"the history of {member} has no column {column}: it has {', '.join(rows[0])}")
            pairs = [(row["epoch"], row[column]) for row in rows if row[column] is not None]
            x, y = np.array(pairs, dtype=float).reshape(-1, 2).T
            # a run of one epoch is a point, which a line would not show
            ax.plot(x, y, color=colour, linestyle=dash, linewidth=width, marker="o" if len(x) == 1 else None,
                    markersize=6, markerfacecolor="none" if part == "train" else colour,
                    label=member if part == "valid" else None)  # fmt: skip
    point = max(map(len, histories.values()), default=0) == 1
    for word, dash, face in (("validation", "-", COLOURS["muted"]), ("training", "--", "none")):
        ax.plot([], [], color=COLOURS["muted"], linestyle="none" if point else dash, linewidth=1.3,
                marker="o" if point else None, markersize=6, markerfacecolor=face, label=word)  # fmt: skip
    if log or (log is None and quantity == "loss"):
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        log_axis(ax.yaxis, between=high < 100 * low)
    ax.set(xlabel="epoch", ylabel=quantity.replace("auc", "AUC"))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if point:  # around a single point the axis would show parts of an epoch
        ax.set(xlim=(0.5, 1.5), xticks=[1])
    legend(ax, ncols=1 + (len(histories) > 6), fontsize=8.5)
    return ax
