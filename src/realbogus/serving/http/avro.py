"""Alert packets out of bytes, a few at a time: what unpacks to much is never held as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ...adapters.packets import CHANNELS, Packet, Unusable
from ...adapters.reading import read_packets
from ...adapters.work import Settings, Work, work
from ...errors import InputError
from ...scoring import channel_indices
from ..batch import Failed
from ..packets import ReadUnit
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
    done = [work([part], Settings(0.5, fwhm, survey=False)) for part in _parts(data, limits)]
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


def _parts(data: bytes, limits: Limits) -> Iterator[ReadUnit]:
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
            yield ReadUnit(part)
            part, held = [], 0
    if part:
        yield ReadUnit(part)


def _pixels(what: Packet | Unusable) -> int:
    return sum(cutout.pixels.size for cutout in what.cutouts.values()) if isinstance(what, Packet) else 0


def _joined(parts: Sequence[Work], channels: list[int], failed: Sequence[Failed], mjd: float | None) -> Posted:
    # straight from Arrow: a table of astropy takes longer to make than an alert to read
    def column(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.asarray(part.rows[name].to_numpy(), dtype=np.float64) for part in parts])

    def words(name: str) -> list[str]:
        return [word for part in parts for word in part.rows[name].to_pylist()]

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
        usable=np.array(words("usable"), dtype=bool),
        failed=failed,
    )
