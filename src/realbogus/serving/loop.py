"""The one loop, for a folder and for a stream that does not end: `score(source, scorer, sinks)`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from ..errors import InputError
from .ahead import ahead as read_ahead
from .batch import Batch, Scored
from .patience import StoppedError, patiently
from .sinks.sink import Sink
from .sources.source import Source

__all__ = ["Tally", "score"]


@dataclass(frozen=True)
class Tally:
    """What went through.

    Parameters
    ----------
    rows : int
        Candidates, each of them in every sink.
    scored : int
        Those with a score.
    real : int
        Those at or above the threshold.
    failed : int
        What gave no candidate; the sinks have the reasons.
    seconds : float
        Since the start.
    """

    rows: int = 0
    scored: int = 0
    real: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def read(self) -> int:
        """What came in: rows and failed."""
        return self.rows + self.failed

    def plus(self, scored: Scored, seconds: float) -> Tally:
        """Return the tally with one batch more."""
        return Tally(
            self.rows + len(scored),
            self.scored + int(scored.scored.sum()),
            self.real + int(scored.real.sum()),
            self.failed + len(scored.batch.failed),
            seconds,
        )


def score(
    source: Source,
    scorer: Callable[[Batch], Scored],
    sinks: Sequence[Sink],
    *,
    size: int = 512,
    wait_s: float = 1.0,
    progress: Callable[[Tally], None] | None = None,
    say: Callable[[str], None] | None = None,
    patience_s: float | None = None,
    ahead: int = 2,
    close: bool = True,
    stop: threading.Event | None = None,
) -> Tally:
    """Score everything that a source gives, and write it to all sinks.

    Memory does not grow with the length of the source. The source learns that a batch is done (`commit`) only when
    every sink has it for good. A sink that is away is waited for.

    Parameters
    ----------
    source : Source
        Where candidates come from.
    scorer : callable
        Usually a `Scorer`.
    sinks : sequence of Sink
        Where they go, at least one.
    size : int
        Rows of a batch at most.
    wait_s : float
        A batch goes at the latest so many seconds after its first candidate came.
    progress : callable, optional
        Called with the tally after every batch.
    say : callable, optional
        Told what is waited for.
    patience_s : float, optional
        How long a sink is waited for; for ever by default.
    ahead : int
        Batches that are read ahead by a thread; 0: none, and no thread.
    close : bool
        Whether source and sinks are closed at the end; where it fails, files are not put in their place.
    stop : Event, optional
        Ends it, once set, while a sink is waited for: the batch at hand is not committed. Whoever sets it ends the
        source too.

    Returns
    -------
    Tally
        Its `rows` and `failed` together are what the source gave.

    Raises
    ------
    InputError
        No sinks, or a size that is none.
    OutputError
        A sink cannot be written to, and waiting would not help.
    """
    if not sinks or size < 1 or wait_s < 0:
        raise InputError(f"{len(sinks)} sinks, batches of {size}, {wait_s:g} s: give a sink, 1 row and 0 s at least")
    begun = perf_counter()
    tally = Tally()
    held: list[Any] = []  # receipts of what files have that are not yet in their place; most sources give none
    late = any(not sink.lasting for sink in sinks)
    whole = False
    try:
        with closing(read_ahead(source.batches(size, wait_s), ahead)) as batches:
            for batch in batches:
                scored = scorer(batch)
                for sink in sinks:
                    patiently(partial(_hand, sink, scored), say=say, longest_s=patience_s, stop=stop)
                if not late:
                    source.commit(batch.receipt)
                elif batch.receipt is not None:
                    held.append(batch.receipt)
                tally = tally.plus(scored, perf_counter() - begun)
                if progress is not None:
                    progress(tally)
        whole = True
    except StoppedError as error:
        if say is not None:
            say(f"{error}: what was at hand is not committed, and comes again at the next start")
    finally:
        if close:
            _close(source, sinks, held, whole)
    return Tally(tally.rows, tally.scored, tally.real, tally.failed, perf_counter() - begun)


def _hand(sink: Sink, scored: Scored) -> None:
    if len(scored):
        sink.write(scored)
    if scored.batch.failed:
        sink.refuse(scored.batch.failed)


def _close(source: Source, sinks: Sequence[Sink], held: Sequence[Any], whole: bool) -> None:
    """Close the sinks, then tell the source, then close it; all are closed even where one fails."""
    errors: list[BaseException] = []
    for sink in sinks:
        try:
            sink.close(whole=whole)
        except BaseException as error:
            errors.append(error)
    try:
        if whole and not errors:
            for receipt in held:
                source.commit(receipt)
    finally:
        source.close()
    if errors and whole:
        raise errors[0]  # else what stopped the loop is on its way up already
