"""Right and wrong calls apart by a column of the catalogue: by S/N, magnitude, seeing, kind."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..metrics import wilson_interval
from .tables import Cell, Column, Measured, ResultTable, known

__all__ = ["SNR_EDGES", "Bin", "Breakdown", "break_down", "by_kind", "by_value", "table_of"]

#: Edges of the bins of signal-to-noise in which recall is reported.
SNR_EDGES = (0.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, math.inf)
_BINS = 8


@dataclass(frozen=True)
class Bin:
    """Counts of the candidates in one bin.

    Parameters
    ----------
    name : str
        The bin for people, such as `5 to 7` or `cosmic ray`.
    real, found : int
        Real ones, and those of them called real.
    bogus, passed : int
        Bogus ones, and those of them called real.
    low, high : float
        Ends of a bin of numbers, ``low <= value < high``; nan for one of words.
    """

    name: str
    real: int
    found: int
    bogus: int
    passed: int
    low: float = math.nan
    high: float = math.nan

    @property
    def recall(self) -> Measured:
        """Share of the real that is found, with its Wilson interval; nan without real."""
        return _share(self.found, self.real)

    @property
    def specificity(self) -> Measured:
        """Share of the bogus turned away, with its Wilson interval; nan without bogus."""
        return _share(self.bogus - self.passed, self.bogus)


@dataclass(frozen=True)
class Breakdown:
    """All bins of one column.

    Parameters
    ----------
    column : str
        Name in the catalogue.
    title : str
        The quantity and its unit for people.
    bins : sequence of Bin
        Those that hold a candidate, in order.
    unknown : int
        Candidates without a value, in no bin.
    """

    column: str
    title: str
    bins: Sequence[Bin]
    unknown: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return values for JSON."""
        rows = [
            {
                "name": b.name, "low": known(b.low), "high": known(b.high), "real": b.real, "found": b.found,
                "bogus": b.bogus, "passed": b.passed, "recall": known(b.recall.value),
                "recall_interval": [known(b.recall.low), known(b.recall.high)],
                "specificity": known(b.specificity.value),
                "specificity_interval": [known(b.specificity.low), known(b.specificity.high)],
            }
            for b in self.bins
        ]  # fmt: skip
        return {"title": self.title, "unknown": self.unknown, "bins": rows}


def break_down(
    scores: ArrayLike, labels: ArrayLike, threshold: float, columns: Mapping[str, ArrayLike] | Table
) -> list[Breakdown]:
    """Break the calls down by every column that we know how to bin.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        Scores, and 1 for real, 0 for bogus.
    threshold : float
        `score >= threshold` is called real.
    columns : mapping of str to array_like, shape (N,), or Table
        Of these `snr`, `mag`, `seeing` (arcsec; else `fwhm`, pixels) and `kind` are used, where they hold anything.

    Returns
    -------
    list of Breakdown

    Raises
    ------
    InputError
        A column has another length than the scores.

    Examples
    --------
    >>> found = break_down([0.9, 0.2, 0.8], [1, 1, 0], 0.5, {"kind": ["star", "star", "cosmic ray"]})
    >>> [(b.name, b.found, b.passed) for b in found[0].bins]
    [('cosmic ray', 0, 1), ('star', 1, 0)]
    """
    names = set(columns.colnames if isinstance(columns, Table) else columns)
    values, truth = np.asarray(scores), np.asarray(labels)
    called = values >= float(threshold)  # a float of Python takes the scores' own precision
    found: list[Breakdown] = []
    for column, title in (("snr", "S/N"), ("mag", "magnitude"), ("seeing", "seeing (arcsec)"), ("fwhm", "FWHM (px)")):
        if column in names and np.ma.asarray(columns[column]).dtype.kind in "SU":
            names.discard(column)  # '1.2 arcsec' is no number that we know the unit of
        if column in names and not (column == "fwhm" and "seeing" in names):
            numbers = _floats(columns[column], len(values), column)
            edges = SNR_EDGES if column == "snr" else _edges(numbers)
            found.append(by_value(called, truth, np.abs(numbers) if column == "snr" else numbers, edges, column, title))
    if "kind" in names:
        found.append(by_kind(called, truth, columns["kind"]))
    return [part for part in found if part.bins]


