"""Rows as plain values, for sinks that know neither masks nor NumPy."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from astropy.table import Table

__all__ = ["clean", "columns_of", "rows_of"]


def clean(text: str) -> str:
    """Return text that UTF-8 can hold: half a surrogate pair becomes a question mark.

    Examples
    --------
    >>> clean("caf\u00e9"), clean("a" + chr(0xD800))
    ('café', 'a?')
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def columns_of(rows: Table) -> dict[str, list[Any]]:
    """Return the columns as lists: None where a value is masked or not finite; times and what else there is, as text.

    Examples
    --------
    >>> columns_of(Table({"id": ["a"], "mag": [np.nan], "sign": np.array([1], "int8")}))
    {'id': ['a'], 'mag': [None], 'sign': [1]}
    >>> columns_of(Table({"id": ["a" + chr(0xD800), "plain"]}))
    {'id': ['a?', 'plain']}
    """
    found: dict[str, list[Any]] = {}
    for name in rows.colnames:
        column = rows[name]
        data = np.ma.getdata(np.asanyarray(column)) if column.ndim == 1 else None
        if data is None:  # several values a row: a list each
            found[name] = [_item(value) for value in column.tolist()]
            continue
        mask = np.ma.getmaskarray(column) if hasattr(column, "mask") else np.zeros(len(rows), dtype=bool)
        if data.dtype.kind == "f":
            mask = mask | ~np.isfinite(data)
        if data.dtype.kind == "M":
            mask = mask | np.isnat(data)
            data = np.datetime_as_string(data)
        values = data.tolist()
        if data.dtype.kind not in "biufU" or (data.dtype.kind == "U" and not "".join(values).isascii()):
            values = [_item(value) for value in values]
        if mask.any():
            for row in np.flatnonzero(mask).tolist():
                values[row] = None
        found[name] = values
    return found


def rows_of(rows: Table) -> list[dict[str, Any]]:
    """Return a mapping for each row, as `columns_of` has the values.

    Examples
    --------
    >>> rows_of(Table({"id": ["a", "b"]}))
    [{'id': 'a'}, {'id': 'b'}]
    """
    columns = columns_of(rows)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _item(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return _item(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_item(entry) for entry in value]
    if isinstance(value, dict):
        return {clean(str(name)): _item(entry) for name, entry in value.items()}
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else clean(str(value))
