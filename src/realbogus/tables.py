"""Tables in and out: Parquet with true nulls, and whatever astropy writes.

Masked entries become Parquet nulls and come back masked, so an unscored candidate is
told from one that scored zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import ascii
from astropy.io.registry import IORegistryError
from astropy.table import Column, MaskedColumn, Table

from .errors import InputError

__all__ = ["FORMATS", "as_arrow", "as_table", "read_any", "read_parquet", "write_parquet"]

#: What astropy calls the formats of these suffixes; Parquet is our own.
FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".vot": "votable"}


def write_parquet(table: Table, path: Path | str) -> Path:
    """Write `table` as Parquet; masked values become nulls, units go into the metadata.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import MaskedColumn
    >>> rows = Table({"score": MaskedColumn([0.5, 0.0], mask=[False, True])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     back = read_parquet(write_parquet(rows, f"{folder}/t.parquet"))
    >>> back["score"].mask.tolist()
    [False, True]
    """
    pq.write_table(as_arrow(table), Path(path))
    return Path(path)


def as_arrow(table: Table) -> pa.Table:
    """Return a table of astropy as one of Arrow; masked values are nulls, units go into the metadata.

    Examples
    --------
    >>> as_arrow(Table({"id": ["a", "b"]})).schema.field("id").type
    DataType(string)
    """
    arrays, fields = [], []
    for name in table.colnames:
        column = table[name]
        mask = np.asarray(column.mask) if hasattr(column, "mask") else None
        values = np.asarray(column.filled() if isinstance(column, MaskedColumn) else column)
        if values.dtype.kind in "SU":
            values = values.astype(object)
        elif not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        if values.dtype.kind == "O":
            values = np.array([v.decode() if isinstance(v, bytes) else v for v in values], dtype=object)
            array = pa.array(values, type=pa.string(), mask=mask, from_pandas=True)
        else:
            array = pa.array(values, mask=mask)
        metadata = {"unit": str(column.unit)} if column.unit else None
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=metadata))
    return pa.table(arrays, schema=pa.schema(fields))


def read_parquet(path: Path | str) -> Table:
    """Read a Parquet file as a table; nulls come back masked.

    Raises
    ------
    InputError
        The file is missing or is no Parquet file.
    """
    try:
        data = pq.read_table(Path(path))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    return as_table(data)


def as_table(data: pa.Table) -> Table:
    """Return an Arrow table as one of astropy; nulls are masked.

    Examples
    --------
    >>> as_table(pa.table({"mag": [18.5, None]}))["mag"].mask.tolist()
    [False, True]
    """
    columns: list[Any] = []
    for field, chunked in zip(data.schema, data.columns, strict=True):
        column = chunked.combine_chunks()
        unit = (field.metadata or {}).get(b"unit", b"").decode() or None
        mask = np.asarray(column.is_null()) if column.null_count else None
        if pa.types.is_null(field.type):
            values = np.zeros(len(column))
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            # astropy needs fixed-width text to write every format
            values = np.array(["" if v is None else v for v in column.to_pylist()], dtype=str)
        else:
            plain = (
                pa.types.is_boolean(field.type) or pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            )
            if mask is not None and plain:  # else numpy says itself what is missing: NaT, None
                column = column.fill_null(False if pa.types.is_boolean(field.type) else 0)
            values = np.asarray(column.to_numpy(zero_copy_only=False))
        if mask is None:
            columns.append(Column(values, name=field.name, unit=unit))
        else:
            columns.append(MaskedColumn(values, name=field.name, unit=unit, mask=mask))
    return Table(columns)


def read_any(path: Path | str, ids: str = "id") -> Table:
    r"""Read a table by its suffix: Parquet, or what astropy reads; anything else as columns of text.

    Parameters
    ----------
    path : path
        The table.
    ids : str
        A column that is text, if it is there: 0001 is no number.

    Raises
    ------
    InputError
        It cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     _ = path.write_text("id,score\n0001,0.5\n")
    ...     read_any(path)["id"].tolist()
    ['0001']
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return read_parquet(path)
    kind = FORMATS.get(suffix)
    try:
        try:
            table = Table.read(path, format=kind)
        except IORegistryError:  # a suffix that says nothing, as of Source Extractor's .cat
            kind = "ascii"
            table = Table.read(path, format=kind)
        if kind in ("ascii", "ascii.csv") and ids in table.colnames and table[ids].dtype.kind in "iuf":
            table = Table.read(path, format=kind, converters={ids: [ascii.convert_numpy(str)]})
        return table
    except Exception as error:  # astropy's readers raise what they stumble over
        raise InputError(f"{path} cannot be read as a table: {error}") from error
