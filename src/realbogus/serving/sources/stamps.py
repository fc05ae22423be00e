"""Stamp sets as a source, read block by block: what was read is not kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...columns import texts
from ...errors import InputError
from ...scoring import channel_indices
from ...tables import as_table
from ..batch import Batch
from .source import SOURCES, SourceKind

__all__ = ["StampPart", "StampSource", "is_set"]

#: Bytes of a column that are read at a time.
_BUFFER = 2**20


class StampSource:
    """The rows of a stamp set in their order.

    The pixels are mapped for one block at a time: a map of the whole file would count as memory as it is read.

    Parameters
    ----------
    folder : path
        As `StampSet.save` writes it.
    channels : sequence of str, optional
        Which to read; all by default.
    rows : (int, int), optional
        First row and the one after the last: a part of the set.
    prefix : str
        Put before every id.
    packets : bool
        Not used: a stamp set has no packets.

    Raises
    ------
    InputError
        The folder is no stamp set, is damaged, or lacks a channel.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        channels: Sequence[str] | None = None,
        rows: tuple[int, int] | None = None,
        prefix: str = "",
        packets: bool = False,
        **_: Any,
    ) -> None:
        self.folder, self.prefix = Path(folder).absolute(), prefix  # other processes have other working folders
        try:
            card = json.loads((self.folder / "card.json").read_text())
            have = tuple(str(name) for name in card["channels"])
            head = np.load(self.folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
            table = pq.ParquetFile(self.folder / "catalogue.parquet")
            total, names = table.metadata.num_rows, set(table.schema_arrow.names)
            table.close()
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise InputError(
                f"{folder} is no readable stamp set ({error}); expected a folder with pixels.npy, catalogue.parquet "
                "and card.json as `realbogus cut` writes it"
            ) from error
        missing = {"id", "noise", "fwhm"} - names
        if missing:
            raise InputError(f"the catalogue of {folder} lacks the columns {sorted(missing)}")
        if head.ndim != 4 or head.shape[0] != total or head.shape[1] != len(have) or head.dtype != np.float32:
            raise InputError(
                f"{folder} has pixels {head.shape} of {head.dtype} for {total} rows and the channels {have}: the set "
                "is damaged, write it again"
            )
        if not head.flags.c_contiguous:
            raise InputError(
                f"the pixels of {folder} lie in Fortran's order: write them anew with np.save(path, "
                "np.ascontiguousarray(pixels))"
            )
        self._shape, self._offset = head.shape, int(head.offset)
        self.channels = have if channels is None else tuple(channels)
        self._planes = channel_indices(have, self.channels)
        first, last = rows if rows is not None else (0, total)
        if not 0 <= first <= last <= total:
            raise InputError(f"rows {first} to {last} of {folder}: it has {total}")
        self._rows = (first, last)

    @property
    def count(self) -> int:
        """Rows that it gives."""
        return self._rows[1] - self._rows[0]

    def parts(self, size: int) -> Iterator[StampPart]:
        """Yield blocks of rows; the catalogue is read here, the pixels where the part is."""
        first, last = self._rows
        done = first
        for rows in self._catalogue(size):
            yield StampPart(self, rows, done)
            done += len(rows)
        if done != last:
            raise InputError(f"{self.folder} ends after {done} of {last} rows: the catalogue is damaged")

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield the rows in blocks."""
        for part in self.parts(size):
            yield from part.batches(size)

    def commit(self, receipt: Any) -> None:
        """Nothing to remember: the set stays as it is."""

    def close(self) -> None:
        """Nothing is held between blocks."""

    def _catalogue(self, size: int) -> Iterator[pa.Table]:
        """Yield tables of `size` rows (the last has what is left), however the file is cut inside."""
        first, last = self._rows
        place = 0
        rest: list[pa.Table] = []
        with pq.ParquetFile(self.folder / "catalogue.parquet", buffer_size=_BUFFER, pre_buffer=False) as table:
            groups = []
            for number in range(table.num_row_groups):
                begin, place = place, place + table.metadata.row_group(number).num_rows
                if begin < last and place > first:
                    groups.append((number, begin))
            if not groups:
                return
            place = groups[0][1]
            for batch in table.iter_batches(batch_size=size, row_groups=[number for number, _ in groups]):
                begin, place = place, place + len(batch)
                part = pa.table(batch)[max(first - begin, 0) : max(min(last - begin, len(batch)), 0)]
                rest.append(part)
                while sum(map(len, rest)) >= size:
                    joined = pa.concat_tables(rest)
                    yield joined[:size]
                    rest = [joined[size:]]
        joined = pa.concat_tables(rest)
        if len(joined):
            yield joined

    def pixels(self, first: int, count: int) -> NDArray[np.float32]:
        """Read the stamps of some rows."""
        stamp = int(np.prod(self._shape[1:])) * 4
        block = np.memmap(
            self.folder / "pixels.npy", dtype=np.float32, mode="r", offset=self._offset + first * stamp,
            shape=(count, *self._shape[1:]),
        )  # fmt: skip
        if self._planes == list(range(self._shape[1])):
            return np.array(block)
        if len(self._planes) == 1:
            return np.array(block[:, self._planes[0] : self._planes[0] + 1])
        return np.asarray(block[:, self._planes])


@dataclass(frozen=True)
class StampPart:
    """Some rows of a set, whose pixels are not read yet. A `Part`."""

    source: StampSource
    rows: pa.Table
    first: int

    @property
    def name(self) -> str:
        """The folder and its rows."""
        return f"{self.source.folder}, rows {self.first} to {self.first + len(self.rows)}"

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield them as one batch."""
        rows, source = as_table(self.rows), self.source
        # a row without an id is a candidate too: it gets one of its own
        rows["id"] = [
            source.prefix + (name or f"{source.folder.name}#{self.first + k}")
            for k, name in enumerate(texts(rows, "id"))
        ]
        pixels = source.pixels(self.first, len(rows))
        yield Batch(rows, pixels, source.channels)

    def __getstate__(self) -> dict[str, Any]:
        # Arrow pickles all that a slice was cut from; a stream holds the slice alone
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, self.rows.schema) as stream:
            stream.write_table(self.rows)
        return {"source": self.source, "first": self.first, "rows": out.getvalue().to_pybytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"rows": pa.ipc.open_stream(state["rows"]).read_all()})


def is_set(path: Path) -> bool:
    """Say whether a folder looks like a stamp set."""
    return (path / "pixels.npy").is_file() and (path / "card.json").is_file()


SOURCES.register("stamps")(
    SourceKind("a folder with pixels.npy, catalogue.parquet and card.json", is_set, StampSource, turn=1)
)
