"""Alert packets out of bytes, a few at a time: what unpacks to much is never held as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...adapters.packets import CHANNELS, Packet, Unusable
from ...adapters.reading import read_packets
from ...adapters.work import Settings, Work, work
from ...columns import flags, numbers, texts
from ...errors import InputError
from ...scoring import channel_indices
from ...tables import as_table
from ..batch import Failed
from .limits import Limits, Refusal
from .posted import Given, Posted

__all__ = ["posted_of_avro"]

#: Pixels of cutouts that are held at once, and that one body may unpack to.
_HELD, _MOST = 2**22, 2**27
#: Seconds that reading one body may take; a body that needs more was made to.
_SECONDS = 30.0


def posted_of_avro(data: bytes, given: Given, wanted: Sequence[str], limits: Limits) -> Posted:
    """Read an Avro container of alerts.

    Parameters
    ----------
    data : bytes
    given : Given
        Its `fwhm` is for packets that say nothing of it.
    wanted : sequence of str
        Channels of the model.
    limits : Limits

    Raises
    ------
    Refusal
        No alert in it can be used, there are too many, they unpack to too much, or alerts cannot be read here.
    """
    if given.noise or given.id or given.channels or len(given.fwhm) > 1:
        raise Refusal(422, "an alert brings its own noise, id and channels: leave ?noise=, ?id= and ?channels= out")
    fwhm = given.fwhm[0] if given.fwhm else None
    if fwhm is not None and not 0.5 <= fwhm <= 30:
        raise Refusal(422, f"fwhm {fwhm:g} px: give 0.5 to 30 for alerts")
    try:
        channels = channel_indices(CHANNELS, wanted)
    except InputError as error:
        raise Refusal(422, str(error)) from error
    done = [work([part], Settings(0.5, fwhm)) for part in _parts(data, limits)]
    failed = [
        Failed(entry.id, f"{entry.cause}: {entry.reason}", where=f"record {entry.record}" if entry.record >= 0 else "")
        for part in done
        for entry in part.unusable
    ]
    full = [part for part in done if len(part.pixels)]
    if not full:
        reason = failed[0].reason if failed else "no alert in it"
        raise Refusal(422, f"no alert that could be scored: {reason}")
    return _joined(full, channels, failed, given.mjd)


@dataclass(frozen=True)
class _Part:
    """Packets that were read already, as a `Unit` of the adapters."""

    found: list[Packet | Unusable]
    name: str = "body"
    weight: int = 0

    def packets(self) -> Iterator[Packet | Unusable]:
        return iter(self.found)


def _parts(data: bytes, limits: Limits) -> Iterator[_Part]:
    """Yield packets by parts of so many pixels."""
    part: list[Packet | Unusable] = []
    held = total = 0
    end = time.monotonic() + _SECONDS
    for count, what in enumerate(read_packets(data, name="body"), start=1):
        if count > limits.stamps:
            raise Refusal(413, f"more than {limits.stamps} alerts in one body: send them in parts")
        size = _pixels(what)
        held, total = held + size, total + size
        if total > _MOST or time.monotonic() > end:
            raise Refusal(
                413, f"the alerts unpack to more than {_MOST} pixels, or take too long to: send them in parts"
            )
        part.append(what)
        if held > _HELD:
            yield _Part(part)
            part, held = [], 0
    if part:
        yield _Part(part)


def _pixels(what: Packet | Unusable) -> int:
    return sum(cutout.pixels.size for cutout in what.cutouts.values()) if isinstance(what, Packet) else 0


#: Of the catalogue, which has a hundred columns more: those of the survey.
_COLUMNS = ["id", "noise", "fwhm", "fwhm_from", "missing", "usable", "mjd"]


def _joined(parts: Sequence[Work], channels: list[int], failed: Sequence[Failed], mjd: float | None) -> Posted:
    tables = [as_table(part.rows.select(_COLUMNS)) for part in parts]

    def column(name: str) -> NDArray[np.float64]:
        return np.concatenate([numbers(table, name) for table in tables])

    def words(name: str) -> list[str]:
        return [word for table in tables for word in texts(table, name).tolist()]

    ids = words("id")
    return Posted(
        ids=ids,
        pixels=np.concatenate([np.ascontiguousarray(part.pixels[:, channels]) for part in parts]),
        noise=column("noise"),
        fwhm=column("fwhm"),
        missing=np.nan_to_num(column("missing")),
        mjd=column("mjd") if mjd is None else np.full(len(ids), mjd),
        noise_from=["measured"] * len(ids),
        fwhm_from=words("fwhm_from"),
        usable=np.concatenate([flags(table, "usable", absent=True) for table in tables]),
        failed=failed,
    )
