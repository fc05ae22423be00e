"""Catalogues of what is known to be real: variables that stay in their places, and predictions of what moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle
from astropy.table import Column, Table
from astropy.time import Time
from numpy.typing import NDArray

from ..columns import JD_OF_MJD
from ..errors import InputError
from ..tables import read_any

__all__ = ["as_catalogue", "read_catalogue"]

#: Names that columns have in catalogues, without regard to case; the first that is there is taken.
_NAMES = {
    "ra": ("ra", "raj2000", "ra_deg", "radeg", "ra_icrs", "_ra", "_raj2000", "right_ascension", "alpha"),
    "dec": ("dec", "dej2000", "decj2000", "dec_deg", "decdeg", "de_icrs", "_de", "_dej2000", "declination", "delta"),
    "x": ("x", "ref_x"),
    "y": ("y", "ref_y"),
    "mjd": ("mjd", "jd", "time", "obstime", "datetime", "date_obs", "date-obs", "date", "epoch"),
    "name": (
        "name", "id", "oid", "designation", "source_id", "main_id", "object", "objectid", "star", "targetname",
    ),
}  # fmt: skip


def read_catalogue(path: Path | str, *, moving: bool = False) -> Table:
    """Read a catalogue in any format that astropy reads, or Parquet.

    Parameters
    ----------
    path : path
        The file; its suffix or its first bytes tell the format.
    moving : bool
        Whether it predicts where objects are at a time, and so must have times.

    Returns
    -------
    Table
        As `as_catalogue` gives it.

    Raises
    ------
    InputError
        It cannot be read, or as in `as_catalogue`.
    """
    return as_catalogue(read_any(path), moving=moving, what=f"catalogue {path}")


def as_catalogue(table: Table, *, moving: bool = False, what: str = "the catalogue") -> Table:
    """Bring a table of known objects into one form.

    Columns are found by the names that catalogues give them. Coordinates are in the unit of their column, else
    degrees, or sexagesimal text (hours and degrees); pixels are 0-based centres; a time is MJD, JD or ISO text, UTC.

    Parameters
    ----------
    table : Table
        With `ra` and `dec`, or `x` and `y`, or all four.
    moving : bool
        Whether each row holds for one time only.
    what : str
        The catalogue's name, for messages.

    Returns
    -------
    Table, N rows
        `name`, of `ra` and `dec` (deg), `x` and `y` (pixels) those that are there, and `mjd` where it is
        moving. Rows without a place (or time) are left out; `meta["rows"]` says how many came.

    Raises
    ------
    InputError
        No such columns, values that cannot be read, or not one row with a place.

    Examples
    --------
    >>> found = as_catalogue(Table({"RAJ2000": [10.5], "DEJ2000": [-3.0], "Name": ["R Lyr"]}))
    >>> str(found["name"][0]), float(found["ra"][0]), found.colnames
    ('R Lyr', 10.5, ['name', 'ra', 'dec'])
    >>> moving = Table({"ra": ["10:30:00"], "dec": ["-03:00:00"], "time": ["2026-01-01T00:00:00"]})
    >>> as_catalogue(moving, moving=True)["ra", "mjd"].as_array()[0].tolist()
    (157.5, 61041.0)
    """
    lower = {str(name).lower(): name for name in table.colnames}
    have = {key: next((lower[name] for name in names if name in lower), None) for key, names in _NAMES.items()}
    found = Table()
    if have["ra"] and have["dec"]:
        found["ra"], found["dec"] = _sky(table[have["ra"]], table[have["dec"]], what)
    if have["x"] and have["y"]:
        found["x"], found["y"] = (_number(table[have[axis]], what) for axis in "xy")
    if not found.colnames:
        raise InputError(
            f"{what} says not where its objects are: its columns are {table.colnames}, expected `ra` and `dec` in "
            "degrees (or sexagesimal text), or `x` and `y` in pixels"
        )
    if moving:
        if have["mjd"] is None:
            raise InputError(
                f"{what} has no time: its columns are {table.colnames}, expected `mjd`, `jd` or `time` beside the place"
            )
        found["mjd"] = _mjd(table[have["mjd"]], what)
    placed = np.zeros(len(table), dtype=bool)
    for pair in (("ra", "dec"), ("x", "y")):
        if pair[0] in found.colnames:
            placed |= np.isfinite(found[pair[0]]) & np.isfinite(found[pair[1]])
    if moving:
        placed &= np.isfinite(found["mjd"])
    if not placed.any():
        raise InputError(f"{what}: not one of its {len(table)} rows has a place" + (" and a time" if moving else ""))
    names = [f"known {row}" for row in range(len(table))] if have["name"] is None else _words(table[have["name"]])
    found.add_column(_unique(names, moving), index=0, name="name")
    found = found[placed]
    found.meta = {"rows": len(table)}
    return found


def _unique(names: list[str], moving: bool) -> NDArray[np.str_]:
    """Tell two variables of one name apart; of what moves, one name in many rows is one object."""
    if moving or len(set(names)) == len(names):
        return np.array(names, dtype=str)
    twice = {name for name in names if names.count(name) > 1} if len(names) < 10_000 else set(names)
    return np.array([f"{name}@{row}" if name in twice else name for row, name in enumerate(names)], dtype=str)


def _words(column: Column) -> list[str]:
    gone = np.ma.getmaskarray(np.ma.asarray(column))
    words = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in column]
    return [
        word.strip() if there and word.strip() else f"known {row}"
        for row, (word, there) in enumerate(zip(words, ~gone, strict=True))
    ]


def _sky(ra: Column, dec: Column, what: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = _degrees(ra, u.hourangle, what), _degrees(dec, u.deg, what)
    for name, value, low, high in (("ra", pair[0], -360.0, 360.0), ("dec", pair[1], -90.0, 90.0)):
        bad = (value < low) | (value > high)
        if bad.any():
            raise InputError(f"{what}: {name} holds {value[bad][0]:g}, expected degrees in {low:g} to {high:g}")
    return pair[0] % 360.0, pair[1]


def _degrees(column: Column, unit: u.Unit, what: str) -> NDArray[np.float64]:
    """Return degrees of numbers or numbers as text in the column's unit, or of sexagesimal text in `unit`."""
    values, scale = _plain(column), _scale(column, unit)
    if values.dtype.kind == "f":
        return values * scale
    found = np.full(len(values), np.nan)
    for row, word in enumerate(values.tolist()):
        try:
            found[row] = np.nan if not word else float(word) * scale
        except ValueError:
            try:
                found[row] = round(float(Angle(word, unit=unit).deg), 10)
            except ValueError as error:
                raise InputError(f"{what}: the coordinate {word!r} cannot be read ({error})") from error
    return found