def by_value(
    called: ArrayLike, labels: ArrayLike, values: ArrayLike, edges: Sequence[float], column: str, title: str
) -> Breakdown:
    """Count in bins ``low <= value < high`` between neighbouring edges; the last bin holds its upper edge too.

    Parameters
    ----------
    called : array_like of bool, shape (N,)
        Whether each candidate is called real.
    labels, values : array_like, shape (N,)
        1 real, 0 bogus; the quantity, nan where unknown.
    edges : sequence of float
        Rising.
    column, title : str
        As in `Breakdown`.
    """
    calls, truth, numbers = np.asarray(called), np.asarray(labels), np.asarray(values, dtype=np.float64)
    bins, inside_any = [], np.zeros(len(numbers), dtype=bool)
    for low, high in itertools.pairwise(edges):
        inside = (numbers >= low) & ((numbers < high) | ((high == edges[-1]) & (numbers == high)))
        inside_any |= inside
        if inside.any():
            name = f"{low:g} to {high:g}"
            if not (math.isfinite(low) and math.isfinite(high)):
                name = f"above {low:g}" if math.isfinite(low) else f"below {high:g}"
            bins.append(_count(name, inside, calls, truth, low, high))
    return Breakdown(column, title, bins, int((~inside_any).sum()))


def by_kind(called: ArrayLike, labels: ArrayLike, kinds: ArrayLike) -> Breakdown:
    """Count for each word in `kinds`, in the order of the alphabet; an empty word is unknown."""
    words = np.char.strip(np.ma.filled(np.ma.array(kinds, dtype=str), ""))
    if words.shape != np.shape(called):
        raise InputError(f"the column kind has shape {words.shape}, the scores {np.shape(called)}: one word a score")
    calls, truth = np.asarray(called), np.asarray(labels)
    names = [name for name in np.unique(words).tolist() if name]
    bins = [_count(name, words == name, calls, truth) for name in names]
    return Breakdown("kind", "kind", bins, int((words == "").sum()))


def table_of(breakdown: Breakdown) -> ResultTable:
    """Return a breakdown as a table, with the Wilson interval of each share."""
    columns = [
        Column(breakdown.title), Column("real", "d"), Column("found", "d"), Column("recall %", ".1f", 100),
        Column("bogus", "d"), Column("passed", "d"), Column("spec %", ".2f", 100),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [b.name, b.real, b.found, b.recall, b.bogus, b.passed, b.specificity] for b in breakdown.bins
    ]
    return ResultTable(columns, rows)


def _count(
    name: str,
    inside: NDArray[np.bool_],
    called: NDArray[np.bool_],
    labels: NDArray[np.int64],
    low: float = math.nan,
    high: float = math.nan,
) -> Bin:
    real, bogus = inside & (labels == 1), inside & (labels == 0)
    found, passed = int((real & called).sum()), int((bogus & called).sum())
    return Bin(name, int(real.sum()), found, int(bogus.sum()), passed, float(low), float(high))


def _floats(values: ArrayLike, count: int, column: str) -> NDArray[np.float64]:
    numbers = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    if numbers.shape != (count,):
        raise InputError(f"the column {column} has shape {numbers.shape}, expected ({count},): one value a score")
    return np.asarray(numbers)


def _edges(values: NDArray[np.float64]) -> list[float]:
    """Return round edges, at most `_BINS` bins between the outermost hundredths, and the ends open beyond them."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return []
    low, high = (float(value) for value in np.quantile(finite, (0.01, 0.99)))
    span = max(high - low, 1e-6 * max(abs(low), abs(high), 1.0))
    power = 10.0 ** math.floor(math.log10(span / _BINS))
    for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.floor(low / step), math.ceil(high / step)
        if last - first <= _BINS:
            break
    edges = [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]
    below = [-math.inf] if finite.min() < edges[0] else []
    above = [math.inf] if finite.max() > edges[-1] else []
    return below + edges + above


def _share(part: int, whole: int) -> Measured:
    if not whole:
        return Measured(math.nan)
    low, high = wilson_interval(part, whole)
    return Measured(part / whole, float(low), float(high))
