"""What a split is: the side of every row, what the sides share, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import texts
from ..dataset.split import Split
from ..errors import InputError
from ..evaluation.tables import Column, ResultTable
from ..files import write_text, write_whole
from ..stamps import StampSet
from ..tables import read_parquet, write_parquet
from .sets import remove_set, write_set

__all__ = ["SIDES", "Parts", "read_split", "save_split", "shared_table"]

#: Sides of a split, in order.
SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class Parts:
    """A split and what it shares.

    Parameters
    ----------
    side : ndarray of str, shape (N,)
        `train`, `valid` or `test`; empty for rows without a label 1 or 0.
    by : str
        Name of the rule.
    shared : dict of str to (int, int)
        By column: test stamps whose value is on the training side too, and all test stamps.
    """

    side: NDArray[np.str_]
    by: str
    shared: dict[str, tuple[int, int]]

    def rows(self, name: str) -> NDArray[np.int64]:
        """Rows of one side."""
        return np.flatnonzero(self.side == name)

    def table(self, stamps: StampSet) -> Table:
        """Return `row`, `id`, `label` and `side` of every row."""
        return Table(
            {
                "row": np.arange(len(stamps)),
                "id": texts(stamps.catalogue, "id"),
                "label": stamps.labels,
                "side": self.side,
            }
        )

    def counts(self, labels: NDArray[np.int64]) -> ResultTable:
        """Return reals and bogus of each side."""
        rows: list[list[Any]] = [
            [name, *(int(((self.side == name) & (labels == value)).sum()) for value in (1, 0))] for name in SIDES
        ]
        return ResultTable([Column("side"), Column("real", "d"), Column("bogus", "d")], rows)


def read_split(path: Path | str, stamps: StampSet) -> Split:
    """Read the table of a split, and prove that it is one of these stamps.

    Raises
    ------
    InputError
        It is not.
    """
    table = read_parquet(path)
    ids = texts(stamps.catalogue, "id")
    if not {"id", "side"} <= set(table.colnames) or not np.array_equal(texts(table, "id"), ids):
        raise InputError(f"{path} is no split of these {len(ids)} stamps: make it with `realbogus split`")
    side = texts(table, "side")
    return Split(*(np.flatnonzero(side == name) for name in SIDES))


def shared_table(looser: Parts, stricter: Parts) -> ResultTable:
    """Return how many test stamps share their source, field, night or frame with the training side.

    Examples
    --------
    >>> side = np.array(["train", "test"])
    >>> table = shared_table(Parts(side, "stamp", {"source": (1, 1)}), Parts(side, "source", {"source": (0, 1)}))
    >>> table.rows[0]
    ['source', 1, 1.0, 0, 0.0]
    """
    columns = [Column("test stamps that share their")]
    for parts in (looser, stricter):
        columns += [Column(f"by {parts.by}", "d"), Column(f"% by {parts.by}", ".1f", 100)]
    rows: list[list[Any]] = []
    for name in looser.shared:
        pairs = [parts.shared[name] for parts in (looser, stricter)]
        rows.append([name, *(value for both, all_ in pairs for value in (both, both / max(all_, 1)))])
    return ResultTable(columns, rows)


def save_split(parts: Parts, stamps: StampSet, out: Path, text: str, *, sets: bool = True) -> list[Path]:
    """Write `split.parquet`, `summary.md`, and the sets `train`, `valid` and `test`; return what was written.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    table = parts.table(stamps)
    written = [write_whole(out / "split.parquet", lambda path: write_parquet(table, path))]
    write_text(out / "summary.md", text)
    for name in SIDES:
        rows = parts.rows(name)
        if not (sets and len(rows)):  # a side of an earlier split would not fit to the others
            remove_set(out / name, "split")
        else:
            provenance = {"origin": "split", "side": name, "by": parts.by, "of": dict(stamps.provenance)}
            write_set(out / name, [(stamps, rows)], stamps.catalogue[rows], stamps.channels, provenance)
            written.append(out / name)
    return written
