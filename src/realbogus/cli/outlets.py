"""Sinks that a command opens, and that are closed whatever becomes of it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..serving.sinks import Sink

__all__ = ["open_sinks", "want_packets"]


def open_sinks(opened: ExitStack, options: Any) -> list[Sink]:
    """Open what `--to` and `--format` name; a loop that ends well has closed them before `opened` does."""
    from ..serving.sinks import open_sink

    sinks: list[Sink] = []
    for target in options.to:
        sinks.append(open_sink(target, options.format))
        opened.callback(sinks[-1].close, whole=False)  # does nothing once the loop has closed it
    return sinks


def want_packets(sinks: list[Sink]) -> bool:
    """Say whether one of them wants the original records."""
    return any(getattr(sink, "wants_packets", False) for sink in sinks)
