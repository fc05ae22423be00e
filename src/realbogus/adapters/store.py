"""A stamp set that grows on disk: pixels are appended, the catalogue is joined at the end, and memory stays flat."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from ..files import scratch_folder
from ..stamps import FILES, STAMP_SIZE, StampSet
from .packets import CHANNELS, Unusable

__all__ = ["SetWriter"]


class SetWriter:
    """Write a set in `folder`, whole or not at all; what was half done is swept away by the next.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        The folder holds stamps already.
    OutputError
        It cannot be written, or another run is writing to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.draft = folder, folder / ".adapt"
        self.count = 0
        self._parts: list[Path] = []
        if (folder / "card.json").exists() or (folder / "plan.json").exists():
            raise InputError(f"{folder} holds other stamps: choose a new folder")
        self._lock = scratch_folder(self.draft, what=folder)
        try:
            self._pixels: BinaryIO = (self.draft / "pixels.npy").open("wb")
            self._pixels.write(_npy_header(0))
        except OSError as error:
            self._lock.close()
            raise OutputError(f"cannot write to {folder}: {error}; choose a folder you may write") from error

    def add(self, pixels: NDArray[np.float32], rows: pa.Table) -> None:
        """Append stamps (N, 3, 64, 64) and their N rows."""
        if not len(pixels):
            return
        try:
            self._pixels.write(np.ascontiguousarray(pixels, dtype="<f4").data)
            part = self.draft / f"{len(self._parts):06d}.parquet"
            pq.write_table(rows, part)
        except OSError as error:
            raise OutputError(f"cannot write to {self.folder}: {error}; is there room left?") from error
        self._parts.append(part)
        self.count += len(pixels)

    def list_unusable(self, unusable: Sequence[Unusable]) -> Path:
        """Write `unusable.csv`, with its head even where nothing is in it."""
        path = self.folder / "unusable.csv"
        try:
            with (self.draft / "unusable.csv").open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(["file", "record", "id", "cause", "reason"])
                for entry in unusable:
                    writer.writerow([_printable(str(value)) for value in (entry.file, entry.record, entry.id,
                                                                          entry.cause, entry.reason)])  # fmt: skip
            os.replace(self.draft / "unusable.csv", path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error}") from error
        return path

    def finish(self, provenance: Mapping[str, Any]) -> StampSet:
        """Join the parts, put everything in its place, the card last, and return the set."""
        try:
            self._pixels.seek(0)
            self._pixels.write(_npy_header(self.count))
            self._pixels.close()
            self._join(self.draft / "catalogue.parquet")
            shape = (self.count, len(CHANNELS), STAMP_SIZE, STAMP_SIZE)
            StampSet.write_card(self.draft, CHANNELS, shape, provenance)
            for name in FILES:  # the card last: where it is, all is
                os.replace(self.draft / name, self.folder / name)
        except OSError as error:
            raise OutputError(f"cannot write to {self.folder}: {error}; is there room left?") from error
        self.discard()
        return StampSet.load(self.folder)

    def discard(self) -> None:
        """Remove what is half done."""
        self._pixels.close()
        shutil.rmtree(self.draft, ignore_errors=True)
        self._lock.close()

    def _join(self, path: Path) -> None:
        """Write one catalogue: a column for every name of any part, of a type that holds all of its values."""
        kinds: dict[str, pa.DataType] = {}
        for part in self._parts:
            for column in pq.read_schema(part):
                kinds[column.name] = _common(kinds.get(column.name), column.type)
        schema = pa.schema(
            [pa.field(name, pa.float64() if pa.types.is_null(kind) else kind) for name, kind in kinds.items()]
        )
        with pq.ParquetWriter(path, schema) as writer:
            for part in self._parts:
                table = pq.read_table(part)
                columns = [
                    table[column.name].cast(column.type)
                    if column.name in table.column_names
                    else pa.nulls(len(table), column.type)
                    for column in schema
                ]
                writer.write_table(pa.table(columns, schema=schema))


def _npy_header(count: int) -> bytes:
    """Return the head of a .npy file; NumPy leaves room in it for the first axis to grow."""
    import io

    stream = io.BytesIO()
    shape = (count, len(CHANNELS), STAMP_SIZE, STAMP_SIZE)
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _common(one: pa.DataType | None, other: pa.DataType) -> pa.DataType:
    if one is None or one == other or pa.types.is_null(one):
        return other
    if pa.types.is_null(other):
        return one
    try:
        return pa.unify_schemas(
            [pa.schema([("a", one)]), pa.schema([("a", other)])], promote_options="permissive"
        ).field("a").type  # fmt: skip
    except pa.ArrowException:
        return pa.string()


def _printable(text: str) -> str:
    """One line, without control characters: names of files may hold anything."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
