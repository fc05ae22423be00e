"""Figures 1 and 2b of the paper: stamps side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .canvas import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bands_gallery", "stamp_gallery"]

_MARGIN = 0.08  # inches around the stamps
_HEAD = 0.27  # inches for the name of a group
_NOTE = 0.17  # inches for the words under a stamp
_MAD_SIGMA = 1.4826


def stamp_gallery(
    figure: Figure,
    groups: Mapping[str, ArrayLike],
    *,
    columns: int = 8,
    notes: Mapping[str, Sequence[str]] | None = None,
) -> NDArray[Any]:
    """Draw groups of stamps, each under its name (paper, figure 1: real ones kept and excluded).

    Parameters
    ----------
    figure : Figure
        Empty, from `new_figure(constrained=False)`; it keeps its width and gets the height that the stamps need.
    groups : mapping of str to array_like, shape (N, S, S) or (N, C, S, S)
        Stamps by the name of the group; of several channels the first is shown, NaN is left open.
    columns : int
        Stamps in a row.
    notes : mapping of str to sequence of str, optional
        Words under each stamp of a group, such as its score.

    Returns
    -------
    ndarray of Axes, shape (M,)
        One a stamp, in order.

    Raises
    ------
    InputError
        No stamps, or they are no square images.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_figure
    >>> stamps = np.random.default_rng(0).normal(size=(5, 16, 16))
    >>> axes = stamp_gallery(new_figure(constrained=False), {"kept": stamps[:3], "excluded": stamps[3:]})
    >>> len(axes)
    5
    """
    planes = {name: _planes(name, stamps) for name, stamps in groups.items()}
    if not any(len(stack) for stack in planes.values()):
        raise InputError("no stamps to draw: hand in at least one group with one stamp")
    width = float(figure.get_size_inches()[0])
    side = (width - 2 * _MARGIN) / columns
    foot = _NOTE if notes else 0.0
    lines = {name: -(-len(stack) // columns) for name, stack in planes.items() if len(stack)}
    height = 2 * _MARGIN + sum(_HEAD + count * (side + foot) for count in lines.values())
    figure.set_size_inches(width, height)
    axes, down = [], height - _MARGIN
    for name, count in lines.items():
        figure.text(_MARGIN / width, (down - 0.6 * _HEAD) / height, name, fontsize=10, va="center",
                    color=COLOURS["ink"])  # fmt: skip
        down -= _HEAD
        for k, plane in enumerate(planes[name]):
            row, column = divmod(k, columns)
            left, bottom = _MARGIN + column * side, down - (row + 1) * side - row * foot
            place = (left + 0.02, bottom + 0.02, side - 0.04, side - 0.04)
            ax = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
            _show(ax, plane)
            if notes and k < len(notes.get(name, ())):
                ax.annotate(notes[name][k], (0.5, 0), (0, -2), xycoords="axes fraction", textcoords="offset points",
                            ha="center", va="top", fontsize=8, color=COLOURS["muted"])  # fmt: skip
            axes.append(ax)
        down -= count * (side + foot)
    return np.array(axes, dtype=object)


def bands_gallery(
    figure: Figure, stamps: ArrayLike, scores: ArrayLike, *, low: float = 0.2, high: float = 0.9, columns: int = 8
) -> NDArray[Any]:
    """Draw examples of the bogus in each band of the screening, with their scores (paper, figure 2b).

    Parameters
    ----------
    figure : Figure
        As in `stamp_gallery`.
    stamps : array_like, shape (N, S, S) or (N, C, S, S)
        May be memory-mapped: only what is shown is read.
    scores : array_like, shape (N,)
        Of the screening network. Of each band `columns` stamps are shown, evenly spaced in the order of scores.
    low, high : float
        The bands, as in `screening_histogram`.
    columns : int
        Stamps of a band.

    Returns
    -------
    ndarray of Axes, shape (M,)

    Raises
    ------
    InputError
        As in `stamp_gallery`, or there is not one score a stamp.

    Examples
    --------
    >>> from realbogus.evaluation.canvas import new_figure
    >>> stamps = np.random.default_rng(0).normal(size=(6, 16, 16))
    >>> axes = bands_gallery(new_figure(constrained=False), stamps, [0.0, 0.1, 0.3, 0.5, 0.95, 1.0], columns=2)
    >>> [ax.texts[0].get_text() for ax in axes]
    ['0.000', '0.100', '0.300', '0.500', '0.950', '1.000']
    """
    values = np.asarray(scores, dtype=np.float64)
    pixels: Any = stamps if hasattr(stamps, "shape") else np.asarray(stamps)
    if values.shape != (len(pixels),):
        raise InputError(f"{len(pixels)} stamps and scores of shape {values.shape}: hand in one score a stamp")
    bands = {
        f"kept, score < {low:g}": values < low,
        f"reviewed, {low:g} to {high:g}": (values >= low) & (values <= high),
        f"hard, > {high:g}": values > high,
    }
    groups, notes = {}, {}
    for name, inside in bands.items():
        rows = np.flatnonzero(inside)
        rows = rows[np.argsort(values[rows], kind="stable")]
        if len(rows) > columns:
            rows = rows[((np.arange(columns) + 0.5) * len(rows) / columns).astype(int)]
        groups[name], notes[name] = pixels[rows], [f"{score:.3f}" for score in values[rows]]
    return stamp_gallery(figure, groups, columns=columns, notes=notes)


def _planes(name: str, stamps: ArrayLike) -> NDArray[np.float64]:
    stack = np.asarray(stamps, dtype=np.float64)
    if stack.ndim == 4:
        stack = stack[:, 0]
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2]:
        raise InputError(f"the group {name!r} has shape {stack.shape}: expected stamps (N, S, S) or (N, C, S, S)")
    return stack


def _show(ax: Any, plane: NDArray[np.float64]) -> None:
    """Show one stamp in grey, zero noise in the middle of the scale's lower half."""
    finite = plane[np.isfinite(plane)]
    middle = float(np.median(finite)) if len(finite) else 0.0
    sigma = _MAD_SIGMA * float(np.median(np.abs(finite - middle))) if len(finite) else 1.0
    peak = float(np.quantile(np.abs(finite - middle), 0.998)) if len(finite) else 1.0
    reach = max(peak, 4 * sigma) or 1.0
    ax.imshow(plane, cmap="gray", origin="lower", interpolation="nearest",
              vmin=middle - min(reach, max(6 * sigma, 0.35 * reach)), vmax=middle + reach)  # fmt: skip
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set(visible=True, color=COLOURS["muted"], linewidth=0.5)
