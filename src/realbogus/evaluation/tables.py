"""Tables of results: filled once, written as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files import write_text

__all__ = ["Cell", "Column", "Measured", "ResultTable", "escaped", "known"]

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "−": "$-$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "×": r"$\times$",
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A number and the interval it may lie in.

    Parameters
    ----------
    value, low, high : float
        nan where it cannot be known; without an interval `low` and `high` are nan.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


#: What a table may hold; None and nan say that it cannot be known.
Cell = str | int | float | Measured | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    header : str
        Its name, with the unit; plain text.
    format : str
        Format of its numbers, as after the colon of an f-string; empty for text.
    scale : float
        Numbers are multiplied by it first: 100 for a ratio in per cent.
    """

    header: str
    format: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class ResultTable:
    r"""Rows of results under named columns.

    Parameters
    ----------
    columns : sequence of Column
        Text columns stand left, columns of numbers right.
    rows : sequence of sequence
        One entry a column: text, a number, `Measured`, or None.
    caption : str
        Plain text, set above the table in Markdown and LaTeX.

    Raises
    ------
    InputError
        A row has more or fewer entries than there are columns, or text in a column of numbers.

    Examples
    --------
    >>> columns = [Column("network"), Column("recall %", ".2f", 100)]
    >>> table = ResultTable(columns, [["resnet_18", Measured(0.914, 0.89, 0.935)], ["chance", None]])
    >>> print(table.to_markdown(), end="")
    | network | recall % |
    |---|--:|
    | resnet_18 | 91.40 [89.00, 93.50] |
    | chance | – |
    >>> print(table.to_csv(), end="")
    network,recall %,recall % low,recall % high
    resnet_18,91.4,89,93.5
    chance,,,
    >>> print(table.to_latex().splitlines()[4])
    resnet\_18 & $91.40_{-2.40}^{+2.10}$ \\
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(
                    f"a row of {len(row)} entries under {len(self.columns)} columns "
                    f"({', '.join(c.header for c in self.columns)}): {list(row)}"
                )
            for column, cell in zip(self.columns, row, strict=True):
                if cell is not None and isinstance(cell, str) == bool(column.format):
                    kind = "numbers" if column.format else "text"
                    raise InputError(f"{cell!r} cannot stand in the column {column.header!r} of {kind}")

    def to_text(self) -> list[list[str]]:
        """Return the rows as text, without markup: `91.40 [89.00, 93.50]`, `–` for what cannot be known."""
        return [[_text(c, cell) for c, cell in zip(self.columns, row, strict=True)] for row in self.rows]

    def to_markdown(self) -> str:
        """Return the table as Markdown, its caption as a paragraph above."""
        lines = [escaped(self.caption), ""] if self.caption else []
        lines.append("| " + " | ".join(escaped(c.header) for c in self.columns) + " |")
        lines.append("|" + "|".join("--:" if c.format else "---" for c in self.columns) + "|")
        lines += ["| " + " | ".join(map(escaped, row)) + " |" for row in self.to_text()]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """Return the table as CSV for machines: six digits, an interval in two columns of its own, no dashes."""
        bounded = [
            any(isinstance(cell, Measured) and cell.bounded for cell in cells)
            for cells in (zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns))
        ]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        head: list[str] = []
        for column, wide in zip(self.columns, bounded, strict=True):
            head += [column.header] + ([f"{column.header} low", f"{column.header} high"] if wide else [])
        writer.writerow(head)
        for row in self.rows:
            line: list[str] = []
            for column, cell, wide in zip(self.columns, row, bounded, strict=True):
                ends = (cell.low, cell.high) if isinstance(cell, Measured) else (math.nan, math.nan)
                line.append(_plain(column, cell))
                line += [_plain(column, end) for end in ends] if wide else []
            writer.writerow(line)
        return buffer.getvalue()

    def to_latex(self) -> str:
        """Return the table as LaTeX, with the rules of the package booktabs."""
        lines = [r"\begin{table}", r"\centering"] if self.caption else []
        lines += [rf"\caption{{{_latex(self.caption)}}}"] if self.caption else []
        lines += [rf"\begin{{tabular}}{{{''.join('r' if c.format else 'l' for c in self.columns)}}}", r"\toprule"]
        lines += [" & ".join(_latex(c.header) for c in self.columns) + r" \\", r"\midrule"]
        # a row that begins with [ would be read as the option of the \\ before it
        cells = [map(_latex_cell, self.columns, row) for row in self.rows]
        body = [" & ".join(row) for row in cells]
        lines += [("{}" if line.startswith("[") else "") + line + r" \\" for line in body]
        lines += [r"\bottomrule", r"\end{tabular}"] + ([r"\end{table}"] if self.caption else [])
        return "\n".join(lines) + "\n"

    def save(self, stem: Path | str) -> list[Path]:
        """Write `stem.md`, `stem.csv` and `stem.tex`, each whole or not at all, and return them.

        Raises
        ------
        OutputError
            They cannot be written.
        """
        stem = Path(stem)
        texts = {".md": self.to_markdown(), ".csv": self.to_csv(), ".tex": self.to_latex()}
        return [write_text(stem.with_name(stem.name + suffix), text) for suffix, text in texts.items()]


def known(value: float) -> float | None:
    """Return a number for JSON, which has no NaN: None where it cannot be known.

    Examples
    --------
    >>> known(0.5), known(math.nan)
    (0.5, None)
    """
    return value if math.isfinite(value) else None


def escaped(text: str) -> str:
    r"""Return plain text as one line of Markdown that shows it: nothing in it is markup.

    Underscores inside words are left, and brackets that make no link: both are safe, and the text stays readable.

    Examples
    --------
    >>> print(escaped("a_b |x| *y* [0.1, 0.2] [z](w) &lt;"))
    a_b \|x\| \*y\* [0.1, 0.2] [z]\(w) \&lt;
    """
    text = re.sub(r"([\\|*<>`~]|&(?=#?\w+;)|(?<=\])\()", r"\\\1", " ".join(text.split("\n")))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def _number(column: Column, value: float) -> str:
    return format(value * column.scale if column.scale != 1.0 else value, column.format)


def _unknown(cell: Cell) -> bool:
    value = cell.value if isinstance(cell, Measured) else cell
    return value is None or not (isinstance(value, str) or math.isfinite(value))


def _text(column: Column, cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None or _unknown(cell):
        return "–"
    if not isinstance(cell, Measured):
        return _number(column, cell)
    ends = f" [{_number(column, cell.low)}, {_number(column, cell.high)}]" if cell.bounded else ""
    return _number(column, cell.value) + ends


def _plain(column: Column, cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None or _unknown(cell):
        return ""
    value = cell.value if isinstance(cell, Measured) else cell
    if isinstance(value, int) and column.scale == 1.0:
        return str(value)
    return f"{value * column.scale:.6g}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text.replace("\n", " "))


def _latex_cell(column: Column, cell: Cell) -> str:
    if isinstance(cell, str):
        return _latex(cell)
    if isinstance(cell, Measured) and cell.low <= cell.value <= cell.high:
        down, up = _number(column, cell.value - cell.low), _number(column, cell.high - cell.value)
        return f"${_number(column, cell.value)}_{{-{down}}}^{{+{up}}}$"
    text = _text(column, cell)
    return f"${text}$" if text.startswith("-") else _latex(text)
