"""Stamps and rows of packets: pixels, missing, facts under our names, the survey's beside them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import made
import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.adapters import Packet, packet_schema, read_packets, stamps_of
from realbogus.adapters.packets import Unusable
from realbogus.adapters.rows import COLUMNS, LONGEST_TEXT
from realbogus.adapters.sizes import estimated_fwhm, noise_away
from realbogus.adapters.work import Settings, work
from realbogus.errors import InputError
from realbogus.images.cut import cut
from realbogus.stamps import UNLABELLED, StampSet


def _stamps(records: list[dict[str, Any]], schema: dict[str, Any] = made.ZTF_SCHEMA, **options: Any) -> StampSet:
    return stamps_of(read_packets(made.container(schema, records)), **options)


def test_a_packet_becomes_what_our_own_cutting_gives(detector: NDArray[np.float32]) -> None:
    """The same pixels as `images.cut` takes out of the whole detector, but for ZTF's 63 in place of 64."""
    places = [(1500.2, 1400.7), (12.0, 900.0), (900.0, 3.3), (3069.0, 40.0), (2.0, 3077.0)]
    records = [made.ztf_at(detector, x, y, number) for number, (x, y) in enumerate(places, 1)]
    stamps = _stamps(records)
    nothing = np.zeros(detector.shape, np.uint8)
    own, missing, _ = cut({"x": [x for x, _ in places], "y": [y for _, y in places]}, [detector], nothing)
    own, reference = own[:, 0], stamps.pixels[:, 2]
    for row in range(len(places)):
        there = own[row] != np.median(own[row])  # neither filled pixel
        there[0], there[:, 0] = False, False
        level = (own[row] - reference[row])[there]
        assert np.ptp(level) < 1e-3  # science and reference come without their background, and that is all
        star = stamps.pixels[row, 0] - own[row]
        assert np.unravel_index(np.argmax(star), star.shape) == (32, 32)
        assert stamps.catalogue["missing"][row] >= missing[row]
    assert stamps.channels == ("difference", "science", "reference")
    assert stamps.pixels.dtype == np.float32 and np.isfinite(stamps.pixels).all()
    assert stamps.catalogue["missing"][0] == pytest.approx(127 / 4096)
    assert stamps.catalogue["usable"].tolist() == [True, True, True, True, False]  # a corner has a quarter


def test_ztf_s_facts_are_ours_and_its_own(detector: NDArray[np.float32]) -> None:
    records = [
        made.ztf_at(detector, 1500.2, 1400.7, 11),
        made.ztf_at(detector, 1500.2, 1400.7, 12, isdiffpos="f", scorr=None, sigmapsf=0.2, rb=None),
    ]
    table = _stamps(records).catalogue
    assert table.colnames[: len(COLUMNS)] == list(COLUMNS)
    first, second = table
    assert (first["id"], first["source"], first["survey"], first["origin"]) == ("11", "ZTF19aaa0011", "ztf", "broker")
    assert (first["field"], first["frame"], first["night"], first["band"]) == ("781", "1048197683315", "1048", "g")
    assert (first["label"], first["sign"]) == (UNLABELLED, 1)
    assert (first["x"], first["y"]) == (pytest.approx(1500.2, abs=1e-3), pytest.approx(1400.7, abs=1e-3))
    assert first["mjd"] == 58800.25 and first["mag"] == 18.5 and first["snr"] == 12.5
    assert first["fwhm"] == 2.5 and first["fwhm_from"] == "packet"  # 2.0 x 1.25
    assert first["noise"] == pytest.approx(made.NOISE, rel=0.1)
    # ZTF's names as they are; one that is ours comes with the survey's in front, and ra and dec are the same
    assert first["ztf_fwhm"] == 2.0 and first["ztf_field"] == 781 and first["rb"] == pytest.approx(0.91)
    assert first["candid"] == 11 and first["ssnamenr"] == "null"
    assert "ztf_ra" not in table.colnames
    assert second["sign"] == -1
    # ZTF sends what faded as reference minus science: ours is science minus reference
    np.testing.assert_array_equal(_stamps(records).pixels[1, 0], -_stamps(records).pixels[0, 0])
    assert second["snr"] == pytest.approx(-1.0857 / 0.2, rel=1e-3)
    assert table["rb"].mask.tolist() == [False, True] and table["drb"].mask.all()
    assert table["drb"].dtype == np.float32  # its type is the schema's, though nothing is in it


