"""Avro packets in a folder: the alert as it came with its score behind it, or a packet of our own."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ...errors import ConfigError, OutputError
from ..batch import Failed, Scored
from ..packets import ADDED, Extended, Original, extended, extended_schema
from .sink import SINKS
from .values import clean, rows_of

__all__ = ["STAMP_SCHEMA", "AvroFolder", "container", "packet"]

_FACTS = {
    "source": "string", "frame": "string", "field": "string", "night": "string", "band": "string", "mjd": "double",
    "ra": "double", "dec": "double", "x": "double", "y": "double", "snr": "float", "mag": "float", "noise": "float",
    "fwhm": "float",
}  # fmt: skip

#: What a candidate that never was an alert is sent as: facts, stamp (C x S x S float32, little-endian), and the rest
#: of its row as JSON.
STAMP_SCHEMA: Mapping[str, Any] = {
    "type": "record",
    "name": "candidate",
    "namespace": "realbogus.v1",
    "fields": [
        {"name": "id", "type": "string"},
        *({"name": name, "type": ["null", kind], "default": None} for name, kind in _FACTS.items()),
        {"name": "channels", "type": {"type": "array", "items": "string"}},
        {"name": "size", "type": "int"},
        {"name": "pixels", "type": "bytes"},
        {"name": "extra", "type": "string"},
    ],
}


def packet(scored: Scored, number: int, row: Mapping[str, Any]) -> tuple[Extended, bytes]:
    """Return the schema of a scored candidate's packet and the packet itself, without a container.

    Parameters
    ----------
    scored : Scored
        The batch.
    number : int
        Which row.
    row : mapping
        The same row as plain values (`rows_of`).
    """
    packets = scored.batch.packets
    original = None if packets is None else packets[number]
    if original is None:
        original = Original(STAMP_SCHEMA, _stamp_body(scored, number, row))
    added = dict(row)
    flags = added.get("flags")
    added["flags"] = flags if isinstance(flags, int) and -(2**31) <= flags < 2**31 else None
    return extended_schema(original.schema), extended(original, added)


@lru_cache(maxsize=1)
def _parsed() -> Any:
    from fastavro.schema import parse_schema

    return parse_schema(dict(STAMP_SCHEMA))


def _stamp_body(scored: Scored, number: int, row: Mapping[str, Any]) -> bytes:
    from fastavro import schemaless_writer

    pixels = np.ascontiguousarray(scored.batch.pixels[number], dtype="<f4")
    kinds: dict[str, tuple[type, ...]] = {"string": (str,), "double": (int, float), "float": (int, float)}
    facts = {name: row[name] for name, kind in _FACTS.items() if isinstance(row.get(name), kinds[kind])}
    known = {"id", *facts, *(column for _, column in ADDED.values())}
    rest = {name: value for name, value in row.items() if name not in known and value is not None}
    values: dict[str, Any] = {"id": row["id"], "channels": list(scored.batch.channels), "size": pixels.shape[-1]}
    values |= {"pixels": pixels.tobytes(), "extra": json.dumps(rest, ensure_ascii=False)} | facts
    stream = io.BytesIO()
    schemaless_writer(stream, _parsed(), values)
    return stream.getvalue()


class AvroFolder:
    """A folder with one Avro file a candidate, as surveys publish their alerts. A `Sink`.

    A file is called by the candidate's id and comes whole or not at all; the same candidate once more replaces it.
    What gave no candidate gets a small JSON file in `failed/`.

    Parameters
    ----------
    folder : path
        Made where it is missing.

    Raises
    ------
    ConfigError
        fastavro is not installed.
    OutputError
        It cannot be written.
    """

    lasting = True
    #: Whether batches shall bring the records as they came.
    wants_packets = True

    def __init__(self, folder: Path | str) -> None:
        try:
            import fastavro  # noqa: F401
        except ImportError as error:
            raise ConfigError('alert packets are written with fastavro: pip install "realbogus[alerts]"') from error
        self.folder, self.name = Path(folder), str(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error}; choose a folder you may write") from error

    def write(self, scored: Scored) -> None:
        """Write a file for each row.

        Raises
        ------
        OutputError
            There is no room, or the folder went away.
        """
        for number, row in enumerate(rows_of(scored.rows)):
            schema, body = packet(scored, number, row)
            self._put(self.folder / f"{_file_name(str(row['id']))}.avro", container(schema, body))
        os.sync()  # once for the batch: to wait for the disk with every file takes ten times as long

    def refuse(self, failed: Sequence[Failed]) -> None:
        """Write a file with the reason of each."""
        for entry in failed:
            key = hashlib.sha256(f"{clean(entry.where)}\n{clean(entry.id)}".encode()).hexdigest()[:32]
            values = {"id": clean(entry.id), "where": clean(entry.where), "reason": clean(entry.reason)}
            self._put(self.folder / "failed" / f"{key}.json", (json.dumps(values) + "\n").encode())
        os.sync()

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held."""

    def _put(self, path: Path, data: bytes) -> None:
        part = path.with_name(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(data)
            os.replace(part, path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error}; is there room left?") from error


def container(schema: Extended, body: bytes) -> bytes:
    """Return a container file of one record that is encoded already."""
    sync = hashlib.md5(schema.text, usedforsecurity=False).digest()
    head = b"Obj\x01" + _long(2) + _bytes(b"avro.codec") + _bytes(b"null") + _bytes(b"avro.schema")
    return head + _bytes(schema.text) + _long(0) + sync + _long(1) + _bytes(body) + sync


def _bytes(data: bytes) -> bytes:
    return _long(len(data)) + data


def _long(value: int) -> bytes:
    r"""Encode a number that is not negative as Avro does: zigzag, seven bits a byte.

    Examples
    --------
    >>> _long(1), _long(64)
    (b'\x02', b'\x80\x01')
    """
    rest, out = value << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _file_name(name: str) -> str:
    """Return a name that every file system takes, another one for every id.

    Examples
    --------
    >>> _file_name("a/b.fits#3"), _file_name("..")
    ('a%2Fb.fits%233', '%2E.')
    """
    safe = quote(clean(name), safe=" ")
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe) > 200:
        safe = f"{safe[:120]}-{hashlib.sha256(clean(name).encode()).hexdigest()[:32]}"
    return safe or "%"


SINKS.register("avro")(AvroFolder)
