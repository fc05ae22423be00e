"""FITS out of bytes, compared with astropy's own reading."""

from __future__ import annotations

import gzip
import io
import re
import tracemalloc
import zlib

import made
import numpy as np
import pytest
from astropy.io import fits

from realbogus.adapters.fits_bytes import cutout_from_bytes, hdus, inflate
from realbogus.adapters.fits_head import parse_head
from realbogus.adapters.packets import UnusableError

IMAGE = made.noise((21, 34), 3)


def _bytes(*parts: object) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(parts)).writeto(stream)
    return stream.getvalue()


def _scaled() -> bytes:
    hdu = fits.PrimaryHDU((IMAGE * 10).astype("f8"))
    hdu.scale("int16", bscale=0.25, bzero=100.0)
    return _bytes(hdu)


def _blank() -> bytes:
    hdu = fits.PrimaryHDU(np.arange(12, dtype="i2").reshape(3, 4))
    hdu.header["BLANK"] = 7
    return _bytes(hdu)


@pytest.mark.parametrize(
    "data",
    [
        _bytes(fits.PrimaryHDU(IMAGE)),
        _bytes(fits.PrimaryHDU(IMAGE.astype("f8"))),
        _bytes(fits.PrimaryHDU((IMAGE * 100).astype("i2"))),
        _bytes(fits.PrimaryHDU((IMAGE * 100).astype("i4"))),
        _bytes(fits.PrimaryHDU(np.arange(60, dtype="u1").reshape(6, 10))),
        _bytes(fits.PrimaryHDU((np.abs(IMAGE) * 9000).astype("u2"))),  # BZERO 32768
        _bytes(fits.PrimaryHDU(np.where(IMAGE > 5, np.nan, IMAGE))),
        _bytes(fits.PrimaryHDU(IMAGE[None])),
        _scaled(),
        _blank(),
        _bytes(fits.PrimaryHDU(), fits.ImageHDU(IMAGE, name="SCI")),
        _bytes(fits.PrimaryHDU(), fits.CompImageHDU(IMAGE, compression_type="RICE_1", quantize_level=16)),
    ],
    ids=[
        "float",
        "double",
        "short",
        "long",
        "byte",
        "unsigned",
        "nan",
        "plane",
        "scaled",
        "blank",
        "extension",
        "tiles",
    ],
)
def test_pixels_are_those_of_astropy(data: bytes) -> None:
    with fits.open(io.BytesIO(data)) as opened:
        expected = next(np.asarray(hdu.data, dtype=np.float64) for hdu in opened if hdu.data is not None)
    expected = expected.reshape(expected.shape[-2:])
    for packed in (data, gzip.compress(data)):
        found = cutout_from_bytes(packed).pixels
        assert found.dtype == np.float32 and found.dtype.isnative
        np.testing.assert_allclose(found, expected, rtol=3e-7)


def test_headers_are_those_of_astropy() -> None:
    header = fits.Header()
    header["OBJECT"] = ("it's / not", "a comment / with a slash")
    header["EXPTIME"] = (30.5, "s")
    header["COUNT"], header["FLAG"], header["TINY"] = -7, True, 1.5e-12
    header["CRVAL1"] = 150.1234567890123
    header["HISTORY"] = "SIMPLE = F"
    stream = io.BytesIO()
    fits.PrimaryHDU(IMAGE, header).writeto(stream)
    found = cutout_from_bytes(stream.getvalue()).header
    with fits.open(io.BytesIO(stream.getvalue())) as opened:
        expected = {card: value for card, value in opened[0].header.items() if card != "HISTORY"}
    assert dict(found) == expected


def test_a_card_as_ztf_writes_it() -> None:
    """SIMPLE's value stands in column 12 there, where the standard has 30; astropy warns of it."""
    data = made.fits_bytes(IMAGE)
    odd = b"SIMPLE  =  T".ljust(80) + data[80:]
    np.testing.assert_array_equal(cutout_from_bytes(odd).pixels, IMAGE)


