"""What one process does with a chunk: read, centre, fill, measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import RealbogusError
from .packets import CHANNELS, Packet, Unusable, checked
from .rows import rows_of
from .units import Unit

__all__ = ["Settings", "Work", "work"]

_MOST = 256  # packets held at a time


@dataclass(frozen=True)
class Settings:
    """What `adapt` was told of every stamp; and whether the survey's own fields are wanted beside our columns."""

    min_valid: float
    fwhm: float | None
    survey: bool = True


@dataclass(frozen=True)
class Work:
    """Stamps and reasons of some units.

    Parameters
    ----------
    units : int
        How many were read.
    pixels : ndarray of float32, shape (N, 3, 64, 64)
    rows : pyarrow.Table
        N rows.
    records : list of int
        Each one's place in its file.
    unusable : list of Unusable
    """

    units: int
    pixels: NDArray[np.float32]
    rows: pa.Table
    records: list[int]
    unusable: list[Unusable]

    @classmethod
    def nothing(cls, unusable: list[Unusable], units: int = 1) -> Work:
        """Return reasons alone."""
        return cls(units, np.empty((0, len(CHANNELS), 64, 64), np.float32), pa.table({}), [], unusable)


def work(units: Sequence[Unit], settings: Settings) -> Work:
    """Read units and make stamps of them.

    Parameters
    ----------
    units : sequence of Unit
    settings : Settings

    Returns
    -------
    Work

    Examples
    --------
    >>> from realbogus.adapters.units import Refused
    >>> work([Refused("a", "empty", "no bytes")], Settings(0.5, None)).unusable[0].reason
    'no bytes'
    """
    unusable: list[Unusable] = []
    packets: list[Packet] = []
    pixels: list[NDArray[np.float32]] = []
    tables: list[pa.Table] = []
    records: list[int] = []

    def flush() -> None:
        good, bad = _stamps(packets, settings)
        unusable.extend(bad)
        for made, rows, places in good:
            pixels.append(made)
            tables.append(rows)
            records.extend(places)
        packets.clear()

    for unit in units:
        for found in map(checked, unit.packets()):
            if isinstance(found, Unusable):
                unusable.append(found)
                continue
            packets.append(found)
            if len(packets) >= _MOST:
                flush()
    flush()
    if not pixels:
        return Work.nothing(unusable, len(units))
    joined = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
    rows = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
    return Work(len(units), joined, rows, records, unusable)


_Made = tuple[NDArray[np.float32], pa.Table, list[int]]


def _stamps(packets: list[Packet], settings: Settings) -> tuple[list[_Made], list[Unusable]]:
    """Make stamps of packets; where one makes it fail, all but that one."""
    if not packets:
        return [], []
    try:
        pixels, rows = rows_of(packets, settings.min_valid, settings.fwhm, settings.survey)
        return [(pixels, rows, [packet.record for packet in packets])], []
    except RealbogusError:
        raise
    except Exception as error:  # one odd packet must not end the others; the reason names it, so that it can be mended
        if len(packets) == 1:
            reason = f"unforeseen {type(error).__name__}: {error}; please report this packet"
            return [], [Unusable(packets[0].file, packets[0].record, "refused", reason, packets[0].id)]
    good: list[_Made] = []
    bad: list[Unusable] = []
    middle = len(packets) // 2
    for half in (packets[:middle], packets[middle:]):
        made, listed = _stamps(half, settings)
        good += made
        bad += listed
    return good, bad
