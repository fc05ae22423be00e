"""The contract of sources, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ...registry import Registry
from ..batch import Batch

__all__ = ["SOURCES", "Source", "SourceKind"]


@runtime_checkable
class Source(Protocol):
    """Where candidates come from. One that knows how many there are says so in `count`; else it is None."""

    @property
    def count(self) -> int | None:
        """Candidates in all, where that is known."""
        ...

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield batches of at most `size` rows; what waits for more goes `wait_s` after its first candidate came.

        It may run in a thread of its own, ahead of what is scored.
        """
        ...

    def commit(self, receipt: Any) -> None:
        """Take note that all sinks have the batch with this receipt; called in the order of the batches.

        Of a batch without a receipt it need not be told.
        """
        ...

    def close(self) -> None:
        """Let go of what is held; a batch that was not committed comes again from the next that is opened."""
        ...


@dataclass(frozen=True)
class SourceKind:
    """One kind of source.

    Parameters
    ----------
    about : str
        What a path of this kind holds, for messages.
    holds : callable
        Says whether a path is of this kind.
    open : callable
        Opens it: a path and keyword arguments, of which it takes those that it knows.
    turn : int
        Kinds with a lower number are asked first: the sure signs before those that a folder of another kind may have
        by chance.
    """

    about: str
    holds: Callable[[Path], bool]
    open: Callable[..., Source]
    turn: int = 9


#: Kinds of sources by name; their `turn` is the order in which they are asked.
SOURCES: Registry[SourceKind] = Registry("kind of source")
