"""What comes out of a packet, a file or a row: a `Packet`, or an `Unusable` with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .schemas import PacketSchema

__all__ = ["CHANNELS", "LONGEST_ID", "Cutout", "Packet", "Unusable", "UnusableError", "checked"]

#: Letters of an id at most. Tables hold text in columns as wide as its longest value, and databases index ids.
LONGEST_ID = 200
_LONGEST_REASON = 1000

#: Channels of an adapted set, in order.
CHANNELS = ("difference", "science", "reference")


@dataclass(frozen=True)
class Cutout:
    """One small image as its survey cut it.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        As stored: NaN, sentinels and padding are still there.
    header : mapping
        Cards of its FITS header, names in capitals; empty where there was none.
    psf : ndarray of float32, shape (P, Q), optional
        The point-spread function that came with it.
    """

    pixels: NDArray[np.float32]
    header: Mapping[str, Any] = field(default_factory=dict)
    psf: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Packet:
    """One alert, or one stamp of a folder or an array.

    Parameters
    ----------
    kind : str
        Its name in `KINDS`.
    id : str
        The survey's own number of the detection.
    cutouts : mapping of str to Cutout
        By channel: `difference`, `science`, `reference`.
    metadata : mapping
        Every scalar field of the candidate (and of the packet itself), under the survey's names.
    schema : PacketSchema or None
        What an alert was read by.
    file : str
        Where it came from.
    record : int
        Its place in the file, from 0.
    """

    kind: str
    id: str
    cutouts: Mapping[str, Cutout]
    metadata: Mapping[str, Any]
    schema: PacketSchema | None = None
    file: str = ""
    record: int = 0


@dataclass(frozen=True)
class Unusable:
    """Something that was handed in and gives no row.

    Parameters
    ----------
    file : str
        Where it came from.
    record : int
        Its place in the file, from 0; -1 for the file as a whole.
    cause : str
        One of a few words to count by: `empty`, `foreign`, `damaged`, `no cutout`, `bad cutout`, `duplicate`,
        `refused`.
    reason : str
        What was found, what was expected; 1,000 letters of it.
    id : str
        The survey's number, where it could still be read; 200 letters of it.
    """

    file: str
    record: int
    cause: str
    reason: str
    id: str = ""

    def __post_init__(self) -> None:
        for name, most in (("id", LONGEST_ID), ("reason", _LONGEST_REASON)):
            if len(text := getattr(self, name)) > most:
                object.__setattr__(self, name, text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}")


class UnusableError(Exception):
    """Carries cause and reason from where they are known to where the `Unusable` is made; never leaves this room."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.cause, self.reason = cause, reason

    def at(self, file: str, record: int, identity: str = "") -> Unusable:
        """Return the entry of the list."""
        return Unusable(file, record, self.cause, self.reason, identity)


def checked(found: Packet | Unusable) -> Packet | Unusable:
    """Return what was read, or the reason why its id cannot be one.

    Examples
    --------
    >>> checked(Packet("ztf", "a" * 900, {}, {}, file="a.avro")).reason
    'an id of 900 letters, at most 200 are taken'
    """
    if isinstance(found, Unusable) or len(found.id) <= LONGEST_ID:
        return found
    reason = f"an id of {len(found.id)} letters, at most {LONGEST_ID} are taken"
    return Unusable(found.file, found.record, "refused", reason, found.id)
