"""Avro container files, block by block: what is cut short costs the rest of a block and nothing more.

fastavro reads such files too, but parses the schema of every file anew, which takes as long as the alert in it,
and trusts the lengths that the file promises.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from .packets import UnusableError

__all__ = ["MAGIC", "Block", "Container", "open_container"]

#: How an Avro container begins.
MAGIC = b"Obj\x01"
#: Bytes of a block, packed or unpacked, at most.
LARGEST_BLOCK = 128 * 2**20

_LARGEST_HEADER = 8 * 2**20


@dataclass(frozen=True)
class Block:
    """Where one block of a container lies.

    Parameters
    ----------
    start, size : int
        Its data, bytes.
    count : int
        Records that it promises.
    first : int
        Number of its first record in the file.
    """

    start: int
    size: int
    count: int
    first: int


@dataclass(frozen=True)
class Container:
    """An open container file behind its header.

    Parameters
    ----------
    stream : file
    size : int
        Of the file, bytes.
    schema : bytes
        JSON text.
    codec : str
    sync : bytes
        What every block ends with.
    start : int
        Where the first block begins.
    """

    stream: BinaryIO
    size: int
    schema: bytes
    codec: str
    sync: bytes
    start: int

    def blocks(self, start: int | None = None, first: int = 0) -> Iterator[Block]:
        """Walk over the blocks from `start` on, reading nothing but their lengths.

        Raises
        ------
        UnusableError
            Lengths that the file cannot hold; the walk ends there.
        """
        place = self.start if start is None else start
        while place < self.size:
            self.stream.seek(place)
            head = io.BytesIO(self.stream.read(20))
            count, size = _long(head), _long(head)
            begin = place + head.tell()
            if count < 0 or size < 0:
                raise UnusableError("damaged", f"a block of {count} records in {size} bytes at byte {place}")
            if begin + size + 16 > self.size:
                raise UnusableError(
                    "damaged",
                    f"cut short: a block of {count} record{'s' * (count != 1)} at byte {place} promises "
                    f"{size + 16} bytes, {max(self.size - begin, 0)} are there",
                )
            yield Block(begin, size, count, first)
            first += count
            place = begin + size + 16

    def data(self, block: Block) -> bytes:
        """Return the records of a block, unpacked.

        Raises
        ------
        UnusableError
            Too large, damaged, or packed in a way that is not read here.
        """
        if block.size > LARGEST_BLOCK:
            raise UnusableError("refused", f"a block of {block.size} bytes, at most {LARGEST_BLOCK} are taken")
        self.stream.seek(block.start)
        data = self.stream.read(block.size + 16)
        if data[-16:] != self.sync:
            raise UnusableError("damaged", f"the block at byte {block.start} does not end as this file's blocks do")
        unpack = _CODECS.get(self.codec)
        if unpack is None:
            raise UnusableError("refused", f"packed with {self.codec!r}: known are {', '.join(sorted(_CODECS))}")
        return unpack(data[:-16])


def open_container(stream: BinaryIO, size: int) -> Container:
    r"""Read the header of a container.

    Parameters
    ----------
    stream : file
        Can be sought in.
    size : int
        Bytes in it.

    Raises
    ------
    UnusableError
        Empty, no Avro container, or cut short within the header.

    Examples
    --------
    >>> import fastavro
    >>> schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]}
    >>> stream = io.BytesIO()
    >>> fastavro.writer(stream, schema, [{"a": 1}, {"a": 2}])
    >>> container = open_container(stream, len(stream.getvalue()))
    >>> container.codec, [(block.count, container.data(block)) for block in container.blocks()]
    ('null', [(2, b'\x02\x04')])
    """
    if size == 0:
        raise UnusableError("empty", "no bytes at all, expected an Avro file")
    stream.seek(0)
    start = stream.read(4)
    if start != MAGIC:
        raise UnusableError("foreign", f"no Avro file: it begins with {start!r}, expected {MAGIC!r}")
    head = io.BytesIO(stream.read(min(size - 4, _LARGEST_HEADER)))
    metadata: dict[str, bytes] = {}
    try:
        while count := _long(head):
            if count < 0:
                count = -count
                _long(head)
            for _ in range(count):
                name = _bytes(head)
                metadata[name.decode("utf-8", "replace")] = _bytes(head)
        sync = head.read(16)
    except UnusableError:
        raise UnusableError("damaged", "cut short within the header of the Avro file") from None
    schema = metadata.get("avro.schema")
    if schema is None or len(sync) < 16:
        raise UnusableError("damaged", "cut short within the header of the Avro file")
    codec = metadata.get("avro.codec", b"null").decode("ascii", "replace")
    return Container(stream, size, schema, codec, sync, 4 + head.tell())


def _long(stream: BinaryIO) -> int:
    """Read a zigzag number of variable length."""
    value, shift = 0, 0
    while True:
        byte = stream.read(1)
        if not byte or shift > 63:
            raise UnusableError("damaged", "cut short")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7


def _bytes(stream: BinaryIO) -> bytes:
    size = _long(stream)
    data = stream.read(size) if 0 <= size <= _LARGEST_HEADER else b""
    if len(data) != size:
        raise UnusableError("damaged", "cut short")
    return data


def _bounded(make: Callable[[], Any]) -> Callable[[bytes], bytes]:
    def unpack(data: bytes) -> bytes:
        machine = make()
        try:
            out = bytes(machine.decompress(data, LARGEST_BLOCK + 1))
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            raise UnusableError("damaged", f"damaged block ({type(error).__name__}: {error})") from None
        if len(out) > LARGEST_BLOCK:
            raise UnusableError("refused", f"a block that unpacks to more than {LARGEST_BLOCK} bytes")
        if not machine.eof:
            raise UnusableError("damaged", "packed block that is cut short")
        return out

    return unpack


_CODECS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": _bounded(lambda: zlib.decompressobj(-15)),
    "bzip2": _bounded(bz2.BZ2Decompressor),
    "xz": _bounded(lzma.LZMADecompressor),
}
