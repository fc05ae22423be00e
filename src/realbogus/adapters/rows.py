"""Packets to stamps: centred, missing pixels filled as `images.cut` does, one row each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import InputError
from ..stamps import UNLABELLED, StampSet
from ..tables import as_table
from .centre import Centre, Place, centre_by_header, find_centre
from .kind import Facts, PacketKind, number
from .kinds import KINDS
from .missing import cleaned, empty_edges
from .packets import CHANNELS, Packet, Unusable, checked
from .plain import detector_of
from .sizes import estimated_fwhm, noise_away

__all__ = ["ASSUMED_FWHM", "COLUMNS", "LONGEST_TEXT", "check_share", "filled", "measured", "rows_of", "stamps_of"]

#: FWHM of a stamp that says nothing of its PSF and is too faint to be measured, pixels.
ASSUMED_FWHM = 3.0

#: Letters of a text that a row keeps; a table holds a column of text as wide as its longest value in every row.
LONGEST_TEXT = 4096

_SIZE = 64

#: Our columns and their Arrow types, in order; a survey's fields follow under their own names.
COLUMNS: Mapping[str, str] = {
    "id": "string", "source": "string", "ra": "float64", "dec": "float64", "field": "string", "frame": "string",
    "night": "string", "mjd": "float64", "band": "string", "x": "float64", "y": "float64", "snr": "float32",
    "mag": "float32", "sign": "int8", "fwhm": "float32", "fwhm_from": "string", "noise": "float32",
    "missing": "float32", "usable": "bool", "centring": "string", "label": "int64", "origin": "string",
    "survey": "string", "file": "string",
}  # fmt: skip


def stamps_of(packets: Iterable[Packet | Unusable], *, min_valid: float = 0.5, fwhm: float | None = None) -> StampSet:
    """Turn packets into stamps, as many as there are packets; what is `Unusable` is left out.

    Parameters
    ----------
    packets : iterable of Packet or Unusable
        As `read_packets` yields them.
    min_valid : float
        Smallest share of what a whole cutout would give that must be there for a stamp to be usable, in [0, 1].
    fwhm : float, optional
        PSF size in pixels of stamps that say nothing of it.

    Returns
    -------
    StampSet
        Channels `difference`, `science`, `reference`, 64 x 64 pixels, the source on ``[32, 32]``; columns as in
        `COLUMNS`, then the survey's own.

    Raises
    ------
    InputError
        `min_valid` or `fwhm` is out of range.

    Examples
    --------
    >>> from realbogus.adapters import Cutout
    >>> y, x = np.mgrid[-31:32, -31:32]
    >>> star = 50 * np.exp(-(x**2 + y**2) / 4.5) + np.random.default_rng(0).normal(0, 1, (63, 63))
    >>> cutout = Cutout(star.astype("float32"))
    >>> cutouts = {"difference": cutout, "science": cutout, "reference": cutout}
    >>> stamps = stamps_of([Packet("array", "a", cutouts, {"mag": 18.2})])
    >>> stamps.pixels.shape, bool(stamps.pixels[0, 0, 32, 32] == star[31, 31].astype("float32"))
    ((1, 3, 64, 64), True)
    >>> row = stamps.catalogue[0]
    >>> print(row["id"], round(float(row["fwhm"]), 1), row["fwhm_from"], row["usable"])
    a 3.5 measured True
    """
    check_share(min_valid, fwhm)
    good = [found for found in map(checked, packets) if isinstance(found, Packet)]
    pixels, rows = rows_of(good, min_valid, fwhm)
    return StampSet(pixels, as_table(rows), CHANNELS, {"origin": "broker"})


def check_share(min_valid: float, fwhm: float | None) -> None:
    """Refuse what cannot be a share, or a PSF's size."""
    if not 0.0 <= min_valid <= 1.0:
        raise InputError(f"min_valid {min_valid} is not in [0, 1]: it is the share that must be there")
    if fwhm is not None and not 0.5 <= fwhm <= 30:
        raise InputError(f"fwhm {fwhm} px: give the PSF's full width at half maximum in pixels, 0.5 to 30")


