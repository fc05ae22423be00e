"""Where scored candidates go: a table of sinks, and the one function that picks by what a target looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ...errors import InputError
from . import avro, database, files, webhook  # noqa: F401  each puts its lines into the table
from .kafka import KafkaTopic
from .sink import SINKS, Sink

__all__ = ["SINKS", "Sink", "open_sink"]

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9]*)(?:\+[a-zA-Z0-9]+)?:")


def open_sink(target: str, format: str | None = None, *, kafka: Mapping[str, str] | None = None) -> Sink:
    """Open a target by the scheme of its address, else by its suffix, else by `format`.

    Parameters
    ----------
    target : str
        `out.parquet`, `out.csv`, `out.ecsv`, `out.vot`, `sqlite:///x.db`, `postgresql://...`, `https://...`,
        `kafka://HOST:PORT/TOPIC`, or a folder with a format.
    format : str, optional
        What to write into a folder: `avro`.
    kafka : mapping, optional
        Settings of librdkafka, for a topic.

    Raises
    ------
    InputError
        No sink is like that; the message lists the known ones.
    ConfigError
        What writes it is not installed.
    OutputError
        It cannot be written to.

    Examples
    --------
    >>> open_sink("out.xls")
    Traceback (most recent call last):
        ...
    realbogus.errors.InputError: cannot tell what to write to out.xls: known are ...
    """
    scheme = _SCHEME.match(target)
    suffix = Path(target).suffix.lower()
    if scheme is not None:
        name = scheme.group(1).lower()
        if name == "kafka":
            return KafkaTopic(target, settings=kafka)
        if name in SINKS:
            return SINKS.resolve(name)(target)
    elif suffix in SINKS:
        return SINKS.resolve(suffix)(target)
    elif format is not None:
        return SINKS.resolve(format)(target)
    known = ", ".join(SINKS)
    shown = f"an address of {scheme.group(1)}" if scheme is not None else target
    raise InputError(
        f"cannot tell what to write to {shown}: known are {known} (a file by its suffix, an address by its scheme, a "
        "folder with --format)"
    )
