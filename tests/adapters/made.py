"""Alert packets made for the tests: ZTF's and Rubin's form, with what matters of their schemas."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS
from numpy.typing import NDArray

WIDTH, HEIGHT = 3072, 3080
NOISE = 4.0
FWHM = 2.6


def _maybe(kind: str) -> list[str]:
    return [kind, "null"]


CUTOUT = {
    "type": "record",
    "name": "ztf.alert.cutout",
    "fields": [{"name": "fileName", "type": "string"}, {"name": "stampData", "type": "bytes"}],
}
ZTF_SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "ztf.alert",
    "fields": [
        {"name": "schemavsn", "type": "string"},
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
        {
            "name": "candidate",
            "type": {
                "type": "record",
                "name": "ztf.alert.candidate",
                "fields": [
                    *({"name": name, "type": "double"} for name in ("jd", "ra", "dec")),
                    *({"name": name, "type": "long"} for name in ("candid", "pid")),
                    *({"name": name, "type": "int"} for name in ("fid", "nid", "field")),
                    *(
                        {"name": name, "type": _maybe("float")}
                        for name in ("xpos", "ypos", "magpsf", "sigmapsf", "fwhm", "seeratio", "scorr", "rb", "drb")
                    ),
                    {"name": "isdiffpos", "type": "string"},
                    {"name": "ssnamenr", "type": _maybe("string")},
                ],
            },
        },
        {
            "name": "prv_candidates",
            "default": None,
            "type": [
                "null",
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "ztf.alert.prv_candidate",
                        "fields": [{"name": "jd", "type": "double"}, {"name": "magpsf", "type": _maybe("float")}],
                    },
                },
            ],
        },
        {"name": "cutoutScience", "type": [CUTOUT, "null"]},
        {"name": "cutoutTemplate", "type": ["ztf.alert.cutout", "null"]},
        {"name": "cutoutDifference", "type": ["ztf.alert.cutout", "null"]},
    ],
}

_RUBIN_FLOATS = ("psfFlux", "psfFluxErr", "snr", "reliability", "ixxPSF", "iyyPSF")
RUBIN_SCHEMA: dict[str, Any] = {
    "type": "record",
    "namespace": "lsst.v7_4",
    "name": "alert",
    "fields": [
        {"name": "alertId", "type": "long"},
        {
            "name": "diaSource",
            "type": {
                "type": "record",
                "name": "diaSource",
                "fields": [
                    {"name": "diaSourceId", "type": "long"},
                    {"name": "visit", "type": "long"},
                    {"name": "detector", "type": "int"},
                    {"name": "diaObjectId", "type": ["null", "long"], "default": None},
                    {"name": "ssObjectId", "type": ["null", "long"], "default": None},
                    *({"name": name, "type": "double"} for name in ("midpointMjdTai", "ra", "dec")),
                    *({"name": name, "type": "float"} for name in ("x", "y")),
                    *({"name": name, "type": ["null", "float"], "default": None} for name in _RUBIN_FLOATS),
                    {"name": "is_negative", "type": ["null", "boolean"], "default": None},
                    {"name": "band", "type": ["null", "string"], "default": None},
                ],
            },
        },
        {
            "name": "prvDiaSources",
            "type": ["null", {"type": "array", "items": "lsst.v7_4.diaSource"}],
            "default": None,
        },
        *(
            {"name": f"cutout{name}", "type": ["null", "bytes"], "default": None}
            for name in ("Difference", "Science", "Template")
        ),
    ],
}


def noise(shape: tuple[int, ...], seed: int = 1) -> NDArray[np.float32]:
    """Noise of sigma `NOISE`."""
    return np.float32(NOISE) * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def star(image: NDArray[np.float32], y: float, x: float, peak: float, fwhm: float = FWHM) -> NDArray[np.float32]:
    """The image with a star in it; the place may be outside."""
    grid_y, grid_x = np.ogrid[: image.shape[0], : image.shape[1]]
    profile = np.exp(-4 * np.log(2) * ((grid_y - y) ** 2 + (grid_x - x) ** 2) / fwhm**2)
    return (image + peak * profile).astype(np.float32)


def cut_at(image: NDArray[np.float32], y: int, x: int, side: int = 63) -> NDArray[np.float32]:
    """As ZTF cuts: what lies beyond the edge is not there."""
    half = side // 2
    return image[max(y - half, 0) : y - half + side, max(x - half, 0) : x - half + side]


def fits_bytes(image: NDArray[Any], header: Mapping[str, Any] | None = None, *, packed: bool = False) -> bytes:
    """One image as a FITS file."""
    stream = io.BytesIO()
    fits.PrimaryHDU(np.asarray(image), fits.Header(dict(header or {}))).writeto(stream)
    return gzip.compress(stream.getvalue(), 1) if packed else stream.getvalue()


def ztf_record(
    planes: Sequence[NDArray[np.float32]], x: float, y: float, number: int = 1, **candidate: Any
) -> dict[str, Any]:
    """One alert; planes in the order difference, science, reference; x, y 0-based."""
    facts = {
        "jd": 2458800.75, "ra": 97.1, "dec": 56.0, "candid": number, "pid": 1048197683315, "fid": 1, "nid": 1048,
        "field": 781, "xpos": x + 1, "ypos": y + 1, "magpsf": 18.5, "sigmapsf": 0.1, "fwhm": 2.0, "seeratio": 1.25,
        "scorr": 12.5, "rb": 0.91, "drb": None, "isdiffpos": "t", "ssnamenr": "null",
    } | candidate  # fmt: skip
    names = ("cutoutDifference", "cutoutScience", "cutoutTemplate")
    cutouts = {
        name: {"fileName": "../../etc/x.fits.gz", "stampData": fits_bytes(plane, packed=True)}
        for name, plane in zip(names, planes, strict=True)
    }
    return {
        "schemavsn": "3.3", "objectId": f"ZTF19aaa{number:04d}", "candid": number, "candidate": facts,
        "prv_candidates": [{"jd": 2458799.5, "magpsf": 19.0}] * 3, **cutouts,
    }  # fmt: skip


def rubin_fits(image: NDArray[np.float32], first_x: int, first_y: int, x: float, y: float, ra: float, dec: float,
               psf: NDArray[np.float32] | None = None) -> bytes:  # fmt: skip
    """A cutout as lsst.ap.association writes it: the source is the WCS's reference, CUTMINX lies one before the first
    pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = [x - (first_x - 1), y - (first_y - 1)]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.cd = np.array([[-0.2, 0.0], [0.0, 0.2]]) / 3600
    data = CCDData(image, unit="nJy", wcs=wcs, meta={"cutMinX": first_x - 1, "cutMinY": first_y - 1}, psf=psf)
    stream = io.BytesIO()
    data.write(stream, format="fits")
    return stream.getvalue()