def rows_of(
    packets: Sequence[Packet], min_valid: float, fwhm: float | None, survey: bool = True
) -> tuple[NDArray[np.float32], pa.Table]:
    """Return pixels (N, 3, 64, 64) and the catalogue of N rows; `stamps_of` says what they are.

    With `survey=False` the catalogue has our columns alone.
    """
    count = len(packets)
    cells = np.full((len(CHANNELS), count * _SIZE, _SIZE), np.nan, dtype=np.float32)
    facts: list[Facts] = []
    whole = np.empty(count)
    for row, packet in enumerate(packets):
        kind = KINDS.resolve(packet.kind)
        cell = cells[:, row * _SIZE : (row + 1) * _SIZE]
        known = kind.facts(packet.metadata, packet.cutouts["difference"])
        known["centring"], whole[row] = _place(cell, packet, kind, known)
        _measure(cell[0], known, fwhm)
        known |= {"id": packet.id, "source": known.get("source") or packet.id, "origin": "broker"}
        known |= {"survey": kind.name, "file": packet.file}
        if known.get("label") is None:
            known["label"] = UNLABELLED
        facts.append(known)
    pixels, missing, usable = filled(cells, min_valid=0.0)
    _without_background(pixels, np.asarray(np.isnan(cells[:, ::_SIZE, 0]).any(axis=0)))
    there = np.rint((1.0 - missing) * _SIZE**2)
    usable &= there >= min_valid * whole
    for row, known in enumerate(facts):
        known["missing"] = float(missing[row])
        known["usable"] = bool(usable[row] and known["noise"] > 0)
    return pixels, _table(packets if survey else (), facts)


def _without_background(pixels: NDArray[np.float32], filled: NDArray[np.bool_]) -> None:
    """Take the median off science and reference, as the project's own stamps have it.

    A stamp whose first pixel was filled has its median there, and need not be sorted again.
    """
    for plane in range(1, len(CHANNELS)):
        level = pixels[:, plane, 0, 0].copy()
        if not filled.all():
            level[~filled] = np.median(pixels[~filled, plane], axis=(1, 2))
        pixels[:, plane] -= level[:, None, None]


def _place(cell: NDArray[np.float32], packet: Packet, kind: PacketKind, known: Facts) -> tuple[str, float]:
    """Put the cutouts into a cell, the source in its middle; say how it was found and how many pixels it could fill."""
    planes, edges = [], []
    for channel in CHANNELS:
        clean, empty = cleaned(packet.cutouts[channel].pixels)
        planes.append(-clean if channel == "difference" and kind.is_reversed(packet.metadata) else clean)
        edges.append(empty)
    detector = kind.detector or detector_of(packet.metadata)
    place = None if detector is None else Place(number(known.get("x")), number(known.get("y")), *detector)
    shapes = {plane.shape for plane in planes}
    centres: list[Centre] = []
    for number_, channel in enumerate(CHANNELS):
        if number_ and len(shapes) == 1 and not packet.cutouts[channel].header.get("CRPIX1"):
            centres.append(centres[0])
            continue
        cutout = packet.cutouts[channel]
        pixel = kind.source_pixel(packet.metadata, cutout)
        if pixel is None and "CRPIX1" in cutout.header:
            pixel = centre_by_header(cutout.header, planes[number_].shape, number(known["ra"]), number(known["dec"]))
        height, width = planes[number_].shape
        if pixel is not None and -0.5 <= pixel[0] < width - 0.5 and -0.5 <= pixel[1] < height - 0.5:
            centres.append(Centre(math.floor(pixel[1] + 0.5), math.floor(pixel[0] + 0.5), "header"))
        elif len(shapes) == 1:
            centres.append(find_centre(planes, empty_edges(edges), side=kind.side, place=place))
        else:
            centres.append(find_centre([planes[number_]], edges[number_], side=kind.side, place=place))
    for plane, centre, target in zip(planes, centres, cell, strict=True):
        _copy(plane, centre, target)
    side = min(kind.side or max(planes[0].shape), _SIZE)
    return centres[0].how, float(side * side)


def _copy(plane: NDArray[np.float32], centre: Centre, target: NDArray[np.float32]) -> None:
    middle = _SIZE // 2
    y0, x0 = max(centre.y - middle, 0), max(centre.x - middle, 0)
    part = plane[y0 : centre.y + middle, x0 : centre.x + middle]
    top, left = middle - centre.y + y0, middle - centre.x + x0
    target[top : top + part.shape[0], left : left + part.shape[1]] = part


