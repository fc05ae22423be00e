"""Which detections of a night belong together: the same place in the sky, or on the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.typing import NDArray

from ..curation.catalogue import read_catalogue
from ..errors import InputError
from ..groups import groups

__all__ = ["add_sources", "detector_fixed", "flag_known", "read_known"]


def add_sources(rows: Table, fwhm: float) -> None:
    """Add `source` (name of the place in the sky) and `epochs` (frames it was detected in)."""
    number = groups(np.column_stack([rows["ref_x"], rows["ref_y"]]), max(1.5, 0.6 * fwhm))
    rows["source"] = [f"s{k:06d}" for k in number] if len(rows) else np.zeros(0, "U1")
    rows["epochs"] = _distinct(number, np.asarray(rows["frame"]))


def _distinct(number: NDArray[np.int64], frames: NDArray[np.str_]) -> NDArray[np.int32]:
    """How many different frames the group of each row spans."""
    if not len(number):
        return np.zeros(0, dtype=np.int32)
    _, frame = np.unique(frames, return_inverse=True)
    pairs = np.unique(np.column_stack([number, frame]), axis=0)
    result: NDArray[np.int32] = np.bincount(pairs[:, 0], minlength=number.max() + 1)[number].astype(np.int32)
    return result


def detector_fixed(rows: Table, fwhm: float) -> NDArray[np.bool_]:
    """Tell which detections stay on one detector pixel while the sky moves: hot pixels, not stars.

    A place on the detector counts where detections of at least three frames fall within
    1 px of it while their places in the sky differ by more than two PSF sizes.
    """
    if not len(rows):
        return np.zeros(0, dtype=bool)
    x, y = np.asarray(rows["x"], float), np.asarray(rows["y"], float)
    number = groups(np.column_stack([x, y]), 0.7)
    epochs = _distinct(number, np.asarray(rows["frame"]))
    size = number.max() + 1
    spread = np.zeros(size)
    for axis, column in (("ref_x", "x"), ("ref_y", "y")):
        for shift in (np.asarray(rows[axis], float) - np.asarray(rows[column], float),):
            high, low = np.full(size, -np.inf), np.full(size, np.inf)
            np.maximum.at(high, number, shift)
            np.minimum.at(low, number, shift)
            spread = np.hypot(spread, high - low)
    # A group must be as small as a detector defect, or a crowded difference would chain into one.
    width = np.zeros(size)
    for values in (x, y):
        high, low = np.full(size, -np.inf), np.full(size, np.inf)
        np.maximum.at(high, number, values)
        np.minimum.at(low, number, values)
        width = np.hypot(width, high - low)
    result: NDArray[np.bool_] = (epochs >= 3) & (spread[number] > 2 * fwhm) & (width[number] < 3.0)
    return result


def read_known(path: Path | str) -> Table:
    """Read a catalogue of known objects: `name`, `ra`, `dec` (degrees); see `realbogus.curation.catalogue`.

    Raises
    ------
    InputError
        It cannot be read, or has no coordinates, or not one row with both.
    """
    table = read_catalogue(path)
    if "ra" not in table.colnames:
        raise InputError(
            f"catalogue {path} has only pixel positions: expected `ra` and `dec` in degrees (or sexagesimal text)"
        )
    return table[np.isfinite(table["ra"]) & np.isfinite(table["dec"])]


def flag_known(rows: Table, known: Table, radius_arcsec: float) -> None:
    """Add `known`: the name of the nearest known object within `radius_arcsec`, else empty."""
    names = np.full(len(rows), "", dtype=object)
    good = np.isfinite(np.asarray(rows["ra"], float)) if len(rows) else np.zeros(0, bool)
    if good.any() and len(known):
        here = SkyCoord(np.asarray(rows["ra"], float)[good] * u.deg, np.asarray(rows["dec"], float)[good] * u.deg)
        index, separation, _ = here.match_to_catalog_sky(SkyCoord(known["ra"] * u.deg, known["dec"] * u.deg))
        match = np.where(separation.arcsec <= radius_arcsec, np.asarray(known["name"], dtype=object)[index], "")
        names[good] = match
    rows["known"] = names.astype(str) if len(rows) else np.zeros(0, "U1")
