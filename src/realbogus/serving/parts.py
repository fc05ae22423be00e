"""Sources cut into parts that travel to other processes; a part gives the same batches wherever it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from .batch import Batch, Failed
from .scorer import Scorer
from .sources.source import Source

__all__ = ["Answer", "Divisible", "Held", "Part", "answered", "failed_part", "parts_of"]

_NOBODY = np.empty(0, np.float32)


class Part(Protocol):
    """A stretch of a source that pickles: pixels are read where it is scored."""

    @property
    def name(self) -> str:
        """Its place in the source, for messages."""
        ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the batches of this stretch, those that the source itself gives for it."""
        ...


@runtime_checkable
class Divisible(Protocol):
    """A source that can be cut; its own `batches` run over the same parts."""

    def parts(self, size: int) -> Iterator[Part]:
        """Yield parts in order, for batches of at most `size` rows."""
        ...


@dataclass(frozen=True)
class Held:
    """A batch that was read already, as a part. Its receipt stays here: it may be no value that travels."""

    batch: Batch
    name: str = "batch"

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the batch."""
        yield self.batch

    def __getstate__(self) -> dict[str, Any]:
        return {"batch": replace(self.batch, receipt=None), "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@dataclass(frozen=True)
class Answer(Batch):
    """A batch that was scored elsewhere.

    Parameters
    ----------
    scores : ndarray of float32, shape (N,)
        NaN where there is none.
    reasons : ndarray of str, shape (N,)
        Why there is none.
    """

    scores: NDArray[np.float32] = field(default_factory=lambda: _NOBODY)
    reasons: NDArray[np.str_] = field(default_factory=lambda: _NOBODY.astype("U1"))


def parts_of(source: Source, size: int, wait_s: float) -> Iterator[Part]:
    """Cut a source; one that cannot be cut is read here, and its batches travel.

    Examples
    --------
    >>> class Two:
    ...     def batches(self, size, wait_s):
    ...         yield from (Batch.of_failed([Failed("", "torn")], receipt=k) for k in range(2))
    >>> [part.name for part in parts_of(Two(), 8, 1.0)]
    ['batch 0', 'batch 1']
    """
    if isinstance(source, Divisible):
        yield from source.parts(size)
        return
    for number, batch in enumerate(source.batches(size, wait_s)):
        yield Held(batch, f"batch {number}")


def answered(batch: Batch, scorer: Scorer | None, why: str = "", *, keep: bool = True) -> Answer:
    """Score a batch as far as that does not depend on what came before it.

    Parameters
    ----------
    batch : Batch
    scorer : Scorer or None
        None: rows get no score, but
    why : str
        this reason.
    keep : bool
        Whether pixels and packets are wanted; without, the answer has pixels of shape (N, 0, S, S).
    """
    if scorer is None:
        scores, reasons = np.full(len(batch), np.nan, np.float32), np.full(len(batch), why)
    else:
        scores, reasons = scorer.scores(batch)
    pixels, channels, packets = batch.pixels, batch.channels, batch.packets
    if not keep:
        pixels, channels, packets = np.empty((len(batch), 0, *pixels.shape[2:]), np.float32), (), None
    elif packets is not None and all(packet is not None for packet in packets):
        pixels, channels = np.empty((len(batch), 0, *pixels.shape[2:]), np.float32), ()  # sinks go by the packets
    return Answer(batch.rows, pixels, channels, packets, batch.failed, batch.receipt, scores, reasons)


def failed_part(part: Part, why: str) -> Answer:
    """Return what stands for a part that cannot even be read."""
    return Answer(Table(), np.empty((0, 1, 64, 64), np.float32), failed=[Failed("", why, where=part.name)])
