"""What a telescope's headers call things, and what they never say.

A profile is a small TOML file, one table per quantity. The tables ``gain`` (e/ADU),
``read_noise`` (e), ``saturation`` (ADU), ``pedestal`` (ADU of a pixel without light),
``exposure`` (s), ``band`` and ``pixel_scale_arcsec`` take ``keywords`` (header cards,
tried in order) and ``constant`` (used when no card gives a value). The table ``time``
takes ``middle``, ``start`` (cards with the middle or the start of the exposure, tried in
that order) and ``time_of_day`` (cards that complete a date without a time).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ConfigError, InputError, UnknownNameError

__all__ = ["Quantity", "Telescope", "TimeCards", "telescope", "telescopes"]

_QUANTITIES = ("gain", "read_noise", "saturation", "pedestal", "exposure", "band", "pixel_scale_arcsec")


@dataclass(frozen=True)
class Quantity:
    """Where one quantity comes from.

    Parameters
    ----------
    keywords : tuple of str
        Header cards, tried in order.
    constant : float, str or None
        The value when no card gives one; None leaves it to be estimated or unknown.
    """

    keywords: tuple[str, ...] = ()
    constant: float | str | None = None


@dataclass(frozen=True)
class TimeCards:
    """Cards that tell when an exposure was taken.

    Parameters
    ----------
    middle, start : tuple of str
        Cards holding the middle or the start of the exposure: ISO dates, JD or MJD.
    time_of_day : tuple of str
        Cards with hh:mm:ss for a date card that has no time.
    """

    middle: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    time_of_day: tuple[str, ...] = ()


@dataclass(frozen=True)
class Telescope:
    """Profile of a telescope: one source per quantity.

    Parameters
    ----------
    name : str
        Name of the profile.
    description : str
        One line for people.
    gain, read_noise, saturation, pedestal, exposure, band, pixel_scale_arcsec : Quantity
        e/ADU, e, ADU, ADU, s, text, arcsec per pixel.
    time : TimeCards
        When the exposure was taken.

    Examples
    --------
    >>> telescope("mini-sitian").gain.constant
    0.253
    >>> telescopes()
    ('generic', 'mini-sitian', 'whipple')
    """

    name: str
    description: str = ""
    gain: Quantity = field(default_factory=Quantity)
    read_noise: Quantity = field(default_factory=Quantity)
    saturation: Quantity = field(default_factory=Quantity)
    pedestal: Quantity = field(default_factory=Quantity)
    exposure: Quantity = field(default_factory=Quantity)
    band: Quantity = field(default_factory=Quantity)
    pixel_scale_arcsec: Quantity = field(default_factory=Quantity)
    time: TimeCards = field(default_factory=TimeCards)


def telescopes() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    folder = resources.files(__package__) / "telescopes"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def telescope(name: str | Path | Telescope) -> Telescope:
    """Return a telescope profile.

    Parameters
    ----------
    name : str, Path or Telescope
        A shipped name (see `telescopes`), the path of a .toml file, or a profile, which is
        returned as it is.

    Returns
    -------
    Telescope

    Raises
    ------
    UnknownNameError
        No shipped profile of that name; the message lists the known ones.
    InputError
        The file cannot be read.
    ConfigError
        Not TOML, an unknown table or key, or a value of the wrong kind.

    Examples
    --------
    >>> telescope("whipple").saturation.constant
    4095.0
    >>> telescope("hubble")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    realbogus.errors.UnknownNameError: unknown telescope 'hubble': known are generic, mini-sitian, ...
    """
    if isinstance(name, Telescope):
        return name
    if isinstance(name, Path) or str(name).endswith(".toml"):
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"telescope profile {path} cannot be read ({error}): give a .toml file"
            raise InputError(message) from None
        return _parse(text, path.stem, str(path))
    if name not in telescopes():
        known = ", ".join(telescopes())
        raise UnknownNameError(f"unknown telescope {name!r}: known are {known} (or give the path of a .toml)")
    source = resources.files(__package__) / "telescopes" / f"{name}.toml"
    return _parse(source.read_text(encoding="utf-8"), name, f"{name}.toml")


def _parse(text: str, name: str, where: str) -> Telescope:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from None
    known = {"name", "description", "time", *_QUANTITIES}
    _only(tables, known, where)
    fields: dict[str, Any] = {}
    for key in ("name", "description"):
        fields[key] = tables.get(key, name if key == "name" else "")
        if not isinstance(fields[key], str):
            raise ConfigError(f"{where}: {key} must be text, got {fields[key]!r}")
    for key in _QUANTITIES:
        table = _table(tables, key, where)
        _only(table, {"keywords", "constant"}, f"{where} [{key}]")
        fields[key] = Quantity(
            _words(table, "keywords", f"{where} [{key}]"), _constant(key, table.get("constant"), where)
        )
    times = _table(tables, "time", where)
    _only(times, {"middle", "start", "time_of_day"}, f"{where} [time]")
    fields["time"] = TimeCards(*(_words(times, key, f"{where} [time]") for key in ("middle", "start", "time_of_day")))
    return Telescope(**fields)


def _only(table: Mapping[str, Any], known: set[str], where: str) -> None:
    strangers = sorted(set(table) - known)
    if strangers:
        raise ConfigError(f"{where}: unknown {', '.join(strangers)}: known are {', '.join(sorted(known))}")


def _table(tables: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = tables.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: {key} must be a table with keywords and/or constant, got {table!r}")
    return table


def _words(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    words = table.get(key, [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{where}: {key} must be a list of header keywords, got {words!r}")
    return tuple(words)


def _constant(key: str, value: Any, where: str) -> float | str | None:
    if value is None:
        return None
    if key == "band":
        if not isinstance(value, str):
            raise ConfigError(f"{where} [band]: constant must be text, got {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where} [{key}]: constant must be a number, got {value!r}")
    if key in ("gain", "exposure", "pixel_scale_arcsec") and not value > 0:
        raise ConfigError(f"{where} [{key}]: constant must be above 0, got {value!r}")
    return float(value)
