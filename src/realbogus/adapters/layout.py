"""How a folder of FITS cutouts or an array is laid out, and what its columns are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..errors import ConfigError, InputError
from ..tables import read_any
from .packets import CHANNELS
from .plain import OWN_NAMES

__all__ = ["Layout", "table_rows"]

#: What extensions of a FITS file are called, where no layout says it.
_EXTENSIONS: Mapping[str, tuple[str, ...]] = {
    "difference": ("DIFFERENCE", "DIFF", "DIFFIM", "SUB"),
    "science": ("SCIENCE", "SCI", "NEW", "SEARCH", "TARGET"),
    "reference": ("REFERENCE", "REF", "TEMPLATE", "TEMPL", "TMPL"),
}


@dataclass(frozen=True)
class Layout:
    """Describe sources that do not describe themselves.

    Parameters
    ----------
    extensions : mapping of str to str or int
        Which extension of a FITS file holds each channel, by EXTNAME or number (0 is the primary). The usual
        names (DIFF, SCI, REF, TEMPLATE, ...) are known without it.
    files : mapping of str to str, optional
        A file for each channel instead: patterns with one ``*`` where the stamp's name stands, say
        ``{"difference": "*_diff.fits", "science": "*_sci.fits", "reference": "*_ref.fits"}``.
    channels : tuple of str
        Order of the channels in an array.
    array : str, optional
        Which array of a .npz file; not needed where there is one with the shape of stamps.
    table : Table or path, optional
        Metadata: one row for each stamp of an array in its order, or rows whose `id` is the stamp's name.
    columns : mapping of str to str
        Our name to the table's or header's, say ``{"id": "candid", "mag": "magpsf"}``; an empty name: do not use
        the column that happens to be called so. Ours are `id source ra dec mjd x y snr mag fwhm field frame night band
        sign label`, `cutout_x cutout_y` (the source's 0-based pixel in the cutout) and `detector_width
        detector_height`.
    detector : tuple of two ints, optional
        Width and height of the image that the cutouts are from; with `x` and `y` they tell how edges were cut.
    reversed_negatives : bool
        The difference is reference minus science where `sign` is negative, as ZTF sends it; it is turned round.

    Raises
    ------
    ConfigError
        An unknown channel or column, a missing channel, a pattern without its one ``*``.

    Examples
    --------
    >>> Layout(columns={"id": "candid"}).renamed({"candid": 5, "rb": 0.9})
    {'id': 5, 'rb': 0.9}
    >>> Layout(files={"difference": "*_d.fits"})
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: files names the channels difference, expected difference, science, reference
    """

    extensions: Mapping[str, str | int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ("science", "reference", "difference")
    array: str | None = None
    table: Table | Path | str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    detector: tuple[int, int] | None = None
    reversed_negatives: bool = False

    def __post_init__(self) -> None:
        for title, names in (("extensions", self.extensions), ("files", self.files), ("channels", self.channels)):
            if (names or title == "channels") and sorted(names) != sorted(CHANNELS):
                raise ConfigError(f"{title} names the channels {', '.join(names)}, expected {', '.join(CHANNELS)}")
        for channel, pattern in self.files.items():
            if pattern.count("*") != 1 or "/" in pattern:
                raise ConfigError(f"files has {pattern!r} for {channel}, expected a file name with one * in it")
        strangers = sorted(set(self.columns) - OWN_NAMES)
        if strangers:
            raise ConfigError(f"columns leads to {', '.join(strangers)}: known are {', '.join(sorted(OWN_NAMES))}")
        if self.detector is not None and min(self.detector) < 1:
            raise ConfigError(f"detector {self.detector}: give its width and height in pixels")

    def extension(self, channel: str) -> tuple[str | int, ...]:
        """Return the names or the number that a channel's extension goes by."""
        named = self.extensions.get(channel)
        if named is None:
            return _EXTENSIONS[channel]
        return (int(named),) if str(named).isdigit() else (str(named).upper(),)

    @property
    def facts(self) -> dict[str, Any]:
        """What the layout says of every stamp."""
        known: dict[str, Any] = {"reversed": True} if self.reversed_negatives else {}
        if self.detector is not None:
            known |= {"detector_width": self.detector[0], "detector_height": self.detector[1]}
        return known

    def renamed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's values under our names where `columns` leads there."""
        theirs = {theirs: ours for ours, theirs in self.columns.items() if theirs}
        hidden = {ours for ours in OWN_NAMES if ours in self.columns}
        result = {}
        for name, value in values.items():
            if name in theirs:
                result[theirs[name]] = value
            else:
                # a column that is called as ours but is not meant keeps its value under another name
                result[f"table_{name}" if name in hidden else name] = value
        return result


def table_rows(layout: Layout) -> list[dict[str, Any]] | None:
    """Return the rows of a layout's table under our names, masked values left out; None without a table.

    Raises
    ------
    InputError
        It cannot be read, or `columns` names one that it lacks.

    Examples
    --------
    >>> table_rows(Layout(table=Table({"candid": [7], "rb": [0.5]}), columns={"id": "candid"}))
    [{'id': 7, 'rb': 0.5}]
    """
    if layout.table is None:
        return None
    table = layout.table
    if not isinstance(table, Table):
        table = read_any(table, layout.columns.get("id") or "id")
    absent = sorted({name for name in layout.columns.values() if name} - set(table.colnames))
    if absent:
        raise InputError(f"the table has no column {', '.join(absent)}; it has {', '.join(table.colnames)}")
    columns = {}
    for name in table.colnames:
        column = table[name]
        if np.ndim(column) == 1:
            values = column.tolist()  # masked ones become None
            columns[name] = [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values
            ]
    size = layout.facts
    return [layout.renamed(dict(zip(columns, row, strict=True))) | size for row in zip(*columns.values(), strict=True)]
