"""Stamps that are no alerts: FITS files and arrays, whose facts already stand under our names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..columns import JD_OF_MJD
from .kind import Facts, PacketKind, number
from .packets import Cutout

__all__ = ["ARRAY", "FITS", "OWN_NAMES", "detector_of"]

_NUMBERS = ("ra", "dec", "mjd", "x", "y", "snr", "mag", "fwhm")
_WORDS = ("source", "field", "frame", "night", "band")
_SIGNS = {"t": 1, "true": 1, "+": 1, "f": -1, "false": -1, "-": -1}

#: Names that a header or a table may use for what is ours; `--columns` leads others here.
OWN_NAMES = frozenset(
    {"id", "sign", "label", "cutout_x", "cutout_y", "detector_width", "detector_height", "reversed", *_NUMBERS, *_WORDS}
)


def _sign(value: Any) -> int | None:
    word = _SIGNS.get(str(value).strip().lower())
    if word is not None or isinstance(value, bool):
        return word
    amount = number(value)
    return (1 if amount > 0 else -1) if amount == amount else None  # 0 is the other of 1


def _facts(metadata: Mapping[str, Any], difference: Cutout) -> Facts:
    facts: Facts = {name: number(metadata.get(name)) for name in _NUMBERS}
    if facts["mjd"] > JD_OF_MJD:  # `--columns mjd=jd`
        facts["mjd"] -= JD_OF_MJD
    facts |= {name: None if metadata.get(name) is None else str(metadata[name]) for name in _WORDS}
    label = number(metadata.get("label"))
    facts["label"] = int(label) if label in (1, 0, -1, -2) else None
    facts["sign"] = _sign(metadata.get("sign"))
    return facts


def _source_pixel(metadata: Mapping[str, Any], cutout: Cutout) -> tuple[float, float] | None:
    x, y = number(metadata.get("cutout_x")), number(metadata.get("cutout_y"))
    return (x, y) if x == x and y == y else None


def _is_reversed(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("reversed")) and _sign(metadata.get("sign")) == -1


def detector_of(metadata: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return width and height of the image that a cutout is from, where its row says them.

    Examples
    --------
    >>> detector_of({"detector_width": 2048, "detector_height": 4096.0}), detector_of({})
    ((2048, 4096), None)
    """
    width, height = number(metadata.get("detector_width")), number(metadata.get("detector_height"))
    return (int(width), int(height)) if width >= 1 and height >= 1 else None


FITS = PacketKind(
    "fits",
    "FITS cutouts in a folder",
    facts=_facts,
    same=OWN_NAMES,
    source_pixel=_source_pixel,
    is_reversed=_is_reversed,
)
ARRAY = PacketKind(
    "array",
    "a NumPy array with a table",
    facts=_facts,
    same=OWN_NAMES,
    source_pixel=_source_pixel,
    is_reversed=_is_reversed,
)
