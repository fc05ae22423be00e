"""A table that grows row group by row group on disk, whatever columns come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import InputError

__all__ = ["Draft"]

#: Rows of a row group.
_GROUP = 16384


class Draft:
    """Parquet files in a folder: one, and a further one wherever a batch brings columns that were not there.

    Parameters
    ----------
    folder : Path
        Where the files lie.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draft = Draft(Path(folder))
    ...     draft.add(pa.table({"id": ["a"]}))
    ...     draft.add(pa.table({"id": ["b"], "mag": [18.5]}))
    ...     path = draft.finish()
    ...     pq.read_table(path).to_pydict()
    {'id': ['a', 'b'], 'mag': [None, 18.5]}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.Table] = []

    def __bool__(self) -> bool:
        return self._schema is not None

    def add(self, rows: pa.Table) -> None:
        """Append rows."""
        schema = rows.schema if self._schema is None else _joined(self._schema, rows.schema)
        if self._schema is None or not schema.equals(self._schema):
            self._flush()
            self._end_part()
            self._schema = schema
        self._waiting.append(_fitted(rows, schema))
        if sum(map(len, self._waiting)) >= _GROUP:
            self._flush()

    def finish(self) -> Path:
        """Return the path of one file with all rows.

        Raises
        ------
        InputError
            There never was a table.
        """
        if self._schema is None:
            raise InputError("a table without columns: add one first, with or without rows")
        self._flush()
        self._end_part()
        if len(self._parts) == 1:
            return self._parts[0]
        path = self.folder / "whole.parquet"
        with pq.ParquetWriter(path, self._schema) as writer:
            for part in self._parts:
                for rows in groups(part):
                    writer.write_table(_fitted(rows, self._schema))
        return path

    def discard(self) -> None:
        """Let go of the files; they are nothing to keep."""
        self._waiting.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if not self._waiting or self._schema is None:
            return
        if self._writer is None:
            self._parts.append(self.folder / f"part{len(self._parts):04d}.parquet")
            self._writer = pq.ParquetWriter(self._parts[-1], self._schema)
        self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks(), row_group_size=_GROUP)
        self._waiting.clear()

    def _end_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def groups(path: Path) -> Iterator[pa.Table]:
    """Yield the row groups of a file, one in memory at a time."""
    with pq.ParquetFile(path) as table:
        if not table.num_row_groups:
            yield table.schema_arrow.empty_table()
        for number in range(table.num_row_groups):
            yield table.read_row_group(number)


def _joined(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Return a schema with the columns of both, of types that hold the values of both."""
    if one.equals(other):
        return one
    fields = {field.name: field for field in one}
    for field in other:
        known = fields.get(field.name)
        kind = field.type if known is None else _common(known.type, field.type)
        fields[field.name] = pa.field(field.name, kind, metadata=(known or field).metadata)
    return pa.schema(list(fields.values()))


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
    try:
        schemas = [pa.schema([("a", one)]), pa.schema([("a", other)])]
        return pa.unify_schemas(schemas, promote_options="permissive").field("a").type
    except pa.ArrowException:
        return pa.string()


def _fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    if rows.schema.equals(schema):
        return rows
    names = set(rows.column_names)
    columns = [
        rows[field.name].cast(field.type) if field.name in names else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