def test_a_psf_comes_along_and_a_broken_one_does_no_harm() -> None:
    psf = fits.ImageHDU(np.ones((5, 7), "f4"), name="PSFIMAGE")
    whole = _bytes(fits.PrimaryHDU(IMAGE), fits.ImageHDU(IMAGE, name="UNCERT"), psf)
    found = cutout_from_bytes(whole)
    assert found.psf is not None and found.psf.shape == (5, 7)
    assert [hdu.name for hdu in hdus(whole)] == ["", "UNCERT", "PSFIMAGE"]
    short = cutout_from_bytes(whole[:-2880])
    assert short.psf is None
    np.testing.assert_array_equal(short.pixels, IMAGE)


@pytest.mark.parametrize(
    ("data", "cause", "words"),
    [
        (b"", "bad cutout", "no bytes"),
        (b"\x89PNG\r\n" * 9, "bad cutout", "no FITS: it begins with b'\\x89PNG"),
        (made.fits_bytes(IMAGE)[:300], "bad cutout", "its header has no end"),
        (made.fits_bytes(IMAGE)[:-2880], "bad cutout", "34 x 21 pixels take 2856 bytes, 0 are there"),
        (gzip.compress(made.fits_bytes(IMAGE))[:-9], "bad cutout", "gzip that is cut short"),
        (gzip.compress(made.fits_bytes(IMAGE))[:40] + bytes(300), "bad cutout", "gzip"),
        (_bytes(fits.PrimaryHDU()), "bad cutout", "without a two-dimensional image"),
        (_bytes(fits.PrimaryHDU(IMAGE[0])), "bad cutout", "without a two-dimensional image"),
    ],
    ids=["empty", "foreign", "header", "data", "gzip", "damage", "none", "line"],
)
def test_what_cannot_be_read_says_why(data: bytes, cause: str, words: str) -> None:
    with pytest.raises(UnusableError, match=re.escape(words)) as caught:
        cutout_from_bytes(data)
    assert caught.value.cause == cause


def _promising(width: object, height: object, **cards: object) -> bytes:
    lines = {"SIMPLE": "T", "BITPIX": -32, "NAXIS": 2, "NAXIS1": width, "NAXIS2": height} | cards
    text = "".join(f"{name:8}= {value!s:>20}".ljust(80) for name, value in lines.items()) + "END".ljust(80)
    return text.ljust(2880).encode() + bytes(2880)


@pytest.mark.parametrize(
    "data",
    [
        _promising(100_000, 100_000),
        _promising(2**62, 2**62),
        _promising(0, 5),
        _promising(-4, 5),
        _promising("'wide'", 5),
        _promising(5, 5, NAXIS=10**9),
        _promising(5, 5, BITPIX="'many'"),
        _promising(5, 5, BITPIX=7),
        _promising(5, 5, ZIMAGE="T", ZNAXIS=2, ZNAXIS1=100_000, ZNAXIS2=100_000),
        gzip.compress(bytes(40 * 2**20)),
        gzip.compress(gzip.compress(made.fits_bytes(IMAGE))),
    ],
    ids=["large", "huge", "flat", "negative", "word", "axes", "type", "bits", "tiles", "bomb", "twice"],
)
def test_promises_cost_no_memory(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(UnusableError):
        cutout_from_bytes(data)
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()


def test_gzip_may_have_several_members_up_to_the_limit() -> None:
    assert inflate(gzip.compress(b"ab") + gzip.compress(b"cd"), 4) == b"abcd"
    with pytest.raises(UnusableError, match="more than 3 bytes"):
        inflate(gzip.compress(b"ab") + gzip.compress(b"cd"), 3)
    assert zlib.decompress(gzip.compress(b"ab"), 31) == b"ab"


def test_a_header_without_measure_is_refused_and_not_kept() -> None:
    head = b"SIMPLE  =                    T".ljust(80) + b"COMMENT filler".ljust(80) * (2**20 // 80)
    kept = parse_head.cache_info().currsize
    with pytest.raises(UnusableError, match="FITS header of 1048") as caught:
        cutout_from_bytes(head + b"END".ljust(80) + bytes(2880))
    assert caught.value.cause == "refused" and parse_head.cache_info().currsize == kept
