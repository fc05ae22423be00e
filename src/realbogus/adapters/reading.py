"""Alert packets out of Avro: container files, and messages of a stream."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .containers import MAGIC, Block, Container, open_container
from .fits_bytes import cutout_from_bytes
from .kind import PacketKind
from .kinds import KINDS
from .packets import Packet, Unusable, UnusableError
from .schemas import PacketSchema, needs_fastavro, packet_schema, parsed

__all__ = ["read_packets"]


def read_packets(
    source: Path | str | bytes,
    *,
    schema: Mapping[str, Any] | str | PacketSchema | None = None,
    name: str | None = None,
    start: int | None = None,
    first: int = 0,
    blocks: int | None = None,
) -> Iterator[Packet | Unusable]:
    """Read alerts one at a time: a file that cannot be used gives one `Unusable`, and never an error.

    Parameters
    ----------
    source : path or bytes
        An Avro container, or, with a schema, the bytes of one message; the five bytes that Confluent's wire format
        puts before a message are skipped.
    schema : mapping, str or PacketSchema, optional
        What a message without its own schema was written with (`packet_schema`); it does not matter for containers.
    name : str, optional
        What to call the source; the file's own name where absent.
    start : int, optional
        Byte of the first block to read, and
    first : int
        the number of its first record;
    blocks : int, optional
        how many to read: a part of a large file.

    Yields
    ------
    Packet or Unusable

    Raises
    ------
    ConfigError
        fastavro is not installed.
    InputError
        `schema` is no schema of a known packet.

    Examples
    --------
    >>> [(found.cause, found.reason) for found in read_packets(b"")]
    [('empty', 'no bytes at all, expected an Avro file')]
    >>> [found.cause for found in read_packets(b"GIF89a")]
    ['foreign']
    """
    try:
        import fastavro  # noqa: F401  an absent reader is no fault of the packets
    except ImportError as error:
        raise needs_fastavro() from error
    if isinstance(source, bytes):
        called = name or "bytes"
        if schema is not None and source[:4] != MAGIC:
            yield _message(source, packet_schema(schema), called)
        else:
            yield from _guarded(io.BytesIO(source), len(source), called, start, first, blocks)
        return
    path = Path(source)
    called = name or path.name
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, io.SEEK_END)
            if schema is not None and size < 2**24:
                stream.seek(0)
                data = stream.read()
                if data and data[:4] != MAGIC:
                    yield _message(data, packet_schema(schema), called)
                    return
            yield from _guarded(stream, size, called, start, first, blocks)
    except OSError as error:
        yield Unusable(called, -1, "damaged", f"cannot be read: {error.strerror or error}")


def _message(data: bytes, schema: PacketSchema, name: str) -> Packet | Unusable:
    body = io.BytesIO(data)
    if data[:1] == b"\0":  # no survey's first field begins so: it is Confluent's mark, and a number of four bytes
        body.seek(5)
    try:
        record = _record(body, schema)
        if body.tell() != len(data):
            left = len(data) - body.tell()
            raise UnusableError("damaged", f"{left} bytes behind the record: another schema, or a damaged message")
        return _packet(record, schema, name, 0)
    except UnusableError as error:
        return error.at(name, 0)


def _guarded(
    stream: BinaryIO, size: int, name: str, start: int | None, first: int, most: int | None
) -> Iterator[Packet | Unusable]:
    """Yield the records of a container; what ends the file is its last entry."""
    try:
        container = open_container(stream, size)
        schema = parsed(container.schema)
        if start is None and container.start == size:
            raise UnusableError("empty", "an Avro file without a record")
        for number, block in enumerate(container.blocks(start, first)):
            if most is not None and number >= most:
                break
            yield from _records(container, block, schema, name)
    except UnusableError as error:
        yield error.at(name, -1)


def _records(container: Container, block: Block, schema: PacketSchema, name: str) -> Iterator[Packet | Unusable]:
    try:
        data = container.data(block)
    except UnusableError as error:
        lost = f" ({block.count} records lost)" if block.count > 1 else ""
        yield Unusable(name, block.first, error.cause, f"{error.reason}{lost}")
        return
    stream = io.BytesIO(data)
    for number in range(block.first, block.first + block.count):
        try:
            record = _record(stream, schema)
        except UnusableError as error:  # records have no lengths: where one is damaged the next cannot be found
            left = block.first + block.count - number - 1
            lost = f" ({left} more of its block lost)" if left else ""
            yield Unusable(name, number, error.cause, f"{error.reason}{lost}")
            return
        try:
            yield _packet(record, schema, name, number)
        except UnusableError as error:
            yield error.at(name, number, _identity(record, KINDS.resolve(schema.kind)))


def _record(stream: BinaryIO, schema: PacketSchema) -> Mapping[str, Any]:
    from fastavro import schemaless_reader

    try:
        record: Any = schemaless_reader(stream, schema.avro, schema.reader)  # type: ignore[arg-type]
    except Exception as error:  # EOFError, IndexError, UnicodeDecodeError, MemoryError: what damage happens to hit
        raise UnusableError("damaged", f"damaged or cut short record ({type(error).__name__}: {error})") from None
    return record  # type: ignore[no-any-return]


def _identity(record: Mapping[str, Any], kind: PacketKind) -> str:
    identity = kind.identify(record)
    return "" if identity is None else str(identity)


def _packet(record: Mapping[str, Any], schema: PacketSchema, name: str, number: int) -> Packet:
    kind = KINDS.resolve(schema.kind)
    identity = _identity(record, kind)
    if not identity:
        raise UnusableError("damaged", "an alert without its number")
    candidate = record.get(kind.candidate)
    if not isinstance(candidate, Mapping):
        raise UnusableError("damaged", f"an alert without its {kind.candidate}")
    cutouts = {}
    for channel, field in kind.images.items():
        data = kind.image_bytes(record.get(field))
        if not data:
            raise UnusableError("no cutout", f"{field} is empty")
        try:
            cutouts[channel] = cutout_from_bytes(data)
        except UnusableError as error:
            raise UnusableError(error.cause, f"{field}: {error.reason}") from None
    metadata = {key: record[key] for key in schema.types if key in record}
    metadata |= {key: candidate[key] for key in schema.types if key in candidate}
    return Packet(schema.kind, identity, cutouts, metadata, schema, name, number)
