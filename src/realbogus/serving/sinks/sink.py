"""The contract of sinks, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ...registry import Registry
from ..batch import Failed, Scored

__all__ = ["SINKS", "Sink"]


@runtime_checkable
class Sink(Protocol):
    """Where scored candidates go.

    A sink that cannot take them for a while raises `UnavailableError`: the loop calls again until it can.
    """

    @property
    def name(self) -> str:
        """What to call it in messages, without a password."""
        ...

    @property
    def lasting(self) -> bool:
        """Whether what was written stays from then on; False: from `close` on, as with a file that is put in place."""
        ...

    def write(self, scored: Scored) -> None:
        """Take a batch. The same once more changes nothing: a candidate is known by its `id`."""
        ...

    def refuse(self, failed: Sequence[Failed]) -> None:
        """Take what gave no candidate, with its reasons."""
        ...

    def close(self, *, whole: bool = True) -> None:
        """Finish; with `whole=False` the source was not read to its end, and a file is not put in its place."""
        ...


#: What opens a sink, by suffix of a file, scheme of an address, or format of a folder.
SINKS: Registry[Callable[[str], Sink]] = Registry("sink")
