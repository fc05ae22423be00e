"""Strict reading of dataclasses from TOML, JSON and `key=value` words."""

from __future__ import annotations

import difflib
import json
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from ..errors import ConfigError
from .schema import Config

__all__ = ["build", "load_config", "parse_overrides", "with_overrides"]

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Build a dataclass from a mapping, checking every key and type.

    Parameters
    ----------
    cls : dataclass type
        May hold other dataclasses, tuples, mappings, literals and plain values.
    values : mapping
        Keys left out take their defaults.
    where : str
        Dotted place of the mapping, for messages.

    Raises
    ------
    ConfigError
        An unknown key (the message lists the known ones) or a value of a wrong type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'the configuration'} is {_show(values)}, expected a table of keys")
    hints = typing.get_type_hints(cls)
    known = sorted(f.name for f in fields(typing.cast(Any, cls)))
    ready = {}
    for key, value in values.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"unknown key {place!r}: {hint}known are {', '.join(known)}")
        ready[key] = _checked(hints[key], value, place)
    try:
        return cls(**ready)
    except TypeError as error:
        raise ConfigError(f"{where or 'the configuration'} is incomplete: {error}") from error


def load_config(path: Path | str, *, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a `.toml` or `.json` configuration.

    Parameters
    ----------
    path : path
        The file.
    overrides : mapping, optional
        Dotted keys that win over the file: `{"training.epochs": 3}`.

    Raises
    ------
    ConfigError
        The file is missing, is neither TOML nor JSON, or holds an unknown key or a wrong type.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    try:
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path} is no valid {path.suffix or 'TOML'}: {error}") from error
    return build(Config, _merged(values, overrides or {}))


def with_overrides(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return the configuration with dotted keys changed.

    Examples
    --------
    >>> with_overrides(Config(), {"training.epochs": 3, "seed": 1}).training.epochs
    3
    """
    return build(Config, _merged(config.to_dict(), overrides))


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words of a command line; values are TOML, anything else is text.

    Examples
    --------
    >>> parse_overrides(["training.epochs=3", "model.architecture=compact", "training.augment=['flip']"])
    {'training.epochs': 3, 'model.architecture': 'compact', 'training.augment': ['flip']}
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"override {text!r}: write KEY=VALUE, for example training.epochs=3")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value
    return found


def _merged(values: Any, overrides: Mapping[str, Any]) -> Any:
    if not overrides or not isinstance(values, Mapping):
        return values
    merged: dict[str, Any] = json.loads(json.dumps(values, default=str))
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        level = merged
        for part in path:
            level = level.setdefault(part, {})
            if not isinstance(level, dict):
                raise ConfigError(f"override {dotted!r}: {part!r} is a value, not a table")
        level[last] = value
    return merged


def _checked(hint: Any, value: Any, place: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else build(hint, value, where=place)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _checked(next(a for a in args if a is not type(None)), value, place)
    if origin is Literal:
        # `True == 1`, so the type must agree as well
        if not any(value == choice and type(value) is type(choice) for choice in args):
            raise ConfigError(f"{place} is {_show(value)}: choose one of {', '.join(map(repr, args))}")
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ConfigError(f"{place} is {_show(value)}, expected a list")
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise ConfigError(f"{place} has {len(value)} values, expected {len(kinds)}")
        return tuple(_checked(k, v, f"{place}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{place} is {_show(value)}, expected a table of keys")
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is not Any and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise ConfigError(f"{place} is {_show(value)}, expected {hint.__name__}")
    return value


def _show(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"
