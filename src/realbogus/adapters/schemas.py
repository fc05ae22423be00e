"""Avro schemas: read once, checked against harm, and cut down to what a stamp needs."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import ConfigError, InputError
from .kinds import recognise
from .packets import UnusableError

__all__ = ["PacketSchema", "needs_fastavro", "packet_schema", "parsed"]

_LONGEST = 4 * 2**20  # bytes of a schema's text
_MOST_VALUES = 20_000  # in a record without its arrays; a survey has hundreds
#: Arrow's name of each scalar of Avro.
_SCALARS = {"boolean": "bool", "int": "int32", "long": "int64", "float": "float32", "double": "float64",
            "string": "string", "enum": "string"}  # fmt: skip


@dataclass(frozen=True)
class PacketSchema:
    """What one kind of alert is read by.

    Parameters
    ----------
    kind : str
        Name in `KINDS`.
    avro : mapping
        The schema it was written with, parsed by fastavro.
    reader : mapping or None
        The same without the fields that no stamp needs (earlier detections, forced photometry); None: all.
    types : mapping of str to str
        Arrow type of every scalar of the candidate and of the packet.
    """

    kind: str
    avro: Mapping[str, Any]
    reader: Mapping[str, Any] | None
    types: Mapping[str, str]


def needs_fastavro() -> ConfigError:
    """Return the error that says what to install."""
    return ConfigError('alert packets are read with fastavro: pip install "realbogus[alerts]"')


def packet_schema(schema: Mapping[str, Any] | str | PacketSchema) -> PacketSchema:
    """Take a schema for `read_packets` to read bytes by that bring none.

    Parameters
    ----------
    schema : mapping, str or PacketSchema
        An Avro schema with every record it names inside it, or its JSON text.

    Returns
    -------
    PacketSchema

    Raises
    ------
    InputError
        It is no Avro schema, or one of no known packet; the message lists the known ones.

    Examples
    --------
    >>> image = ["null", "bytes"]
    >>> source = {"type": "record", "name": "diaSource", "fields": [{"name": "diaSourceId", "type": "long"}]}
    >>> fields = {"diaSource": source, "cutoutDifference": image, "cutoutScience": image, "cutoutTemplate": image}
    >>> fields = [{"name": name, "type": kind} for name, kind in fields.items()]
    >>> packet_schema({"type": "record", "name": "alert", "fields": fields}).kind
    'rubin'
    """
    if isinstance(schema, PacketSchema):
        return schema
    try:
        return parsed(schema if isinstance(schema, str) else json.dumps(schema, default=str))
    except UnusableError as error:
        raise InputError(str(error)) from error


@lru_cache(maxsize=64)
def parsed(text: str | bytes) -> PacketSchema:
    """Parse the JSON text of a schema; alerts of a survey share a few.

    Raises
    ------
    UnusableError
        It is no Avro schema, a harmful one, or one of no known packet.
    """
    try:
        from fastavro.schema import parse_schema
    except ImportError as error:
        raise needs_fastavro() from error
    if len(text) > _LONGEST:
        raise UnusableError("refused", f"schema of {len(text)} bytes, at most {_LONGEST} are taken")
    try:
        plain = _clean(json.loads(text))
        names: dict[str, Any] = {}
        avro: Any = parse_schema(plain, names)
    except Exception as error:  # fastavro lets through whatever a wrong schema trips over, RecursionError too
        raise UnusableError("foreign", f"no Avro schema ({type(error).__name__}: {error})") from None
    if not isinstance(avro, dict) or avro.get("type") != "record":
        raise UnusableError("foreign", "an Avro file of something that is no record, expected alerts")
    fields = {field["name"]: field["type"] for field in avro["fields"]}
    kind = recognise(avro["name"], fields)
    _check(avro, names, (), {})
    needed = {kind.candidate, *kind.images.values()}
    types = _scalar_types(fields) | _scalar_types(
        {field["name"]: field["type"] for field in _record(fields[kind.candidate], names)["fields"]}
    )
    return PacketSchema(kind.name, avro, _reader(plain, needed), types)


def _clean(node: Any) -> Any:
    """Drop fastavro's marks of a parsed schema, and logical types: a number stays the number that was sent."""
    if isinstance(node, dict):
        return {key: _clean(value) for key, value in node.items() if not key.startswith("__") and key != "logicalType"}
    return [_clean(value) for value in node] if isinstance(node, list) else node


def _reader(plain: Mapping[str, Any], needed: set[str]) -> Mapping[str, Any] | None:
    from fastavro.schema import parse_schema

    cut: Any = copy.deepcopy(dict(plain))
    cut["fields"] = [field for field in cut["fields"] if field["name"] in needed or _scalar(field["type"]) is not None]
    try:
        return parse_schema(cut)  # type: ignore[return-value]
    except Exception:  # a record that is left out defined a name that is needed: read all
        return None


def _branches(kind: Any) -> list[Any]:
    return [branch for branch in (kind if isinstance(kind, list) else [kind]) if branch != "null"]


def _scalar(kind: Any) -> str | None:
    branches = _branches(kind)
    if len(branches) != 1:
        return None
    name = branches[0].get("type") if isinstance(branches[0], dict) else branches[0]
    return _SCALARS.get(name) if isinstance(name, str) else None


def _scalar_types(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: found for name, kind in fields.items() if (found := _scalar(kind)) is not None}


def _record(kind: Any, names: Mapping[str, Any]) -> Mapping[str, Any]:
    for branch in _branches(kind):
        record = names.get(branch) if isinstance(branch, str) else branch
        if isinstance(record, Mapping) and record.get("type") == "record":
            return record
    raise UnusableError("foreign", "its candidate is no record")


def _check(
    node: Any, names: Mapping[str, Any], above: tuple[str, ...], known: dict[str, tuple[int, int]]
) -> tuple[int, int]:
    """Return the fewest bytes that a value takes and the most values in it that a byte does not bound.

    What lets a few bytes cost without end is refused: a record within itself nests as deep as a packet likes, an
    array of nothing is as long as it likes, and records of nothing in records multiply.
    """
    if isinstance(node, list):
        branches = [_check(branch, names, above, known) for branch in node] or [(0, 0)]
        return 1 + min(least for least, _ in branches), 1 + max(parts for _, parts in branches)
    if isinstance(node, str):
        if node in above:
            raise UnusableError("refused", f"schema with {node} within itself")
        if node not in names:
            return int(node != "null"), 1
        return known[node] if node in known else _check(names[node], names, above, known)
    kind = node["type"]
    if kind in ("record", "error"):
        name = node["name"]
        if name in above:
            raise UnusableError("refused", f"schema with {name} within itself")
        inside = [_check(field["type"], names, (*above, name), known) for field in node["fields"]]
        known[name] = sum(least for least, _ in inside), 1 + sum(parts for _, parts in inside)
        if known[name][1] > _MOST_VALUES:
            raise UnusableError("refused", f"schema with more than {_MOST_VALUES} values in one {name}")
        return known[name]
    if kind in ("array", "map"):
        least, parts = _check(node["items" if kind == "array" else "values"], names, above, known)
        if parts > 64 * (least + int(kind == "map")):
            raise UnusableError("refused", f"schema with an {kind} of things that take no bytes")
        return 1, 1
    if kind == "fixed":
        return int(node["size"]), 1
    return (1, 1) if kind == "enum" else _check(kind, names, above, known)