def test_missing_pixels_are_filled_and_counted(detector: NDArray[np.float32]) -> None:
    record = made.ztf_at(detector, 1500, 1400)
    planes = [made.noise((63, 63), seed) + 10 for seed in range(3)]
    planes[2][:20] = -3.4e38  # a hole in the template is a hole in the difference
    record |= {
        name: {"fileName": "", "stampData": made.fits_bytes(plane)}
        for name, plane in zip(("cutoutDifference", "cutoutScience", "cutoutTemplate"), planes, strict=True)
    }
    stamps = _stamps([record])
    assert stamps.catalogue["missing"][0] == pytest.approx((127 + 20 * 63) / 4096)
    assert stamps.catalogue["usable"][0]
    hole = stamps.pixels[0, :, 1:21, 1:]
    assert (hole == hole[:, :1, :1]).all()
    assert hole[0, 0, 0] == pytest.approx(np.median(planes[0][20:]))
    assert hole[1, 0, 0] == pytest.approx(0, abs=1e-5)
    middle = planes[0].copy()
    middle[28:35, 28:35] = np.nan
    record["cutoutDifference"] = {"fileName": "", "stampData": made.fits_bytes(middle)}
    assert not _stamps([record]).catalogue["usable"][0]  # little is missing, but it is the source
    assert not _stamps([record], min_valid=0.0).catalogue["usable"][0]


def test_a_template_of_nothing_is_unusable_and_has_its_row(detector: NDArray[np.float32]) -> None:
    record = made.ztf_at(detector, 1500, 1400)
    record["cutoutTemplate"] = {"fileName": "", "stampData": made.fits_bytes(np.zeros((63, 63), "f4"))}
    stamps = _stamps([record])
    assert len(stamps) == 1 and not stamps.catalogue["usable"][0]
    assert stamps.catalogue["missing"][0] == 1.0
    assert np.isfinite(stamps.pixels).all()


def _rubin(
    detector: NDArray[np.float32], number: int, x: float, y: float, side: int = 30, **source: Any
) -> dict[str, Any]:
    """As lsst.afw cuts: around the pixel of the source, what is beyond the frame is not there."""
    first_x, first_y = int(np.floor(x + 0.5)) - side // 2, int(np.floor(y + 0.5)) - side // 2
    left, bottom = max(first_x, 0), max(first_y, 0)
    plane = detector[bottom : first_y + side, left : first_x + side] + np.float32(20)
    planes = [made.star(plane, y - bottom, x - left, -400.0), plane * 2, plane * 3]
    size = np.arange(-12, 13)
    psf = np.exp(-4 * np.log(2) * (size[:, None] ** 2 + size[None, :] ** 2) / 4.1**2).astype("f4")
    data = [made.rubin_fits(image, left, bottom, x, y, 150.1, 2.2, psf) for image in planes]
    return made.rubin_record(number, data, x, y, **source)


