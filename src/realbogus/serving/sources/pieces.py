"""What alert packets lie in: a file, a stretch of a large one, a member of an archive. Each can be read anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...adapters.containers import open_container
from ...adapters.packets import Packet, Unusable, UnusableError
from ...adapters.reading import read_packets
from ..packets import Original, originals, originals_of
from .listing import ARCHIVES, DAMAGES, files_of, members_of

__all__ = ["Found", "Member", "PacketPiece", "Piece", "RefusedPiece", "groups_of", "pieces_of", "with_originals"]

#: Bytes of a container that is cut between its blocks.
LARGE = 8 * 2**20
#: Bytes of the pieces that are read together.
MOST = 64 * 2**20


@dataclass(frozen=True)
class Found:
    """One thing that was read: a packet or the reason why there is none.

    Parameters
    ----------
    what : Packet or Unusable
    original : Original, optional
        The record as it came, where a sink wants it.
    payload : bytes, optional
        The message, for a dead-letter topic.
    """

    what: Packet | Unusable
    original: Original | None = None
    payload: bytes | None = None


@dataclass(frozen=True)
class PacketPiece:
    """A file of packets, or a stretch of its blocks."""

    path: Path
    name: str
    size: int
    start: int | None = None
    first: int = 0
    blocks: int | None = None

    def found(self, wants: bool) -> Iterator[Found]:
        """Yield its packets, with the records as they came where `wants`."""
        stretch = {"start": self.start, "first": self.first, "blocks": self.blocks}
        packets = read_packets(self.path, name=self.name, **stretch)  # type: ignore[arg-type]
        records = originals(self.path, **stretch) if wants else None  # type: ignore[arg-type]
        return with_originals(packets, records)


@dataclass(frozen=True)
class Member:
    """A file of an archive, which is read once from its begin to its end and never unpacked to disk."""

    name: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def found(self, wants: bool) -> Iterator[Found]:
        """Yield its packets."""
        records = originals_of(io.BytesIO(self.data), len(self.data)) if wants else None
        return with_originals(read_packets(self.data, name=self.name), records)


@dataclass(frozen=True)
class RefusedPiece:
    """Something that is not read, and why."""

    name: str
    cause: str
    reason: str
    size: int = 0

    def found(self, wants: bool) -> Iterator[Found]:
        """Yield the reason."""
        yield Found(Unusable(self.name, -1, self.cause, self.reason))


Piece = PacketPiece | Member | RefusedPiece


def pieces_of(path: Path, size: int) -> Iterator[Piece]:
    """Yield what there is to read under a path, by name.

    Parameters
    ----------
    path : Path
        A file, a folder, an archive.
    size : int
        Records that a stretch of a large file has at least.
    """
    for file, name, refused in files_of(path):
        if refused:
            yield RefusedPiece(name, "refused", refused)
        elif file.name.lower().endswith(ARCHIVES):
            yield from _members(file, name)
        else:
            yield from _stretches(file, name, size)


def groups_of(pieces: Iterator[Piece], size: int) -> Iterator[tuple[Piece, ...]]:
    """Put pieces together: `size` at most, or so many as hold `MOST` bytes; a stretch of a large file is alone.

    Examples
    --------
    >>> [len(group) for group in groups_of((RefusedPiece(str(k), "empty", "") for k in range(7)), 3)]
    [3, 3, 1]
    """
    group: list[Piece] = []
    weight = 0
    for piece in pieces:
        alone = isinstance(piece, PacketPiece) and (piece.start is not None or piece.blocks is not None)
        if group and (alone or len(group) >= size or weight + piece.size > MOST):
            yield tuple(group)
            group, weight = [], 0
        if alone:
            yield (piece,)
            continue
        group.append(piece)
        weight += piece.size
    if group:
        yield tuple(group)


def _stretches(path: Path, name: str, size: int) -> Iterator[PacketPiece]:
    """Yield a file; a large container is cut between its blocks."""
    try:
        total = path.stat().st_size
    except OSError:
        total = 0  # reading it says what is wrong
    if total <= LARGE:
        yield PacketPiece(path, name, total)
        return
    start: int | None = None
    first, count, records, weight = 0, 0, 0, 0
    try:
        with path.open("rb") as stream:
            for block in open_container(stream, total).blocks():
                count, records, weight = count + 1, records + block.count, weight + block.size
                if records >= size or weight >= MOST:
                    yield PacketPiece(path, name, weight, start, first, count)
                    start, first = block.start + block.size + 16, block.first + block.count
                    count, records, weight = 0, 0, 0
    except (UnusableError, OSError):
        pass  # the last stretch finds it again, and says so
    if start is None or start < total:
        yield PacketPiece(path, name, weight, start, first)


def _members(path: Path, name: str) -> Iterator[Piece]:
    try:
        for member in members_of(path):
            inside = f"{name}/{member.name}"
            if member.cause:
                yield RefusedPiece(inside, member.cause, member.reason)
            else:
                yield Member(inside, member.data)
    except DAMAGES as error:
        yield RefusedPiece(name, "damaged", f"the archive cannot be read on: {error}")


def with_originals(
    packets: Iterator[Packet | Unusable], records: Iterator[tuple[int, Original]] | None
) -> Iterator[Found]:
    """Put packets and the records that they are of together; both come in the order of the container."""
    place, original = -1, None
    for what in packets:
        while records is not None and isinstance(what, Packet) and place < what.record:
            place, original = next(records, (2**63, None))
        there = isinstance(what, Packet) and place == what.record
        yield Found(what, original if there else None)
