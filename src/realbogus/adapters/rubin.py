"""Alerts of the Vera C. Rubin Observatory, schema 3 to 11 (github.com/lsst/alert_packet)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kind import Facts, PacketKind, number, sky_cell
from .packets import Cutout

__all__ = ["RUBIN"]

_ZERO_POINT = 31.4  # AB magnitude of 1 nJy
_ARCSEC_PER_PIXEL = 0.2  # of the camera, where the header does not say


def _identify(record: Mapping[str, Any]) -> Any:
    source = record.get("diaSource")
    inner = source.get("diaSourceId") if isinstance(source, Mapping) else None
    return inner if inner is not None else record.get("diaSourceId", record.get("alertId"))


def _source(metadata: Mapping[str, Any]) -> str | None:
    """Return the object, or the one of the solar system; without either a detection stands for itself."""
    for name, form in (("diaObjectId", "{}"), ("ssObjectId", "ss{}")):
        value = metadata.get(name)
        if value:  # 0 was null once
            return form.format(value)
    return None


def _facts(metadata: Mapping[str, Any], difference: Cutout) -> Facts:
    get = metadata.get
    flux, error = number(get("psfFlux")), number(get("psfFluxErr"))
    negative = get("isNegative", get("is_negative"))
    sign = (-1 if negative else 1) if negative is not None else (int(np.sign(flux)) or None if flux == flux else None)
    snr = abs(number(get("snr")))
    if not snr > 0 and error > 0:
        snr = abs(flux) / error
    ra, dec, mjd = number(get("ra")), number(get("dec")), number(get("midpointMjdTai", get("midPointTai")))
    visit, detector = get("visit"), get("detector")
    frame = f"{visit}-{detector}" if visit is not None and detector is not None else get("ccdVisitId")
    return {
        "source": _source(metadata),
        "ra": ra,
        "dec": dec,
        "field": sky_cell(ra, dec),
        "frame": None if frame is None else str(frame),
        "night": str(math.floor(mjd - 0.5)) if mjd == mjd else None,  # Chile's noon is at 15 to 16 h UTC
        "mjd": mjd,
        "band": get("band", get("filterName")),
        "x": number(get("x")),
        "y": number(get("y")),
        "snr": snr * (sign or 1),
        "mag": _ZERO_POINT - 2.5 * math.log10(abs(flux)) if abs(flux) > 0 else math.nan,
        "fwhm": _fwhm(metadata, difference),
        "sign": sign,
    }


def _fwhm(metadata: Mapping[str, Any], difference: Cutout) -> float:
    """Of the PSF that came along; else of its second moments, in square arcseconds."""
    if difference.psf is not None:
        area = _equivalent_area(difference.psf)
        if area > 1:
            return 2.355 * math.sqrt(area / (4 * math.pi))
    xx, yy = number(metadata.get("ixxPSF")), number(metadata.get("iyyPSF"))
    if xx + yy > 0:
        return 2.355 * math.sqrt((xx + yy) / 2) / _pixel_scale(difference.header)
    return math.nan


def _equivalent_area(psf: NDArray[np.float32]) -> float:
    values = np.where(np.abs(psf) < 1e30, psf, 0).astype(np.float64)
    square = float((values**2).sum())
    return float(values.sum()) ** 2 / square if square > 0 else 0.0


def _pixel_scale(header: Mapping[str, Any]) -> float:
    a, b, c, d = (number(header.get(name, 0.0)) for name in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"))
    scale = 3600 * math.sqrt(abs(a * d - b * c))
    return scale if 0.01 < scale < 10 else _ARCSEC_PER_PIXEL


def _source_pixel(metadata: Mapping[str, Any], cutout: Cutout) -> tuple[float, float] | None:
    """CUTMINX is one less than the detector's pixel that is the cutout's first."""
    x, y = (number(metadata.get(name)) - number(cutout.header.get(f"CUTMIN{name.upper()}")) - 1 for name in ("x", "y"))
    return (x, y) if x == x and y == y else None


RUBIN = PacketKind(
    "rubin",
    "Vera C. Rubin Observatory: FITS of 30 x 30 pixels or more, calibrated to nJy",
    marks=frozenset({"diaSource", "cutoutDifference", "cutoutTemplate"}),
    candidate="diaSource",
    images={"difference": "cutoutDifference", "science": "cutoutScience", "reference": "cutoutTemplate"},
    identify=_identify,
    facts=_facts,
    same=frozenset({"ra", "dec", "x", "y", "band"}),
    source_pixel=_source_pixel,
)
