"""Micro-batches: as many as fit, but nobody waits longer than agreed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["micro_batches"]

T = TypeVar("T")


def micro_batches(
    items: Iterable[T | None], size: int, wait_s: float, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[list[T]]:
    """Gather items; a batch goes when it is full, or `wait_s` after its first item came.

    Parameters
    ----------
    items : iterable
        None means that nothing came just now: a stream yields it often enough for the time to be kept.
    size : int
        Items of a batch.
    wait_s : float
        Seconds.
    clock : callable
        Seconds of a clock that never goes back.

    Examples
    --------
    >>> times = iter([0.0, 0.1, 5.0])
    >>> list(micro_batches([1, 2, None, 3], 8, 1.0, clock=lambda: next(times, 9.0)))
    [[1, 2], [3]]
    """
    batch: list[T] = []
    begun = 0.0
    for item in items:
        if item is not None:
            if not batch:
                begun = clock()
            batch.append(item)
        if batch and (len(batch) >= size or clock() - begun >= wait_s):
            yield batch
            batch = []
    if batch:
        yield batch
