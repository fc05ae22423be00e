"""The chart of a night's frames: PSF width, noise, detections and candidates through the night."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from ..evaluation.canvas import COLOURS
from .terminal import numbers, words

__all__ = ["QUALITY", "frame_quality"]

#: Titles, columns and units of the four panels of `frame_quality`.
QUALITY = (
    ("PSF width", "fwhm", "FWHM (px)"),
    ("Noise of the sky", "noise", "sigma (ADU)"),
    ("Detections", "detections", "per frame"),
    ("Above threshold", "above_threshold", "per frame"),
)
_COUNTS = ("detections", "above_threshold")


def frame_quality(axes: Sequence[Axes], frames: Table) -> Sequence[Axes]:
    """Draw PSF width, noise, detections and candidates of every frame through the night.

    Parameters
    ----------
    axes : sequence of 4 Axes
        One for each of `QUALITY`; they may belong to different figures.
    frames : Table
        With `mjd`, `status` and the columns of `QUALITY`; failed frames carry NaN or -1 and
        are marked by a cross on the axis.

    Notes
    -----
    The abscissa is UTC when every used frame has a time and all lie within 36 hours, else
    the number of the frame.
    """
    failed = np.array([status == "failed" for status in words(frames, "status")], dtype=bool)
    where, is_time = _abscissa(numbers(frames, "mjd"), failed)
    for ax, (title, column, label) in zip(axes, QUALITY, strict=True):
        values = numbers(frames, column)
        good = ~failed & np.isfinite(values)
        ax.plot(where[good], values[good], color=COLOURS["faint"], linewidth=0.9, zorder=2)
        ax.plot(where[good], values[good], "o", color=COLOURS["accent"], markersize=3, zorder=3)
        if failed.any():
            ax.plot(
                where[failed],
                np.full(int(failed.sum()), 0.03),
                "x",
                transform=ax.get_xaxis_transform(),
                color=COLOURS["warm"],
                markersize=5.5,
                markeredgewidth=1.5,
                clip_on=False,
                zorder=4,
            )
        if good.any():
            low, high = float(values[good].min()), float(values[good].max())
            reach = max(high - low, 0.1 * abs(high), 1e-6)
            # counts start at zero; the crosses of failed frames want room below
            ax.set_ylim(-0.11 * max(high, 1) if column in _COUNTS else low - 0.2 * reach, high + 0.12 * reach)
        ax.set_title(title, loc="left", fontsize=10, color=COLOURS["ink"])
        ax.set_ylabel(label)
        ticks = MaxNLocator(4, integer=column in _COUNTS, min_n_ticks=2, steps=[1, 2, 5, 10])
        ax.yaxis.set_major_locator(ticks)
        ax.set_xlabel("UTC" if is_time else "frame number")
        if is_time:
            span = float(np.nanmax(where) - np.nanmin(where))
            step = next((s for s in (1 / 12, 1 / 6, 0.25, 0.5, 1, 2, 3) if span / s <= 6.5), 6)
            ax.xaxis.set_major_locator(MultipleLocator(step))
            ax.xaxis.set_major_formatter(FuncFormatter(_clock))
        else:
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        ax.grid(visible=False, axis="x")
    return axes


def _abscissa(mjd: NDArray[np.float64], failed: NDArray[np.bool_]) -> tuple[NDArray[np.float64], bool]:
    """Return hours since the first midnight where times allow it, else numbers from 1.

    A failed frame without a time is put between its neighbours if frames come in order of
    time, else nowhere (NaN).
    """
    order = np.arange(1.0, len(mjd) + 1.0)
    timed = np.isfinite(mjd)
    if not timed.any() or not timed[~failed].all() or np.ptp(mjd[timed]) >= 1.5:
        return order, False
    hours = (mjd - np.floor(mjd[timed].min())) * 24.0
    if not timed.all() and (np.diff(hours[timed]) >= 0).all():
        hours = np.interp(order, order[timed], hours[timed])
    return hours, True


def _clock(hours: float, _: int | None = None) -> str:
    minutes = round(hours * 60.0)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
