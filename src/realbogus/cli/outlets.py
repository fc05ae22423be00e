"""Sinks that a command opens, and that are closed whatever becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..serving.sinks import Sink

__all__ = ["kafka_settings", "open_sinks", "want_packets"]


def open_sinks(opened: ExitStack, options: Any) -> list[Sink]:
    """Open what `--to`, `--format` and `--kafka` name; a loop that ends well has closed them before `opened` does."""
    from ..serving.sinks import open_sink

    sinks: list[Sink] = []
    for target in options.to:
        sinks.append(open_sink(target, options.format, kafka=kafka_settings(options.kafka)))
        opened.callback(sinks[-1].close, whole=False)  # does nothing once the loop has closed it
    return sinks


def kafka_settings(given: Sequence[str]) -> Mapping[str, str]:
    """Return the settings that the words of `--kafka` name.

    Raises
    ------
    ConfigError
        One is no KEY=VALUE.
    """
    pairs = [text.partition("=") for text in given]
    wrong = [text for text, (key, mark, _) in zip(given, pairs, strict=True) if not (key and mark)]
    if wrong:
        raise ConfigError(f"--kafka {wrong[0]}: give KEY=VALUE, for example security.protocol=SASL_SSL")
    return {key: value for key, _, value in pairs}


def want_packets(sinks: list[Sink]) -> bool:
    """Say whether one of them wants the original records."""
    return any(getattr(sink, "wants_packets", False) for sink in sinks)