def filled(
    cells: NDArray[np.float32], min_valid: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Fill stamps as `images.cut` does; return them, the share that was missing of each, and which are usable.

    Parameters
    ----------
    cells : ndarray of float32, shape (C, N * 64, 64)
        Stamps one below the other, the source of each in its middle; NaN is missing.
    min_valid : float
        Smallest share that must be there.
    """
    from ..images.cut import cut

    count = cells.shape[1] // _SIZE
    middles = {"x": np.full(count, _SIZE // 2), "y": np.arange(count) * _SIZE + _SIZE // 2}
    nothing = np.zeros(cells.shape[1:], dtype=np.uint8)
    return cut(middles, list(cells), nothing, size=_SIZE, min_valid=min_valid)


def measured(
    difference: NDArray[np.float32], noise: float = math.nan, fwhm: float = math.nan
) -> tuple[float, float, str]:
    """Return the noise and the FWHM of a stamp, measured where they are not known, and where the FWHM is from.

    The latter is `measured`, `assumed` where the source is too faint, or empty where it was known.
    """
    if not noise > 0:
        noise = noise_away(difference, fwhm if fwhm > 0 else ASSUMED_FWHM)
    if fwhm > 0:
        return noise, fwhm, ""
    fwhm = estimated_fwhm(difference, noise)
    return (noise, fwhm, "measured") if fwhm > 0 else (noise, ASSUMED_FWHM, "assumed")


def _measure(difference: NDArray[np.float32], known: Facts, given: float | None) -> None:
    """Add noise and FWHM, and where the latter is from."""
    fwhm, source = number(known.get("fwhm")), "packet"
    if not fwhm > 0 and given is not None:
        fwhm, source = given, "given"
    noise, fwhm, other = measured(difference, fwhm=fwhm)
    known |= {"fwhm": fwhm, "fwhm_from": other or source, "noise": noise}


def _table(packets: Sequence[Packet], facts: Sequence[Facts]) -> pa.Table:
    """Our columns, then the survey's: one of a name that is ours gets the survey's name in front."""
    columns: dict[str, pa.Array] = {}
    for name, kind in COLUMNS.items():
        columns[name] = _array([_none_if_nan(known.get(name)) for known in facts], kind)
    types: dict[tuple[str, str], str | None] = {}
    for packet in {(id(packet.schema), packet.kind): packet for packet in packets}.values():
        for name in packet.schema.types if packet.schema is not None else ():
            types[packet.kind, name] = _wider(types.get((packet.kind, name)), packet.schema.types[name])  # type: ignore[union-attr]
    for packet in packets:
        if packet.schema is None:
            types |= {(packet.kind, name): None for name in packet.metadata if (packet.kind, name) not in types}
    for (key, name), scalar in types.items():
        kind_ = KINDS.resolve(key)
        if name in kind_.same:
            continue
        values = [packet.metadata.get(name) if packet.kind == key else None for packet in packets]
        shown = f"{key}_{name}" if name in COLUMNS else name
        array = _array(values, scalar)
        columns[shown] = array if shown not in columns else _merged(columns[shown], array)
    return pa.table(columns)


def _none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def _wider(one: str | None, other: str) -> str:
    if one is None or one == other:
        return other
    order = ("bool", "int32", "int64", "float32", "float64")
    if one not in order or other not in order:
        return "string"
    return "float64" if {one, other} == {"int64", "float32"} else max(one, other, key=order.index)


def _array(values: list[Any], kind: str | None) -> pa.Array:
    """Build a column; values that do not agree on a type become words."""
    if kind == "string":
        return _cut_short(pa.array([None if value is None else str(value) for value in values], pa.string()))
    try:
        array = pa.array(values, None if kind is None else pa.type_for_alias(kind))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return _array(values, "string")
    plain = pa.types.is_primitive(array.type) or pa.types.is_string(array.type) or pa.types.is_null(array.type)
    return _cut_short(array) if plain and not pa.types.is_temporal(array.type) else _array(values, "string")


def _cut_short(array: pa.Array) -> pa.Array:
    if pa.types.is_string(array.type) and array.nbytes > LONGEST_TEXT:
        return pc.utf8_slice_codeunits(array, 0, LONGEST_TEXT)
    return array


def _merged(one: pa.Array, other: pa.Array) -> pa.Array:
    """Two surveys' columns of one name: each row has one of them."""
    ours, theirs = one.to_pylist(), other.to_pylist()
    return _array(
        [a if a is not None else b for a, b in zip(ours, theirs, strict=True)],
        str(one.type) if one.type == other.type else None,
    )
