"""Alerts of the Zwicky Transient Facility, schema 1.8 to 4 (Masci et al. 2019, PASP 131, 018003)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..columns import JD_OF_MJD
from .kind import Facts, PacketKind, number
from .packets import Cutout

__all__ = ["ZTF"]

_BANDS = {1: "g", 2: "r", 3: "i"}
_SIGNS = {"t": 1, "1": 1, "f": -1, "0": -1}
_LN10 = 1.0857362047581296  # 2.5 / ln 10: magnitudes of an error of one part


def _identify(record: Mapping[str, Any]) -> Any:
    return record.get("candid")


def _image_bytes(value: Any) -> bytes | None:
    # the file's name beside it is the survey's; nothing here is ever written under it
    data = value.get("stampData") if isinstance(value, Mapping) else None
    return data if isinstance(data, bytes) and data else None


def _sign(metadata: Mapping[str, Any]) -> int | None:
    return _SIGNS.get(str(metadata.get("isdiffpos")).strip().lower()[:1])


def _is_reversed(metadata: Mapping[str, Any]) -> bool:
    """Say whether it faded: then it and its cutout are of reference minus science (`..._refmsci.fits.gz`)."""
    return _sign(metadata) == -1


def _facts(metadata: Mapping[str, Any], difference: Cutout) -> Facts:
    get = metadata.get
    sign = _sign(metadata)
    # scorr is the S/N of the matched filter; schema 1 had none, and sigmapsf is in magnitudes
    snr = number(get("scorr"))
    error = number(get("sigmapsf"))
    if not snr > 0 and error > 0:
        snr = _LN10 / error
    # seeratio is the difference image's FWHM over the candidate's own, so this is the same for a whole image
    fwhm = number(get("fwhm")) * number(get("seeratio"))
    night, frame, field = get("nid"), get("pid"), get("field")
    return {
        "source": get("objectId"),
        "ra": number(get("ra")),
        "dec": number(get("dec")),
        "field": None if field is None else f"{field}",
        "frame": None if frame is None else f"{frame}",
        "night": None if night is None else f"{night}",
        "mjd": number(get("jd")) - JD_OF_MJD,
        "band": _BANDS.get(get("fid")),  # type: ignore[arg-type]
        "x": number(get("xpos")) - 1,  # the first pixel's centre is 1 in the packet, 0 here
        "y": number(get("ypos")) - 1,
        "snr": snr * (sign or 1),
        "mag": number(get("magpsf")),
        "fwhm": fwhm if fwhm > 0.5 else math.nan,
        "sign": sign,
    }


ZTF = PacketKind(
    "ztf",
    "Zwicky Transient Facility: gzipped FITS of 63 x 63 pixels",
    marks=frozenset({"candidate", "candid", "objectId", "cutoutScience", "cutoutTemplate", "cutoutDifference"}),
    candidate="candidate",
    images={"difference": "cutoutDifference", "science": "cutoutScience", "reference": "cutoutTemplate"},
    identify=_identify,
    image_bytes=_image_bytes,
    facts=_facts,
    same=frozenset({"ra", "dec"}),
    side=63,
    detector=(3072, 3080),
    is_reversed=_is_reversed,
)
