"""Pieces of work: a packet file or a part of one, a stamp in FITS, a stretch of an array.

Each yields packets, and can be handed to another process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .fits_bytes import LARGEST_BYTES, LARGEST_SIDE, Hdu, hdus, inflate
from .packets import CHANNELS, Cutout, Packet, Unusable, UnusableError
from .plain import OWN_NAMES
from .reading import read_packets

__all__ = ["ArrayPart", "FitsStamp", "PacketFile", "Refused", "Unit"]

# Cards that say how a file is laid out, and nothing of the source.
_STRUCTURE = frozenset({
    "SIMPLE", "XTENSION", "BITPIX", "EXTEND", "PCOUNT", "GCOUNT", "BSCALE", "BZERO", "BLANK", "EXTNAME", "EXTVER",
    "CHECKSUM", "DATASUM", "TFIELDS",
})  # fmt: skip
_STRUCTURES = ("NAXIS", "ZNAXIS", "TTYPE", "TFORM", "ZTILE", "ZIMAGE", "ZCMPTYPE", "ZBITPIX")


class Unit(Protocol):
    """What can be read by itself; `name` is what to call it, `weight` about how many bytes it has."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def weight(self) -> int: ...  # noqa: D102
    def packets(self) -> Iterator[Packet | Unusable]:
        """Yield what is in it."""
        ...


@dataclass(frozen=True)
class PacketFile:
    """An Avro file, or some blocks of it."""

    path: Path
    name: str
    weight: int
    start: int | None = None
    first: int = 0
    blocks: int | None = None

    def packets(self) -> Iterator[Packet | Unusable]:
        """Yield its alerts."""
        return read_packets(self.path, name=self.name, start=self.start, first=self.first, blocks=self.blocks)


@dataclass(frozen=True)
class Refused:
    """Something that is not even opened."""

    name: str
    cause: str
    reason: str
    weight: int = 0
    record: int = -1

    def packets(self) -> Iterator[Packet | Unusable]:
        """Yield the reason."""
        yield Unusable(self.name, self.record, self.cause, self.reason)


@dataclass(frozen=True)
class FitsStamp:
    """One stamp: a file a channel, or extensions of one file.

    Parameters
    ----------
    name : str
        Also its `id`, where the metadata have none.
    paths : mapping of str to Path
        By channel.
    extensions : mapping of str to tuple
        By channel: names, or a number; empty: the first image.
    metadata : mapping
        Its row of the table, under our names.
    columns : tuple of pairs
        Our names and the header's.
    """

    name: str
    paths: Mapping[str, Path]
    extensions: Mapping[str, tuple[str | int, ...]]
    metadata: Mapping[str, Any]
    columns: tuple[tuple[str, str], ...]
    weight: int

    def packets(self) -> Iterator[Packet | Unusable]:
        """Yield the stamp."""
        try:
            yield self._packet()
        except UnusableError as error:
            yield error.at(self.name, -1)
        except OSError as error:
            yield Unusable(self.name, -1, "damaged", f"cannot be read: {error.strerror or error}")

    def _packet(self) -> Packet:
        cutouts: dict[str, Cutout] = {}
        cards: dict[str, Any] = {}
        opened: dict[Path, list[Hdu]] = {}
        for channel in CHANNELS:
            path = self.paths[channel]
            if path not in opened:
                opened[path] = _open(path)
            found = _choose(opened[path], self.extensions.get(channel, ()), channel)
            header = dict(opened[path][0].header) | dict(found.header)
            cutouts[channel] = Cutout(found.pixels(), header)
            cards = {**header, **cards}
        theirs = {name.upper(): ours for ours, name in self.columns if name}
        metadata = {}
        for card, value in cards.items():
            if card not in _STRUCTURE and not card.startswith(_STRUCTURES):
                # a card RA is most often the telescope's: ours are only those that the columns lead to
                plain = card.lower()
                metadata[theirs.get(card, f"card_{plain}" if plain in OWN_NAMES else plain)] = value
        metadata |= {name: value for name, value in self.metadata.items() if value is not None}
        return Packet("fits", str(metadata.get("id", self.name)), cutouts, metadata, None, self.name)


def _open(path: Path) -> list[Hdu]:
    if path.stat().st_size > LARGEST_BYTES:
        raise UnusableError("refused", f"{path.name} has more than {LARGEST_BYTES} bytes: no cutout is so large")
    data = path.read_bytes()
    if not data:
        raise UnusableError("empty", f"{path.name} is empty, expected a FITS image")
    return list(hdus(inflate(data)))


def _choose(parts: list[Hdu], names: tuple[str | int, ...], channel: str) -> Hdu:
    for number, part in enumerate(parts):
        if part.name in names or number in names or (not names and part.is_image):
            return part
    there = ", ".join(f"{number}: {part.name or '(no name)'} {part.shape}" for number, part in enumerate(parts))
    wanted = " or ".join(str(name) for name in names) or "an image"
    raise UnusableError("no cutout", f"no {channel}: expected {wanted}, found {there}; say which with --extensions")


@dataclass(frozen=True)
class ArrayPart:
    """Rows of a stored array.

    Parameters
    ----------
    path : Path
        A .npy file.
    name : str
    first : int
        Its first row.
    rows : tuple of mapping
        Metadata of each, under our names.
    channels : tuple of str
        Order of the array's channels.
    last_axis : bool
        Whether the channels are the array's last axis.
    """

    path: Path
    name: str
    first: int
    rows: tuple[Mapping[str, Any], ...]
    channels: tuple[str, ...]
    last_axis: bool
    weight: int

    def packets(self) -> Iterator[Packet | Unusable]:
        """Yield its stamps."""
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            yield Unusable(self.name, -1, "damaged", f"no NumPy array: {error}")
            return
        for offset, metadata in enumerate(self.rows):
            number = self.first + offset
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is a sentinel
                planes = np.asarray(array[number]).astype(np.float32)
            if self.last_axis:
                planes = np.moveaxis(planes, -1, 0)
            known = {name: value for name, value in metadata.items() if value is not None}
            identity = str(known.get("id", f"{self.name}#{number}"))
            if max(planes.shape) > LARGEST_SIDE:
                reason = f"a stamp of {planes.shape}: no cutout is so large"
                yield Unusable(self.name, number, "refused", reason, identity)
                continue
            cutouts = {channel: Cutout(plane) for channel, plane in zip(self.channels, planes, strict=True)}
            yield Packet("array", identity, cutouts, known, None, self.name, number)