def rubin_record(number: int, planes: Sequence[bytes | None], x: float, y: float, **source: Any) -> dict[str, Any]:
    """One alert; planes in the order difference, science, reference."""
    facts = {
        "diaSourceId": number, "visit": 2025042000123, "detector": 94, "diaObjectId": 7000 + number,
        "midpointMjdTai": 60786.2, "ra": 150.1, "dec": 2.2, "x": x, "y": y, "psfFlux": -1000.0, "psfFluxErr": 50.0,
        "snr": 19.0, "reliability": 0.8, "band": "r",
    } | source  # fmt: skip
    names = ("cutoutDifference", "cutoutScience", "cutoutTemplate")
    history = [dict(facts, diaSourceId=1)]
    return {"alertId": number, "diaSource": facts, "prvDiaSources": history} | dict(zip(names, planes, strict=True))


def container(schema: Mapping[str, Any], records: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    """An Avro file of records; a block a record where `sync_interval` is 1."""
    stream = io.BytesIO()
    fastavro.writer(stream, fastavro.parse_schema(dict(schema)), records, **options)
    return stream.getvalue()


def message(schema: Mapping[str, Any], record: Mapping[str, Any]) -> bytes:
    """The bytes of one record without its schema."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(dict(schema)), record)
    return stream.getvalue()


def ztf_at(detector: NDArray[np.float32], x: float, y: float, number: int = 1, **candidate: Any) -> dict[str, Any]:
    """An alert cut out of the detector where ZTF would: a positive star in the difference, sky in the others."""
    row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    plain = cut_at(detector, row, column)
    top, left = max(row - 31, 0), max(column - 31, 0)
    difference = star(plain, y - top, x - left, 300.0)
    return ztf_record([difference, difference * 2 + 300, plain + 120], x, y, number, **candidate)
