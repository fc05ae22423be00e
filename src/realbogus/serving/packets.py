"""Alerts that were read, their records as they came, and what is put behind those when they go out again."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ..adapters.containers import open_container
from ..adapters.packets import Packet, Unusable, UnusableError
from ..adapters.schemas import PacketSchema, parsed

__all__ = ["ADDED", "Extended", "Original", "ReadUnit", "extended", "extended_schema", "originals", "originals_of"]

#: Fields that are put behind an alert's own, their Avro types and the columns that they are from.
ADDED: Mapping[str, tuple[Any, str]] = {
    "rb": (["null", "float"], "score"),
    "rbprobability": (["null", "float"], "probability"),
    "rbversion": ("string", "model_version"),
    "rbmodel": ("string", "model"),
    "rbthreshold": ("double", "threshold"),
    "rbpolicy": ("string", "policy"),
    "rbreal": ("boolean", "real"),
    "rbflags": (["null", "int"], "flags"),
    "rbreason": ("string", "reason"),
}


@dataclass(frozen=True)
class ReadUnit:
    """Packets that were read already, as a `Unit` of the adapters."""

    found: Sequence[Packet | Unusable]
    name: str = "batch"
    weight: int = 0

    def packets(self) -> Iterator[Packet | Unusable]:
        """Yield them."""
        yield from self.found


@dataclass(frozen=True)
class Original:
    """One record as it came.

    Parameters
    ----------
    schema : mapping
        The Avro schema that it was written with, as JSON has it, every named record inside.
    body : bytes
        The record alone: no container, no mark of a registry.
    """

    schema: Mapping[str, Any] = field(hash=False)
    body: bytes


@dataclass(frozen=True)
class Extended:
    """A schema with the fields of `ADDED` behind its own.

    Parameters
    ----------
    schema : mapping
        As JSON has it.
    text : bytes
        The same as JSON text, for the head of a container or a registry of schemas.
    added : mapping
        The added fields alone, as fastavro has parsed them.
    """

    schema: Mapping[str, Any]
    text: bytes
    added: Any


def extended_schema(schema: Mapping[str, Any]) -> Extended:
    """Return an alert's schema with the fields of `ADDED` behind its own.

    A field whose name the alert has already gets `realbogus_` in front.

    Examples
    --------
    >>> schema = {"type": "record", "name": "alert", "fields": [{"name": "rb", "type": "float"}]}
    >>> [entry["name"] for entry in extended_schema(schema).schema["fields"]][:3]
    ['rb', 'realbogus_rb', 'rbprobability']
    """
    # alerts of a survey share one object, whose text need not be made anew for each
    found = _KNOWN.get(id(schema))
    if found is None or found[0] is not schema:
        if len(_KNOWN) >= _MOST:
            _KNOWN.clear()
        found = _KNOWN[id(schema)] = (schema, _extended(json.dumps(schema, default=str)))
    return found[1]


def extended(original: Original, row: Mapping[str, Any]) -> bytes:
    """Return the record with its fields added, in the schema of `extended_schema`.

    In Avro a record is its fields one after another, so the alert's own bytes stay as they came.

    Parameters
    ----------
    original : Original
        The alert.
    row : mapping
        Its row of a `Scored`, plain values; None is null.
    """
    from fastavro import schemaless_writer

    added = extended_schema(original.schema).added
    names = [entry["name"] for entry in added["fields"]]
    values = {name: row.get(column) for name, (_, column) in zip(names, ADDED.values(), strict=True)}
    stream = io.BytesIO()
    schemaless_writer(stream, added, values)
    return original.body + stream.getvalue()


_MOST = 64
_KNOWN: dict[int, tuple[Mapping[str, Any], Extended]] = {}


@lru_cache(maxsize=_MOST)
def _extended(text: str) -> Extended:
    from fastavro.schema import parse_schema

    whole = _plain(json.loads(text))
    taken = {entry["name"] for entry in whole["fields"]}
    added = []
    for name, (kind, _) in ADDED.items():
        shown = name
        while shown in taken:
            shown = f"realbogus_{shown}"
        added.append({"name": shown, "type": kind})
    whole["fields"] = [*whole["fields"], *added]
    alone = {"type": "record", "name": "realbogus_added", "fields": added}
    return Extended(whole, json.dumps(whole).encode(), parse_schema(alone))


def _plain(node: Any) -> Any:
    """Drop fastavro's marks of a schema that it has parsed."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if not key.startswith("__")}
    return [_plain(value) for value in node] if isinstance(node, list) else node


@lru_cache(maxsize=_MOST)
def _schema(text: bytes) -> Mapping[str, Any]:
    """Return one object for the same schema in many files."""
    schema: Mapping[str, Any] = json.loads(text)
    return schema


def originals(
    path: Path, *, start: int | None = None, first: int = 0, blocks: int | None = None
) -> Iterator[tuple[int, Original]]:
    """Yield the records of an Avro container with their numbers; what is damaged is passed over.

    Parameters
    ----------
    path : Path
        A file; `read_packets` says what is wrong with what does not come.
    start, first, blocks : int, optional
        A stretch of the file, as in `read_packets`.
    """
    try:
        with path.open("rb") as stream:
            yield from originals_of(stream, path.stat().st_size, start=start, first=first, blocks=blocks)
    except OSError:
        return


def originals_of(
    stream: BinaryIO, size: int, *, start: int | None = None, first: int = 0, blocks: int | None = None
) -> Iterator[tuple[int, Original]]:
    """Yield the records of an open container, or of a stretch of it."""
    try:
        container = open_container(stream, size)
        schema = parsed(container.schema)
        plain = _schema(container.schema)
        for block in islice(container.blocks(start, first), blocks):
            try:
                data = container.data(block)
            except UnusableError:
                continue
            if block.count == 1:
                yield block.first, Original(plain, data)
            else:
                for place, body in enumerate(_bodies(data, block.count, schema)):
                    yield block.first + place, Original(plain, body)
    except UnusableError:
        return


def _bodies(data: bytes, count: int, schema: PacketSchema) -> Iterator[bytes]:
    from fastavro import schemaless_reader

    stream = io.BytesIO(data)
    for _ in range(count):
        begin = stream.tell()
        try:
            schemaless_reader(stream, schema.avro, None)  # type: ignore[arg-type]
        except Exception:  # records have no lengths: where one is damaged the next cannot be found
            return
        yield data[begin : stream.tell()]
