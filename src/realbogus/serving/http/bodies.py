"""Kinds of bodies: told by what a request says of its body, or by how the body begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...adapters.containers import MAGIC as AVRO_MAGIC
from ...adapters.fits_bytes import inflate
from ...adapters.packets import UnusableError
from ...errors import ConfigError
from ...registry import Registry
from .avro import posted_of_avro
from .fits import planes_of_fits
from .limits import Limits, Refusal
from .npy import MAGIC as NPY_MAGIC
from .npy import planes_of_npy
from .posted import Given, Posted, posted_of

__all__ = ["BODIES", "GZIP", "MEDIA_TYPES", "BodyKind", "posted_from"]

_Read = Callable[[bytes, Given, Sequence[str], Limits], Posted]
#: How a gzipped file begins.
GZIP = b"\x1f\x8b"
#: Types that say nothing of the body: it is looked at. The last is what curl says where it is told nothing.
_UNTOLD = (
    "",
    "application/octet-stream",
    "application/gzip",
    "application/x-gzip",
    "application/x-www-form-urlencoded",
)


@dataclass(frozen=True)
class BodyKind:
    """One kind of body.

    Parameters
    ----------
    about : str
        What it is, for messages.
    media : tuple of str
        Media types that mean it.
    begin : bytes
        How it begins.
    read : callable
        From the bytes, what the address says, the model's channels and the limits to stamps.
    """

    about: str
    media: tuple[str, ...]
    begin: bytes
    read: _Read


#: The kinds, by name.
BODIES: Registry[BodyKind] = Registry("kind of body")


def _npy(data: bytes, given: Given, wanted: Sequence[str], limits: Limits) -> Posted:
    return posted_of(planes_of_npy(data, limits), given, wanted)


def _fits(data: bytes, given: Given, wanted: Sequence[str], limits: Limits) -> Posted:
    planes, channels = planes_of_fits(data, limits, given.channels)
    return posted_of(planes, replace(given, channels=given.channels or channels), wanted)


BODIES.register("fits")(BodyKind("a FITS file", ("application/fits", "image/fits"), b"SIMPLE", _fits))
BODIES.register("npy")(
    BodyKind("a NumPy .npy", ("application/x-npy", "application/npy", "application/x-numpy"), NPY_MAGIC, _npy)
)
BODIES.register("avro")(
    BodyKind(
        "an Avro container of alerts",
        ("avro/binary", "application/avro", "application/x-avro", "application/vnd.apache.avro"),
        AVRO_MAGIC,
        posted_of_avro,
    )
)

#: Every media type that is taken.
MEDIA_TYPES = (*(media for name in BODIES for media in BODIES.resolve(name).media), "application/octet-stream")


def posted_from(data: bytes, media: str, given: Given, wanted: Sequence[str], limits: Limits) -> Posted:
    """Read a body.

    Parameters
    ----------
    data : bytes
    media : str
        `Content-Type`; where it says nothing of the body, its first bytes do.
    given : Given
        What the address says.
    wanted : sequence of str
        Channels of the model.
    limits : Limits

    Raises
    ------
    Refusal
        415: a type that is not known. 413: too much. 422: damaged, or nothing that can be scored.

    Examples
    --------
    >>> try:
    ...     posted_from(b"{}", "application/json", Given(), ("difference",), Limits())
    ... except Refusal as refusal:
    ...     refusal.status, refusal.reason[:24]
    (415, "'application/json' is no")
    """
    told = media.partition(";")[0].strip().lower()
    known = [BODIES.resolve(name) for name in BODIES]
    kind = next((entry for entry in known if told in entry.media), None)
    if kind is None and told not in _UNTOLD:
        raise Refusal(415, f"{media[:80]!r} is none of the types that are taken: {', '.join(MEDIA_TYPES)}")
    if not data:
        raise Refusal(422, f"an empty body: send {_listed(known)}")
    if data[:2] == GZIP:
        try:
            data = inflate(data, limits.body_bytes)
        except UnusableError as error:
            raise Refusal(413 if error.cause == "refused" else 422, error.reason) from None
    found = next((entry for entry in known if data.startswith(entry.begin)), None)
    if found is None or (kind is not None and found is not kind):
        expected = _listed(known) if kind is None else kind.about
        raise Refusal(422 if kind is not None else 415, f"the body begins with {data[:8]!r}: expected {expected}")
    try:
        return found.read(data, given, wanted, limits)
    except ConfigError as error:  # fastavro is not installed here
        raise Refusal(415, str(error)) from error


def _listed(kinds: Sequence[BodyKind]) -> str:
    return ", ".join(kind.about for kind in kinds)
