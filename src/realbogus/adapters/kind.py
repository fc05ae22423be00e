"""What a packet kind says of its packets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .packets import Cutout

__all__ = ["Facts", "PacketKind", "number", "sky_cell"]

#: Facts of a detection under our names; see `realbogus.adapters.rows.COLUMNS`.
Facts = dict[str, Any]


def number(value: Any) -> float:
    """Return a value as a float; what is none, or not finite, is NaN.

    Examples
    --------
    >>> number("2.5"), number(None), number(float("inf"))
    (2.5, nan, nan)
    """
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def sky_cell(ra: float, dec: float, side_deg: float = 2.0) -> str | None:
    """Name the cell of the sky that a position lies in, for surveys whose packets name no field.

    Cells are bands of `side_deg` in declination, cut in right ascension into pieces of at least that width.

    Parameters
    ----------
    ra, dec : float
        Degrees.
    side_deg : float

    Examples
    --------
    >>> sky_cell(10.1, -0.5), sky_cell(10.1, -1.9), sky_cell(float("nan"), 0.0)
    ('sky-044-005', 'sky-044-005', None)
    """
    if not (math.isfinite(ra) and -90 <= dec <= 90):
        return None
    bands = round(180 / side_deg)
    band = min(int((dec + 90) // side_deg), bands - 1)
    widest = max(math.cos(math.radians(edge)) for edge in (band * side_deg - 90, (band + 1) * side_deg - 90))
    pieces = max(int(360 * widest / side_deg), 1)
    return f"sky-{band:03d}-{int(ra % 360 / 360 * pieces):03d}"


def _as_bytes(value: Any) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _no_id(record: Mapping[str, Any]) -> Any:
    return None


def _no_facts(metadata: Mapping[str, Any], difference: Cutout) -> Facts:
    return {}


def _never(metadata: Mapping[str, Any]) -> bool:
    return False


def _no_pixel(metadata: Mapping[str, Any], cutout: Cutout) -> tuple[float, float] | None:
    return None


@dataclass(frozen=True)
class PacketKind:
    """One kind of packet.

    Parameters
    ----------
    name : str
        As in the table; also the prefix of a field whose name is one of ours.
    about : str
        One line.
    marks : frozenset of str
        Top-level fields that a schema of this kind has, all of them; empty for what is no alert.
    candidate : str
        Top-level field with the record of the detection.
    images : mapping of str to str
        Top-level field of each channel.
    identify : callable
        The record to its number, or None.
    image_bytes : callable
        The value of an image's field to FITS bytes, or None where it holds none.
    facts : callable
        Metadata and the difference's cutout to facts under our names; what is unknown is left out or None.
    same : frozenset of str
        Fields that mean what our column of that name means; they are not kept twice.
    side : int, optional
        Pixels of a whole cutout's side, where it is always the same; the source lies on ``side // 2``.
    detector : tuple of two ints, optional
        Width and height of the image that the cutouts are from, where they are always the same. With the facts
        `x` and `y` they say what is missing at an edge.
    source_pixel : callable
        Metadata and a cutout to the source's 0-based (x, y) in it, or None where the packet does not say.
    is_reversed : callable
        Metadata to whether the difference came as reference minus science; it is turned round.

    Examples
    --------
    >>> from realbogus.adapters import KINDS
    >>> KINDS.resolve("ztf").side
    63
    """

    name: str
    about: str
    marks: frozenset[str] = frozenset()
    candidate: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    identify: Callable[[Mapping[str, Any]], Any] = _no_id
    image_bytes: Callable[[Any], bytes | None] = _as_bytes
    facts: Callable[[Mapping[str, Any], Cutout], Facts] = _no_facts
    same: frozenset[str] = frozenset()
    side: int | None = None
    detector: tuple[int, int] | None = None
    source_pixel: Callable[[Mapping[str, Any], Cutout], tuple[float, float] | None] = _no_pixel
    is_reversed: Callable[[Mapping[str, Any]], bool] = _never
