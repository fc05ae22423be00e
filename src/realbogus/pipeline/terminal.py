"""The ranked list as a table in the terminal."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

__all__ = ["numbers", "rank", "ranked_table", "words"]

_WIDE = 110  # columns of a terminal from which sky positions and epochs have room


def rank(candidates: Table) -> NDArray[np.intp]:
    """Return the rows of all scored candidates, best score first, then highest S/N.

    Parameters
    ----------
    candidates : Table
        With `score` (masked or NaN where unscored) and, if at hand, `snr`.

    Returns
    -------
    ndarray of int, shape (K,)
        Row indices; K is the number of scored rows.

    Examples
    --------
    >>> rank(Table({"score": [0.2, 0.9, float("nan"), 0.9], "snr": [5.0, 6.0, 7.0, -8.0]})).tolist()
    [3, 1, 0]
    """
    scores, snr = numbers(candidates, "score"), np.abs(numbers(candidates, "snr"))
    order = np.lexsort((np.arange(len(scores)), -np.nan_to_num(snr), -np.nan_to_num(scores, nan=-1.0)))
    return order[np.isfinite(scores[order])]


def ranked_table(candidates: Table, console: Console, limit: int = 15) -> None:
    """Print the best candidates: rank, score, S/N, frame, position, epochs, flags, known name.

    Injected sources are no candidates and are left out. Candidates at or above the threshold
    (`real`) carry a dot beside their rank. Text from outside is printed as it is: neither
    markup nor control characters in it act. On a narrow console (a pipe, a log) frame and flags
    fold and sky position and epochs are left out; no number is ever cut.

    Parameters
    ----------
    candidates : Table
        The night's candidates, in any order.
    console : rich.console.Console
        Where to print.
    limit : int
        At most so many rows.
    """
    if "injected" in candidates.colnames:
        candidates = candidates[~np.asarray(candidates["injected"], dtype=bool)]
    rows = rank(candidates)
    if not len(rows):
        total = len(candidates)
        what = f"None of {total:,} detections has a score." if total else "No detections."
        console.print(what, highlight=False)
        return
    real = numbers(candidates, "real")
    number = {name: numbers(candidates, name) for name in ("score", "snr", "x", "y", "ra", "dec", "epochs")}
    frames, flags, known = (words(candidates, name) for name in ("frame", "flag_names", "known"))
    wide = console.width >= _WIDE
    on_sky = wide and bool(np.isfinite(number["ra"][rows[:limit]]).any())
    has_known = any(known[row] for row in rows[:limit])
    shown = RichTable(
        title=f"Best {min(limit, len(rows)):,} of {len(candidates):,} detections",
        caption="● at or above the threshold",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("", "#", "score", "S/N"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("frame", overflow="fold", max_width=34, min_width=8)
    for heading in ("x", "y", *(("ra", "dec") if on_sky else ()), *(("epochs",) if wide else ())):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("flags", overflow="fold", min_width=5)
    if has_known:
        shown.add_column("known", overflow="fold", min_width=5)
    for place, row in enumerate(rows[:limit], start=1):
        sky = (_digits(number["ra"][row], 5), _digits(number["dec"][row], 5)) if on_sky else ()
        cells = [
            "●" if real[row] == 1 else "",
            str(place),
            _digits(number["score"][row], 3),
            _digits(number["snr"][row], 1),
            frames[row],
            _digits(number["x"][row], 1),
            _digits(number["y"][row], 1),
            *sky,
            *((_digits(number["epochs"][row], 0),) if wide else ()),
            flags[row],
        ]
        if has_known:
            cells.append(known[row])
        shown.add_row(*(Text(_plain(cell)) for cell in cells), style="" if real[row] == 1 else "dim")
    for column in shown.columns:
        if column.no_wrap:  # a column without a least width is shrunk where the console is too narrow
            column.min_width = max(map(cell_len, (str(column.header), *map(str, column.cells))))
    console.print(shown)


def numbers(table: Table, column: str) -> NDArray[np.float64]:
    """Return a column as float, with NaN where it is masked or lacks."""
    if column not in table.colnames:
        return np.full(len(table), np.nan)
    return np.ma.filled(np.ma.asarray(table[column]).astype(np.float64), np.nan)


def words(table: Table, column: str) -> list[str]:
    """Return a column as text, with empty strings where it is masked or lacks."""
    if column not in table.colnames:
        return [""] * len(table)
    return ["" if value is None or np.ma.is_masked(value) else str(value) for value in table[column]]


def _plain(text: str) -> str:
    """Return `text` without control characters, which a terminal would obey."""
    return "".join(c for c in text if c.isprintable())


def _digits(value: float, places: int) -> str:
    return f"{value:.{places}f}" if np.isfinite(value) else "–"
