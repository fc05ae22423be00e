"""What every chart of the report stands on: its style, its Axes, its way to SVG, its error bars.

Nothing here touches pyplot or any global state that outlives a call.
"""

from __future__ import annotations

import io
import re
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

__all__ = ["COLOURS", "legend", "new_axes", "svg", "wilson_interval"]

#: Colours of the light theme; `svg` turns each into the CSS variable of its name.
COLOURS = {
    "ink": "#18222d",
    "muted": "#586572",
    "line": "#dfe4e9",
    "accent": "#1c629c",
    "warm": "#b8560b",
    "faint": "#9fb4c8",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's own font
    "svg.hashsalt": "realbogus",
    "font.size": 9.5,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 9.5,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.7,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}


def new_axes(width: float = 5.6, height: float = 3.2, *, fixed: bool = False) -> Axes:
    """Return empty Axes in the report's style, on a transparent Figure of its own (inches).

    With `fixed` the frame of the chart does not give way to its labels, so that charts set
    side by side or one below the other line up.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout=None if fixed else "constrained")
        axes = figure.add_subplot()
        if fixed:
            figure.subplots_adjust(left=0.12, right=0.985, bottom=0.24, top=0.86)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    return axes


def svg(axes: Axes, name: str) -> str:
    """Render the Figure of `axes` as SVG for inlining in HTML.

    Parameters
    ----------
    axes : Axes
        Any Axes of the figure.
    name : str
        Put before every id, so that several charts can live in one page.

    Returns
    -------
    str
        One `<svg>` element without width, height, metadata or any address; the colours of
        `COLOURS` have become `var(--name)`.

    Examples
    --------
    >>> axes = new_axes()
    >>> line = axes.plot([0, 1], color=COLOURS["accent"])
    >>> text = svg(axes, "line")
    >>> text.startswith("<svg"), "http" in text, "var(--accent)" in text
    (True, False, True)
    """
    buffer = io.StringIO()
    figure = cast(Figure, axes.figure)
    with mpl.rc_context(_STYLE):
        empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", dpi=160, metadata=empty)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r"^<svg [^>]*>", lambda m: re.sub(r' (width|height|version)="[^"]*"', "", m[0]), text)
    used = set(re.findall(r'(?:url\(#|<use href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = text.replace("url(#", f"url(#{name}-").replace('<use href="#', f'<use href="#{name}-')
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    for variable, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def legend(ax: Axes, **where: Any) -> None:
    """Add the legend in the report's style; `where` places it."""
    ax.legend(frameon=False, fontsize=9, labelcolor=COLOURS["ink"], handlelength=1.6, **where)


def wilson_interval(k: ArrayLike, n: ArrayLike, z: float = 1.959964) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Wilson score interval of k successes in n trials (Wilson 1927).

    Parameters
    ----------
    k, n : array_like, shape (B,)
        Successes and trials, n > 0.
    z : float
        Normal quantile; the default gives 95 %.

    Returns
    -------
    tuple of ndarray
        Lower and upper end, shape (B,).

    Examples
    --------
    >>> low, high = wilson_interval(9, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.596, 0.982)
    """
    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    share, extra = successes / trials, z * z / trials
    centre = (share + 0.5 * extra) / (1.0 + extra)
    half = z / (1.0 + extra) * np.sqrt(share * (1.0 - share) / trials + 0.25 * extra / trials)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
