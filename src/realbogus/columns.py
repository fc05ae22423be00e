"""Columns of a catalogue as plain arrays, whatever is missing."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

__all__ = ["JD_OF_MJD", "flags", "numbers", "texts", "weights"]

#: Julian date of the Modified Julian Date 0.
JD_OF_MJD = 2_400_000.5


def numbers(table: Table, name: str) -> NDArray[np.float64]:
    """Return a column as float, NaN where it is masked or absent, shape (N,).

    Examples
    --------
    >>> numbers(Table({"snr": [5, 6]}), "snr").tolist(), numbers(Table({"snr": [5, 6]}), "ra").tolist()
    ([5.0, 6.0], [nan, nan])
    """
    if name not in table.colnames or table[name].dtype.kind not in "biuf":
        return np.full(len(table), np.nan)
    return np.asarray(np.ma.filled(np.ma.asarray(table[name], dtype=np.float64), np.nan))


def weights(table: Table) -> NDArray[np.float64]:
    """Return the column `weight`, 1 where it is masked or NaN, or absent: a stamp that nobody weighed counts once.

    Examples
    --------
    >>> weights(Table({"weight": [2.0, float("nan")]})).tolist(), weights(Table({"id": ["a"]})).tolist()
    ([2.0, 1.0], [1.0])
    """
    values = numbers(table, "weight")
    return np.where(np.isnan(values), 1.0, values)


def texts(table: Table, name: str) -> NDArray[np.str_]:
    """Return a column as text, empty where it is masked or absent, shape (N,).

    Examples
    --------
    >>> texts(Table({"frame": [1, 2]}), "frame").tolist(), texts(Table({"frame": [1]}), "field").tolist()
    (['1', '2'], [''])
    """
    if name not in table.colnames:
        return np.zeros(len(table), dtype="U1")
    gone = np.ma.getmaskarray(np.ma.asarray(table[name]))
    values = np.ma.getdata(np.ma.asarray(table[name])).tolist()
    found = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
    return np.array([word if there else "" for word, there in zip(found, ~gone, strict=True)] or [], dtype=str)


def flags(table: Table, name: str, *, absent: bool) -> NDArray[np.bool_]:
    """Return a column of yes and no, False where it is masked and `absent` where there is no such column.

    Examples
    --------
    >>> flags(Table({"usable": [True, False]}), "usable", absent=True).tolist()
    [True, False]
    """
    if name not in table.colnames:
        return np.full(len(table), absent)
    return np.asarray(np.ma.filled(np.ma.asarray(table[name]), False), dtype=bool)
