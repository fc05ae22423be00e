"""Where candidates come from: a table of kinds, and the one function that picks by what a path holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import InputError
from . import alerts, frames, sets, stamps  # noqa: F401  each puts its line into the table
from .source import SOURCES, Source, SourceKind

__all__ = ["SOURCES", "Source", "SourceKind", "open_source"]


def open_source(path: Path | str, **options: Any) -> Source:
    """Open a path as what it holds.

    Parameters
    ----------
    path : path
        A stamp set, a folder of frames, a folder of stamp sets, or alert packets (a file, a folder, an archive of
        them): the first that it looks like.
    **options
        `channels` (those that the classifier needs), `packets` (whether a sink wants the original records), `prefix`
        (put before every id), and what the kind of source knows besides.

    Raises
    ------
    InputError
        There is nothing, or nothing that is known.
    ConfigError
        What reads it is not installed.

    Examples
    --------
    >>> open_source("no-such")
    Traceback (most recent call last):
        ...
    realbogus.errors.InputError: there is no no-such: ...
    """
    path = Path(path)
    known = "; ".join(f"{name}: {SOURCES.resolve(name).about}" for name in SOURCES)
    if not path.exists():
        raise InputError(f"there is no {path}: give a path with {known}")
    for kind in sorted((SOURCES.resolve(name) for name in SOURCES), key=lambda kind: kind.turn):
        if kind.holds(path):
            return kind.open(path, **options)
    raise InputError(f"{path} holds nothing that can be scored; known are {known}")