def _scale(column: Column, unit: u.Unit) -> float:
    """Return the degrees of one unit of the column; hours of time are right ascension, other words say nothing."""
    try:
        said = u.Unit(column.unit or u.deg)
        if unit == u.hourangle and said.is_equivalent(u.hour):
            return float(said.to(u.hour)) * 15.0
        return float(said.to(u.deg))
    except (ValueError, TypeError, u.UnitConversionError):
        return 1.0


def _number(column: Column, what: str) -> NDArray[np.float64]:
    values = _plain(column)
    try:
        return np.where(values == "", "nan", values).astype(float) if values.dtype.kind != "f" else values
    except ValueError as error:
        raise InputError(f"{what}: column {column.name} holds no numbers ({error})") from error


def _mjd(column: Column, what: str) -> NDArray[np.float64]:
    if isinstance(column, Time):
        return np.asarray(column.utc.mjd, dtype=float)
    values = _plain(column)
    if values.dtype.kind != "f":
        there = values != ""
        found = np.full(len(values), np.nan)
        try:
            found[there] = values[there].astype(float)
        except ValueError:
            try:
                found[there] = Time(values[there].tolist(), scale="utc").mjd
            except ValueError as error:
                raise InputError(f"{what}: its times cannot be read ({error}); give MJD, JD or ISO text") from error
            return found
        values = found
    days = np.where(values > JD_OF_MJD, values - JD_OF_MJD, values)
    bad = (days < 15_000) | (days > 200_000)
    if bad.any():
        raise InputError(f"{what}: {column.name} {values[bad][0]:g} is neither MJD nor JD of 1900 or later")
    return np.asarray(days)


def _plain(column: Column) -> NDArray[Any]:
    """Return a column as float with NaN, or as text with nothing, where it is masked."""
    gone = np.ma.getmaskarray(np.ma.asarray(column))
    if column.dtype.kind in "biuf":
        # under a mask lies any number, most often 0, and that is a place in the sky
        values = np.ma.getdata(np.ma.asarray(column)).astype(float)
        return np.where(gone | ~np.isfinite(values), np.nan, values)
    words = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in column]
    return np.array(["" if lost else word.strip() for word, lost in zip(words, gone, strict=True)], dtype=str)
