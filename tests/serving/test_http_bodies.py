"""Bodies of requests: what can be read is read as other programs do; what cannot is refused with its reason."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
sys.path.insert(0, str(Path(__file__).parent))  # http_kit.py; importlib mode puts no test folder on the path

from http_kit import alerts, fits_file, npy, stamp

from realbogus.adapters import read_packets, stamps_of
from realbogus.adapters.sizes import estimated_fwhm, noise_away
from realbogus.serving.http import avro
from realbogus.serving.http.bodies import posted_from
from realbogus.serving.http.limits import Limits, Refusal
from realbogus.serving.http.posted import Given

ONE, ALL = ("difference",), ("difference", "science", "reference")
STAMP = stamp()
THREE = np.stack([stamp(seed=seed) for seed in range(3)])


def read(data: bytes, media: str = "", wanted: tuple[str, ...] = ONE, limits: Limits | None = None, **given: object):
    return posted_from(data, media, Given(**given), wanted, limits or Limits())


def refusal(*args: object, **options: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(*args, **options)
    return caught.value


@pytest.mark.parametrize(
    "array", [STAMP, STAMP[None], STAMP[None, None], STAMP.astype(">f8"), np.asfortranarray(STAMP)]
)
def test_one_stamp_in_every_shape(array):
    posted = read(npy(array))
    np.testing.assert_array_equal(posted.pixels, STAMP[None, None])
    assert posted.ids == ["stamp-0"] and posted.usable.all() and posted.missing[0] == 0


def test_integers_are_numbers():
    counts = np.round(STAMP * 10).astype(">i2")
    np.testing.assert_array_equal(read(npy(counts)).pixels[0, 0], counts)
    np.testing.assert_array_equal(read(fits_file(counts)).pixels[0, 0], counts)
    unsigned = (counts.astype(int) + 500).astype(np.uint16)  # FITS has them with BZERO
    np.testing.assert_array_equal(read(fits_file(unsigned)).pixels[0, 0], unsigned)


def test_channels_by_number_and_by_name():
    np.testing.assert_array_equal(read(npy(THREE)).pixels[0], THREE[:1])  # alerts' order
    np.testing.assert_array_equal(read(npy(THREE), wanted=ALL).pixels[0], THREE)
    named = read(npy(THREE), channels=("science", "reference", "difference"))
    np.testing.assert_array_equal(named.pixels[0, 0], THREE[2])
    several = read(npy(np.stack([THREE, THREE + 1])), id=("a", "b"), noise=(1.0, 2.0), fwhm=(3.0,))
    assert several.ids == ["a", "b"] and several.noise.tolist() == [1, 2] and several.fwhm.tolist() == [3, 3]


def test_fits_images_and_cubes():
    np.testing.assert_array_equal(read(fits_file(THREE)).pixels[0], THREE[:1])
    cubes = read(fits_file(THREE, THREE[::-1]))
    np.testing.assert_array_equal(cubes.pixels[:, 0], [THREE[0], THREE[2]])
    names = ("SCIENCE", "DIFFERENCE", "REFERENCE")
    np.testing.assert_array_equal(read(fits_file(*THREE, names=names)).pixels[0, 0], THREE[1])
    np.testing.assert_array_equal(read(fits_file(*THREE), channels=ALL[::-1]).pixels[0, 0], THREE[2])
    packed = read(gzip.compress(fits_file(STAMP)), "application/fits")
    np.testing.assert_array_equal(packed.pixels[0, 0], STAMP)


def test_what_is_given_goes_before_the_header_and_that_before_what_is_measured():
    data = fits_file(STAMP, NOISE=2.5, ID="a star", MJD=60000.25)
    posted = read(data)
    assert (posted.ids, posted.noise.tolist(), posted.noise_from) == (["a star"], [2.5], ["packet"])
    assert posted.mjd.tolist() == [60000.25]
    assert posted.fwhm_from == ["measured"] and posted.fwhm[0] == pytest.approx(estimated_fwhm(STAMP, 2.5))
    given = read(data, noise=(4.0,), fwhm=(3.5,), id=("mine",), mjd=1.0)
    assert (given.ids, given.noise[0], given.fwhm[0], given.mjd[0]) == (["mine"], 4.0, 3.5, 1.0)
    bare = read(npy(STAMP))
    assert bare.noise[0] == pytest.approx(noise_away(STAMP, 3.0)) == pytest.approx(1, abs=0.1)
    faint = read(npy(stamp(peak=0.0)))
    assert faint.fwhm_from == ["assumed"]


def test_other_sizes_keep_the_source_in_the_middle():
    small = stamp(side=63)
    posted = read(npy(small))
    np.testing.assert_array_equal(posted.pixels[0, 0, 1:, 1:], small)
    assert posted.missing[0] == pytest.approx(1 - 63**2 / 64**2) and posted.usable[0]
    assert posted.pixels[0, 0, 0, 0] == np.median(small)  # filled with the local background
    large = stamp(side=101)
    np.testing.assert_array_equal(read(fits_file(large)).pixels[0, 0], large[18:82, 18:82])
    tiny = read(npy(stamp(side=32)))  # as `adapt` takes it: what was sent is whole
    assert tiny.usable[0] and tiny.missing[0] == 0.75


def test_alerts_are_read_as_adapt_reads_them():
    data = alerts(3)
    posted, truth = read(data, "avro/binary"), stamps_of(read_packets(data))
    np.testing.assert_array_equal(posted.pixels, truth.pixels[:, :1])
    assert posted.ids == truth.catalogue["id"].tolist()
    np.testing.assert_array_equal(posted.noise, truth.noise)
    assert not posted.failed


def test_a_bad_alert_among_good_ones_is_named():
    data = alerts(3, sync_interval=1)
    posted = read(data[:-300])
    assert posted.ids == ["1", "2"] and len(posted.failed) == 1 and "cut short" in posted.failed[0].reason


def _header(text: str) -> bytes:
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


_GOOD, _NAN, _INF = npy(STAMP), STAMP.copy(), STAMP.copy()
_NAN[3, 4], _INF[0, 0] = np.nan, np.inf
_FITS = fits_file(STAMP)
_STRUCTURED = np.zeros(3, dtype=[("a", "f4")])


def _tiled() -> bytes:
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(STAMP)]).writeto(stream)
    return stream.getvalue()


def _table() -> bytes:
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])]).writeto(
        stream
    )
    return stream.getvalue()


BAD = {
    "empty": (b"", 422, "empty body"),
    "unknown": (b"GIF89a", 415, "begins with b'GIF89a'"),
    "npz": (b"PK\x03\x04rest", 415, "expected"),
    "npy cut in its header": (_GOOD[:30], 422, "damaged or cut short"),
    "npy cut": (_GOOD[:-5], 422, "cut short: (64, 64) of float32 take 16384 bytes, 16379 are there"),
    "npy and more": (_GOOD + b"x", 422, "damaged"),
    "npy of version 9": (b"\x93NUMPY\x09\x00" + _GOOD[8:], 422, "version"),
    "npy that promises much": (
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,)}"),
        422,
        "cut",
    ),
    "npy of negative size": (_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 64)}"), 422, "(-1, 64)"),
    "npy with a program": (_header("{'descr': __import__('os').abort(), 'shape': (1,)}"), 422, "cannot be read"),
    "npy nested": (_header("(" * 100), 422, "cannot be read"),
    "objects": (npy(np.array([{}], dtype=object), pickled=True), 422, "objects are never read"),
    "structured": (npy(_STRUCTURED), 422, "send numbers"),
    "complex": (npy(STAMP.astype(complex)), 422, "send numbers"),
    "words": (npy(np.array(["a"])), 422, "send numbers"),
    "NaN": (npy(_NAN), 422, "1 of 1 stamps hold pixels that are not finite"),
    "infinite": (npy(_INF), 422, "not finite"),
    "too large for float32": (npy(np.full((64, 64), 1e300)), 422, "not finite"),
    "one axis": (npy(np.zeros(64, "f4")), 422, "an array of shape (64,)"),
    "five axes": (npy(np.zeros((1, 1, 1, 64, 64), "f4")), 422, "send (H, W)"),
    "no stamps": (npy(np.zeros((0, 1, 64, 64), "f4")), 422, "an array of shape (0, 1, 64, 64)"),
    "not square": (npy(np.zeros((45, 64), "f4")), 422, "45 x 64 pixels: they must be square"),
    "small": (npy(np.zeros((9, 9), "f4")), 422, "16 to 512"),
    "large": (npy(np.zeros((600, 600), "u1")), 422, "16 to 512"),
    "planes": (npy(np.zeros((5, 64, 64), "f4")), 422, "5 planes a stamp"),
    "gzip cut": (gzip.compress(_GOOD)[:-20], 422, "cut short"),
    "gzip bomb": (gzip.compress(bytes(40 * 2**20)), 413, "unpacks to more than"),
    "fits cut": (_FITS[:9000], 422, "cut short"),
    "fits cut in its header": (_FITS[:300], 422, "no end"),
    "fits cube cut": (fits_file(THREE)[:40000], 422, "cut short"),
    "fits of NaN": (fits_file(_NAN), 422, "not finite"),
    "fits without an image": (fits_file(None), 422, "without an image"),
    "fits table": (_table(), 422, "without an image"),
    "fits in tiles": (_tiled(), 422, "compressed tiles"),
    "fits of no kind": (
        _FITS.replace(b"BITPIX  =                  -32", b"BITPIX  =                   17"),
        422,
        "BITPIX",
    ),
    "fits of words": (
        _FITS.replace(b"NAXIS1  =                   64", b"NAXIS1  =                 'ab'"),
        422,
        "sizes",
    ),
    "fits of unnamed images": (fits_file(STAMP, STAMP), 422, "2 FITS images called ['', '']"),
    "fits of two kinds": (fits_file(STAMP, THREE), 422, "images and cubes"),
    "fits of two sizes": (fits_file(STAMP, stamp(side=63), names=("DIFFERENCE", "SCIENCE")), 422, "several sizes"),
    "cubes of two sizes": (fits_file(THREE, THREE[:, :63, :63]), 422, "several shapes"),
    "fits of no noise": (fits_file(STAMP, NOISE=-1.0), 422, "NOISE = -1"),
    "alerts cut": (alerts(1)[:-300], 422, "cut short"),
    "alerts cut in their header": (alerts(1)[:40], 422, "cut short"),
    "not alerts": (b"Obj\x01" + b"\x00" * 40, 422, "no alert that could be scored"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_with_its_reason(name):
    data, status, reason = BAD[name]
    caught = refusal(data)
    assert caught.status == status and reason in caught.reason
    assert len(caught.reason) < 400


@pytest.mark.parametrize(
    ("planes", "given", "reason"),
    [
        (1, {"noise": (1.0, 2.0, 3.0)}, "3 values of noise for 2 stamps"),
        (1, {"id": ("a",)}, "1 names (?id=) for 2 stamps"),
        (2, {"channels": ("science", "science")}, "name each plane once"),
        (1, {"channels": ("science", "reference")}, "1 planes a stamp and the channels"),
        (2, {"channels": ("science", "reference")}, "nothing to measure on"),
        (2, {"channels": ("science", "reference"), "noise": (1.0,), "fwhm": (2.0,)}, "the model needs the channels"),
    ],
)
def test_what_the_address_says_must_fit(planes, given, reason):
    caught = refusal(npy(np.stack([THREE[:planes]] * 2)), **given)
    assert caught.status == 422 and reason in caught.reason


def test_types_are_believed_and_checked():
    assert refusal(_GOOD, "application/fits").reason.endswith("expected a FITS file")
    assert refusal(_GOOD, "application/fits").status == 422
    for media in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
        assert refusal(_GOOD, media).status == 415
    for media in ("application/x-npy", "application/octet-stream", "Application/X-NPY; v=1", ""):
        assert len(read(_GOOD, media)) == 1


def test_no_more_than_agreed(monkeypatch):
    few = Limits(stamps=2)
    many = npy(np.stack([STAMP[None]] * 3))
    assert refusal(many, limits=few).status == 413
    assert refusal(fits_file(*[THREE] * 4), limits=few).status == 413
    assert refusal(alerts(3), limits=few).status == 413
    monkeypatch.setattr(avro, "_MOST", 20_000)  # one alert has 12,000 pixels
    assert "unpack to more than" in refusal(alerts(3)).reason
    assert len(read(alerts(1))) == 1


def test_alerts_that_unpack_to_much_are_taken_a_few_at_a_time(monkeypatch):
    data = alerts(5)
    whole = read(data)
    monkeypatch.setattr(avro, "_HELD", 13_000)
    parts = read(data)
    np.testing.assert_array_equal(parts.pixels, whole.pixels)
    assert parts.ids == whole.ids


def test_an_alert_says_itself_what_it_is():
    for given in ({"noise": (1.0,)}, {"id": ("a",)}, {"channels": ("difference",)}, {"fwhm": (99.0,)}):
        assert refusal(alerts(1), **given).status == 422


def test_real_alerts(shared_data):
    paths = sorted((shared_data / "ztf_alerts" / "packets").glob("*.avro"))[:10]
    for path in paths:
        data = path.read_bytes()
        truth = stamps_of(read_packets(data))
        posted = read(data)
        np.testing.assert_array_equal(posted.pixels, truth.pixels[:, :1])
        assert posted.usable.tolist() == truth.catalogue["usable"].tolist()


def test_what_an_alert_does_not_say_is_nan_and_a_long_id_a_reason():
    import made

    detector = np.random.default_rng(0).normal(0, made.NOISE, (200, 200)).astype("f4")
    records = [made.ztf_at(detector, 100, 100, number) for number in (1, 2)]
    records[1]["candidate"] = records[1]["candidate"] | {"jd": float("nan"), "fwhm": None}
    records[1] |= {"objectId": "x" * 900_000}
    posted = read(made.container(made.ZTF_SCHEMA, records))
    assert posted.ids == ["1", "2"] and posted.fwhm_from[0] == "packet" != posted.fwhm_from[1]
    assert np.isfinite(posted.mjd).tolist() == [True, False]
