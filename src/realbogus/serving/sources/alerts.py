"""Alert packets in files as a source: Avro files, folders and archives of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ...adapters.containers import MAGIC
from ...adapters.packets import CHANNELS, Unusable
from ...adapters.rows import check_share
from ...adapters.work import Settings, work
from ...errors import InputError
from ...tables import as_table
from ..batch import Batch, Failed
from ..micro import micro_batches
from ..packets import ReadUnit
from .listing import ARCHIVES, files_of
from .pieces import Found, Piece, groups_of, pieces_of
from .source import SOURCES, SourceKind

__all__ = ["AlertPart", "AlertSource", "Found", "alert_batch"]

#: Files of a folder that are looked at to say what it holds.
_LOOKS = 200


def alert_batch(
    found: Sequence[Found], receipt: Any = None, *, prefix: str = "", min_valid: float = 0.5, fwhm: float | None = None
) -> Batch:
    """Make a batch of packets; whatever is wrong with one is a `Failed` with its reason.

    Parameters
    ----------
    found : sequence of Found
        In order.
    receipt : object
        Of the batch.
    prefix : str
        Put before every id.
    min_valid, fwhm
        As in `adapt`.

    Returns
    -------
    Batch
        Rows and failed together are as many as `found`; rows are in its order.
    """
    # an archive may have a file twice: their places in `found` tell packets apart, and not what they are called
    done = work([ReadUnit([replace(entry.what, record=k) for k, entry in enumerate(found)])], Settings(min_valid, fwhm))
    reasons = {entry.record: entry for entry in done.unusable}
    failed, kept = [], []
    for k, entry in enumerate(found):
        if k in reasons:
            failed.append(_failed(replace(reasons[k], record=entry.what.record), entry.payload))
        else:
            kept.append(entry)
    if not kept:
        return Batch.of_failed(failed, receipt)
    rows = as_table(done.rows)
    if prefix:
        rows["id"] = [prefix + name for name in rows["id"].tolist()]
    packets = [entry.original for entry in kept]
    return Batch(rows, done.pixels, CHANNELS, packets if any(packets) else None, failed, receipt)


def _failed(entry: Unusable, payload: bytes | None) -> Failed:
    where = entry.file if entry.record < 0 else f"{entry.file}#{entry.record}"
    return Failed(entry.id, f"{entry.cause}: {entry.reason}", payload, where)


class AlertSource:
    """Alerts of a file, a folder or an archive (tar, zip), by name.

    A folder is searched with everything in it; hidden files are passed over, and a link that leads out of it is
    refused. Nothing but the batch at hand is held, and the names of one folder's files.

    Parameters
    ----------
    path : path
    packets : bool
        Whether the original records are wanted.
    prefix : str
        Put before every id.
    min_valid, fwhm
        As in `adapt`.

    Raises
    ------
    InputError
        A value is out of range.
    ConfigError
        fastavro is not installed (when it is read).
    """

    #: How many there are is not known before they are read.
    count: int | None = None

    def __init__(
        self,
        path: Path | str,
        *,
        packets: bool = False,
        prefix: str = "",
        min_valid: float = 0.5,
        fwhm: float | None = None,
        **_: Any,
    ) -> None:
        check_share(min_valid, fwhm)
        self.path, self.prefix, self.wants = Path(path), prefix, packets
        self._min_valid, self._fwhm = min_valid, fwhm

    def parts(self, size: int) -> Iterator[AlertPart]:
        """Yield stretches that travel: names of files, or what an archive holds."""
        settings = (self.wants, self.prefix, self._min_valid, self._fwhm)
        for group in groups_of(pieces_of(self.path.absolute(), size), size):
            yield AlertPart(group, *settings)

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield alerts part by part; nobody waits, as all of them are there."""
        for part in self.parts(size):
            yield from part.batches(size)

    def commit(self, receipt: Any) -> None:
        """Nothing to remember: the files stay as they are."""

    def close(self) -> None:
        """Nothing is held between batches."""


@dataclass(frozen=True)
class AlertPart:
    """Some files, a stretch of a large one, or members of an archive. A `Part`.

    Parameters
    ----------
    pieces : tuple of Piece
        In order.
    wants : bool
        Whether the original records are wanted.
    prefix, min_valid, fwhm
        As in `AlertSource`.
    """

    pieces: tuple[Piece, ...]
    wants: bool = False
    prefix: str = ""
    min_valid: float = 0.5
    fwhm: float | None = None

    @property
    def name(self) -> str:
        """The first piece and the last."""
        first, last = self.pieces[0], self.pieces[-1]
        if len(self.pieces) > 1:
            return f"{first.name} to {last.name}"
        at = getattr(first, "first", 0)
        return f"{first.name}#{at} and on" if at else first.name

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield full batches, and what is left over."""
        found = (entry for piece in self.pieces for entry in piece.found(self.wants))
        for some in micro_batches(found, size, math.inf):
            yield alert_batch(some, prefix=self.prefix, min_valid=self.min_valid, fwhm=self.fwhm)


def _holds_alerts(path: Path) -> bool:
    return any(_is_alert(file) for file, _, refused in islice(files_of(path), _LOOKS) if not refused)


def _is_alert(path: Path) -> bool:
    if path.name.lower().endswith((".avro", *ARCHIVES)):
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(4) == MAGIC
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


SOURCES.register("alerts")(
    SourceKind("Avro alert packets: files, folders or archives (.tar.gz, .zip)", _holds_alerts, AlertSource)
)