def test_a_rubin_packet(detector: NDArray[np.float32]) -> None:
    places = [(800.3, 700.6), (801.0, 702.0), (4.0, 900.2), (900.0, 2.0), (1000.4, 6.0)]
    records = [_rubin(detector, 100 + n, x, y, side=30 + 16 * (n == 4)) for n, (x, y) in enumerate(places)]
    stamps = _stamps(records, made.RUBIN_SCHEMA)
    table = stamps.catalogue
    assert stamps.pixels.shape == (5, 3, 64, 64)
    for row, (x, y) in enumerate(places):
        pixel = detector[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
        dip = stamps.pixels[row, 0]
        assert np.unravel_index(np.argmin(dip), dip.shape) == (32, 32)
        shade = float(np.exp(-4 * np.log(2) * ((x - round(x)) ** 2 + (y - round(y)) ** 2) / made.FWHM**2))
        assert dip[32, 32] == pytest.approx(pixel + 20 - 400 * shade, abs=0.02)
    assert set(table["centring"]) == {"header"} and set(table["survey"]) == {"rubin"}
    first = table[0]
    assert (first["id"], first["source"], first["frame"]) == ("100", "7100", "2025042000123-94")
    assert (first["sign"], first["snr"], first["band"], first["night"]) == (-1, -19.0, "r", "60785")
    assert first["mag"] == pytest.approx(31.4 - 7.5)
    assert first["fwhm"] == pytest.approx(4.1, rel=0.01) and first["fwhm_from"] == "packet"
    assert first["field"] == "sky-046-074" and first["mjd"] == 60786.2
    assert first["reliability"] == pytest.approx(0.8) and first["rubin_snr"] == 19.0
    assert first["diaObjectId"] == 7100 and first["alertId"] == 100
    # a whole cutout of 30 pixels is all that the survey sends: it is usable though it fills a fifth of the stamp
    assert first["missing"] == pytest.approx(1 - 900 / 4096) and first["usable"]


def test_rubin_without_what_is_optional(detector: NDArray[np.float32]) -> None:
    plane = made.star(detector[100:130, 200:230], 15, 15, 300.0)
    bare = [made.fits_bytes(plane)] * 3
    nothing = {name: None for name in ("snr", "psfFlux", "band", "diaObjectId")}
    record = made.rubin_record(5, bare, 215, 115, **nothing, ixxPSF=0.09, iyyPSF=0.09, is_negative=True)
    (row,) = _stamps([record], made.RUBIN_SCHEMA).catalogue
    assert row["source"] == "5"  # belongs to nothing: stands for itself
    assert row["sign"] == -1 and row["centring"] == "whole"
    assert row["fwhm"] == pytest.approx(2.355 * 0.3 / 0.2, rel=1e-3)
    table = _stamps([record], made.RUBIN_SCHEMA).catalogue
    assert table["snr"].mask[0] and table["mag"].mask[0] and table["band"].mask[0]
    solar = made.rubin_record(6, bare, 215, 115, diaObjectId=0, ssObjectId=77)
    (row,) = _stamps([solar], made.RUBIN_SCHEMA).catalogue
    assert (row["source"], row["fwhm_from"]) == ("ss77", "measured")
    assert row["fwhm"] == pytest.approx(made.FWHM, rel=0.05)


def test_surveys_in_one_set_share_our_columns(detector: NDArray[np.float32]) -> None:
    found = [
        *read_packets(made.container(made.ZTF_SCHEMA, [made.ztf_at(detector, 900, 800, 1)])),
        *read_packets(made.container(made.RUBIN_SCHEMA, [_rubin(detector, 2, 900, 800)])),
    ]
    table = stamps_of(found).catalogue
    assert table["survey"].tolist() == ["ztf", "rubin"]
    assert table["rb"].mask.tolist() == [False, True] and table["reliability"].mask.tolist() == [True, False]


def test_two_versions_of_a_schema_go_together(detector: NDArray[np.float32]) -> None:
    old = copy.deepcopy(made.ZTF_SCHEMA)
    fields = old["fields"][3]["type"]["fields"]
    old["fields"][3]["type"]["fields"] = [
        {"name": "fid", "type": "long"} if field["name"] == "fid" else field
        for field in fields if field["name"] != "drb"
    ]  # fmt: skip
    record = made.ztf_at(detector, 900, 800, 1)
    found = [
        *read_packets(made.container(old, [record])),
        *read_packets(made.container(made.ZTF_SCHEMA, [made.ztf_at(detector, 900, 800, 2, drb=0.5)])),
    ]
    table = stamps_of(found).catalogue
    assert table["drb"].mask.tolist() == [True, False]
    assert table["fid"].dtype == np.int64 and table["fid"].tolist() == [1, 1]
    assert packet_schema(old).types["fid"] == "int64"


def test_what_says_nothing_of_its_psf_is_measured_given_or_assumed(detector: NDArray[np.float32]) -> None:
    bright = made.ztf_at(detector, 900, 800, 1, seeratio=None)
    planes = [made.noise((63, 63), seed) for seed in range(3)]
    faint = made.ztf_record(planes, 900, 800, 2, seeratio=None)
    table = _stamps([bright, faint]).catalogue
    assert table["fwhm_from"].tolist() == ["measured", "assumed"]
    assert table["fwhm"][0] == pytest.approx(made.FWHM, rel=0.05) and table["fwhm"][1] == 3.0
    table = _stamps([bright, faint], fwhm=4.0).catalogue
    assert table["fwhm_from"].tolist() == ["given", "given"] and table["fwhm"].tolist() == [4.0, 4.0]


@pytest.mark.parametrize("options", [{"min_valid": 1.5}, {"fwhm": 0.0}, {"fwhm": float("nan")}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        stamps_of([], **options)


def test_nothing_gives_an_empty_set() -> None:
    assert stamps_of([]).pixels.shape == (0, 3, 64, 64)


def test_a_packet_at_a_time_gives_what_all_give_together(detector: NDArray[np.float32]) -> None:
    places = [(1500, 1400), (4, 900), (3060, 33)]
    data = made.container(made.ZTF_SCHEMA, [made.ztf_at(detector, x, y, n) for n, (x, y) in enumerate(places)])
    found = [packet for packet in read_packets(data) if isinstance(packet, Packet)]
    together = stamps_of(found)
    for row, packet in enumerate(found):
        alone = stamps_of([packet])
        np.testing.assert_array_equal(alone.pixels[0], together.pixels[row])
        assert str(alone.catalogue[0]["noise"]) == str(together.catalogue[row]["noise"])


def test_sizes_of_made_sources() -> None:
    for fwhm in (1.6, 2.4, 5.5):
        plane = made.star(made.noise((64, 64), 8), 32.3, 31.8, 400.0, fwhm)
        noise = noise_away(plane, fwhm)
        assert noise == pytest.approx(made.NOISE, rel=0.06)
        assert estimated_fwhm(plane, noise) == pytest.approx(fwhm, rel=0.08)
    hot = made.noise((64, 64), 8)
    hot[32, 32] += 900
    assert np.isnan(estimated_fwhm(hot, made.NOISE))
    assert np.isnan(noise_away(np.full((64, 64), np.nan, "f4"), 3.0))


def test_a_long_text_is_cut_and_does_not_widen_a_table(detector: NDArray[np.float32]) -> None:
    records = [made.ztf_at(detector, 1500.2, 1400.7, number) for number in range(1, 4)]
    records[1] |= {"objectId": "Ω" * 900_000}
    table = _stamps(records).catalogue
    assert table["source"][1] == "Ω" * LONGEST_TEXT and table["source"][0] == "ZTF19aaa0001"
    assert max(column.dtype.itemsize for column in table.itercols()) == 4 * LONGEST_TEXT


def test_an_id_that_is_too_long_is_no_row_but_a_reason(detector: NDArray[np.float32]) -> None:
    good, long = read_packets(made.container(made.ZTF_SCHEMA, [made.ztf_at(detector, 900, 900, n) for n in (1, 2)]))
    assert isinstance(long, Packet)
    both = [good, replace(long, id="x" * 201)]

    class Unit:
        name, weight = "both", 0

        def packets(self) -> Iterator[Packet | Unusable]:
            return iter(both)

    done = work([Unit()], Settings(0.5, None))
    assert done.rows["id"].to_pylist() == ["1"] and len(stamps_of(both)) == 1
    (entry,) = done.unusable
    assert (entry.cause, entry.reason) == ("refused", "an id of 201 letters, at most 200 are taken")
    assert entry.record == 1 and entry.id == "x" * 199 + "…"
