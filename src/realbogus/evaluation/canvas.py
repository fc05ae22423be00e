"""What every figure stands on: colours, empty Axes, the way to PDF, PNG and inline SVG.

Nothing here touches pyplot or any state that outlives a call.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "CYCLE", "legend", "log_axis", "new_axes", "new_figure", "save_figure", "svg"]

#: Colours by use; `svg` turns each into the CSS variable of its name. Those of an evaluation's data are of
#: Okabe & Ito (2008), which people with any colour vision tell apart; `accent`, `warm`, `faint` are a night's.
COLOURS = {
    "real": "#0072b2",
    "bogus": "#d55e00",
    "third": "#009e73",
    "fourth": "#cc79a7",
    "fifth": "#e69f00",
    "sixth": "#56b4e9",
    "accent": "#1c629c",
    "warm": "#b8560b",
    "faint": "#9fb4c8",
    "ink": "#18222d",
    "muted": "#586572",
    "line": "#dfe4e9",
    "wash": "#eef1f4",
}
#: Colours for things that are neither real nor bogus, in order.
CYCLE = tuple(COLOURS[name] for name in ("real", "bogus", "third", "fourth", "fifth", "sixth", "ink"))

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's own font
    "svg.hashsalt": "realbogus",
    "font.size": 10,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a name with dollar signs is a name
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 10,
    "axes.titlesize": 10,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.7,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


def new_figure(width: float = 5.6, height: float = 3.6, *, constrained: bool = True) -> Figure:
    """Return an empty Figure of this size in inches; `constrained` makes room for labels by itself."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        return Figure(figsize=(width, height), layout="constrained" if constrained else None)


def new_axes(width: float = 5.6, height: float = 3.6, *, columns: int = 1, fixed: bool = False) -> Any:
    """Return empty Axes in the house's style, on a Figure of their own.

    Parameters
    ----------
    width, height : float
        Size of the Figure in inches.
    columns : int
        With more than one, that many Axes side by side are returned, as an array.
    fixed : bool
        The frame does not give way to its labels, so that figures set one below the other line up.

    Examples
    --------
    >>> ax = new_axes(4.0, 3.0)
    >>> ax.figure.get_size_inches().tolist()
    [4.0, 3.0]
    >>> len(new_axes(8.0, 3.0, columns=2))
    2
    """
    import matplotlib as mpl

    figure = new_figure(width, height, constrained=not fixed)
    with mpl.rc_context(_STYLE):
        if fixed:
            figure.subplots_adjust(left=0.12, right=0.985, bottom=0.24, top=0.86)
        return figure.subplots(1, columns)


def legend(ax: Axes, **options: Any) -> None:
    """Add the legend in the house's style; `options` go to matplotlib."""
    look = {"frameon": False, "fontsize": 9, "labelcolor": COLOURS["ink"], "handlelength": 1.8}
    ax.legend(**(look | options))


def log_axis(axis: Axis, *, between: bool = False) -> None:
    """Label a logarithmic axis with plain words such as 10⁻³, which need no mathematical typesetting.

    With `between` the 2s and 5s between the powers of ten are labelled as decimal fractions too: for axes that
    span little.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def word(value: float, _: Any = None) -> str:
        power = round(math.log10(value)) if value > 0 else 0
        if between or (value > 0 and abs(math.log10(value) - power) > 1e-6) or -2 <= power <= 0:
            return f"{value:g}"
        return f"{10**power:,}" if 0 < power < 5 else f"10{power}".translate(_RAISED).replace("¹⁰", "10", 1)

    axis.set_major_locator(LogLocator(10.0, subs=(1.0, 2.0, 5.0) if between else (1.0,)))
    axis.set_major_formatter(FuncFormatter(word))
    axis.set_minor_formatter(NullFormatter())


def save_figure(
    figure: Figure | Axes,
    stem: Path | str,
    formats: Sequence[str] = ("pdf", "png"),
    *,
    dpi: float = 200,
    truetype: bool = True,
) -> list[Path]:
    """Write a figure as `stem.pdf` and `stem.png`, each whole or not at all, the same bytes every time.

    Parameters
    ----------
    figure : Figure or Axes
        The figure, or any Axes of it.
    stem : path
        Path without suffix; its folder is made.
    formats : sequence of str
        Suffixes that matplotlib can write.
    dpi : float
        Pixels an inch, of pixel formats.
    truetype : bool
        Whether fonts go into a PDF as TrueType, as journals ask for, or as outlines, which takes a third of the time.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OutputError
        It cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save_figure(new_axes(2, 2), f"{folder}/empty")]
    ['empty.pdf', 'empty.png']
    """
    import matplotlib as mpl

    whole, stem = cast("Figure", getattr(figure, "figure", None) or figure), Path(stem)
    dateless = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}
    _as_plain_words(whole)

    def write(suffix: str, part: Path) -> None:
        with mpl.rc_context(_STYLE | {"pdf.fonttype": 42 if truetype else 3}):
            whole.savefig(part, format=suffix, dpi=dpi, metadata=dateless.get(suffix))

    return [write_whole(stem.with_name(f"{stem.name}.{suffix}"), partial(write, suffix)) for suffix in formats]


def svg(axes: Axes, name: str) -> str:
    """Render the Figure of `axes` as one `<svg>` element for a page.

    Parameters
    ----------
    axes : Axes
        Any Axes of the figure.
    name : str
        Put before every id, so that several figures can live in one page.

    Returns
    -------
    str
        Without size, background, metadata or any address; the colours of `COLOURS` have become
        `var(--name)`, so that the page's theme decides on them.

    Examples
    --------
    >>> ax = new_axes()
    >>> line = ax.plot([0, 1], color=COLOURS["real"])
    >>> text = svg(ax, "line")
    >>> text.startswith("<svg"), "http" in text, "var(--real)" in text
    (True, False, True)
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    figure = cast("Figure", axes.figure)
    _as_plain_words(figure)
    with mpl.rc_context(_STYLE):
        empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", dpi=160, metadata=empty, transparent=True)
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


def _as_plain_words(figure: Figure) -> None:
    """Keep dollar signs in names: text that was added outside our style would be set as mathematics."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
