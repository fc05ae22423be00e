"""Which detections of a night belong together: the same place in the sky, or on the detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..errors import InputError

__all__ = ["add_sources", "detector_fixed", "flag_known", "groups", "read_known"]


def groups(x: NDArray[np.float64], y: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """Return the friends-of-friends group of each position; groups are numbered by first appearance.

    Examples
    --------
    >>> import numpy as np
    >>> groups(np.array([0.0, 9.0, 0.5]), np.zeros(3), 1.0).tolist()
    [0, 1, 0]
    """
    if not len(x):
        return np.zeros(0, dtype=np.int64)
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(radius, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(x), len(x)))
    _, label = connected_components(graph, directed=False)
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    result: NDArray[np.int64] = order[inverse].astype(np.int64)
    return result


def add_sources(rows: Table, fwhm: float) -> None:
    """Add `source` (name of the place in the sky) and `epochs` (frames it was detected in)."""
    number = groups(np.asarray(rows["ref_x"], float), np.asarray(rows["ref_y"], float), max(1.5, 0.6 * fwhm))
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
    number = groups(x, y, 0.7)
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
    """Read a catalogue of known objects: `ra`, `dec` (degrees) and, where there is one, `name`.

    Any format astropy reads; column names are matched without regard to case. Rows whose
    coordinates are masked, empty or not finite are left out.

    Raises
    ------
    InputError
        It cannot be read, or has no coordinates, or not one row with both.
    """
    try:
        table = _read_any(Path(path))
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"catalogue {path} cannot be read as a table: {error}") from error
    lower = {name.lower(): name for name in table.colnames}
    picked = {}
    for wanted, names in (
        (
            "ra",
            ("ra", "raj2000", "ra_deg", "radeg", "ra_icrs", "_ra", "_raj2000", "right_ascension", "alpha"),
        ),
        (
            "dec",
            (
                "dec",
                "dej2000",
                "decj2000",
                "dec_deg",
                "decdeg",
                "de_icrs",
                "_de",
                "_dej2000",
                "declination",
                "delta",
            ),
        ),
        ("name", ("name", "id", "oid", "designation", "source_id", "main_id", "object", "objectid", "star")),
    ):
        picked[wanted] = next((lower[name] for name in names if name in lower), None)
    if picked["ra"] is None or picked["dec"] is None:
        raise InputError(
            f"catalogue {path} has no coordinates: its columns are {table.colnames}, "
            "expected `ra` and `dec` in degrees (or sexagesimal text)"
        )
    ra, ra_there = _coordinate(table[picked["ra"]])
    dec, dec_there = _coordinate(table[picked["dec"]])
    there = ra_there & dec_there
    if not there.any():
        raise InputError(
            f"catalogue {path}: none of its {len(table)} rows has both coordinates, "
            f"expected numbers or sexagesimal text in `{picked['ra']}` and `{picked['dec']}`"
        )
    try:
        sky = SkyCoord(ra[there], dec[there], unit=(u.deg if ra.dtype.kind == "f" else u.hourangle, u.deg))
    except ValueError as error:
        raise InputError(f"catalogue {path}: its coordinates cannot be read ({error})") from error
    name = table[picked["name"]] if picked["name"] else [f"known {k}" for k in range(len(table))]
    kept = [str(value) for value, good in zip(name, there, strict=True) if good]
    return Table({"ra": sky.ra.deg, "dec": sky.dec.deg, "name": kept})


def _coordinate(column: Column) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a coordinate as float or as text, and which rows hold one."""
    masked = np.ma.getmaskarray(np.ma.asarray(column))
    if column.dtype.kind == "S":
        column = np.ma.asarray(column).astype(str)
    if column.dtype.kind == "U" or any(isinstance(value, str) for value in column):
        text = np.array(["" if gone else str(value).strip() for value, gone in zip(column, masked, strict=True)])
        return text, text != ""
    # Under a mask lies any number, most often 0, and that is a place in the sky.
    values = np.where(masked, np.nan, np.asarray(column, dtype=float))
    return values, np.isfinite(values)


def _read_any(path: Path) -> Table:
    if path.suffix == ".parquet":
        from ..tables import read_parquet

        return read_parquet(path)
    by_suffix = {
        ".vot": "votable",
        ".xml": "votable",
        ".fits": "fits",
        ".ecsv": "ascii.ecsv",
        ".csv": "ascii.csv",
    }
    return Table.read(path, format=by_suffix.get(path.suffix.lower(), "ascii"))


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
