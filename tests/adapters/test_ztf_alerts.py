"""Two hundred real alerts, and the same cutouts as a broker padded them."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path
from typing import Any

import fastavro
import made
import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from realbogus.adapters import Adapted, Layout, Packet, adapt, read_packets
from realbogus.cli import main
from realbogus.stamps import StampSet

NAMES = {"difference": "cutoutDifference", "science": "cutoutScience", "reference": "cutoutTemplate"}


@pytest.fixture(scope="module")
def adapted(ztf_packets: Path, tmp_path_factory: pytest.TempPathFactory) -> StampSet:
    out = tmp_path_factory.mktemp("adapted") / "S"
    assert main(["adapt", str(ztf_packets), "-o", str(out), "--jobs", "1"]) == 0
    return StampSet.load(out)


@pytest.fixture(scope="module")
def truth(ztf_packets: Path) -> dict[str, dict[str, Any]]:
    """Every alert as fastavro and astropy read it, cutouts as they were sent."""
    found = {}
    for path in sorted(ztf_packets.iterdir()):
        with path.open("rb") as stream:
            (record,) = fastavro.reader(stream)
        for name in NAMES.values():
            data = io.BytesIO(gzip.decompress(record[name]["stampData"]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of how ZTF writes its first card
                record[name] = fits.getdata(data).astype(np.float32)
        found[str(record["candid"])] = record
    return found


def _source(record: dict[str, Any]) -> tuple[int, int]:
    """Row and column of the source in a cutout that was never padded, from the candidate's position alone."""
    place = []
    for name, length in (("ypos", 3080), ("xpos", 3072)):
        pixel = int(np.floor(record["candidate"][name] + 0.5)) - 1
        assert 0 <= pixel < length
        place.append(pixel - max(pixel - 31, 0))
    return place[0], place[1]


def test_two_hundred_packets_are_two_hundred_rows(adapted: StampSet, truth: dict[str, dict[str, Any]]) -> None:
    assert len(adapted) == len(truth) == 200
    assert adapted.pixels.shape == (200, 3, 64, 64) and adapted.channels == ("difference", "science", "reference")
    assert sorted(adapted.catalogue["id"].tolist()) == sorted(truth)
    for row in adapted.catalogue:
        candidate = truth[row["id"]]["candidate"]
        assert row["objectId"] == row["source"] == truth[row["id"]]["objectId"]
        for name, value in candidate.items():
            shown = {"fwhm": "ztf_fwhm", "field": "ztf_field"}.get(name, name)
            if value is None:
                assert np.ma.is_masked(row[shown]), name
            elif isinstance(value, float):
                assert row[shown] == pytest.approx(value, rel=1e-6, nan_ok=True), name
            else:
                assert row[shown] == value, name
        assert row["sign"] == (1 if candidate["isdiffpos"] in "t1" else -1)


def test_the_source_is_in_the_middle_of_every_one(adapted: StampSet, truth: dict[str, dict[str, Any]]) -> None:
    """Pixel for pixel the unpadded cutout, its source on [32, 32]; what is not there is filled, alike in a channel."""
    edges = 0
    for pixels, row in zip(adapted.pixels, adapted.catalogue, strict=True):
        record = truth[row["id"]]
        shape = record["cutoutDifference"].shape
        edges += shape != (63, 63)
        y, x = _source(record)
        lost = np.zeros(shape, bool)
        for name in NAMES.values():
            lost |= ~(np.abs(record[name]) < 1e30)
        inside = (slice(32 - y, 32 - y + shape[0]), slice(32 - x, 32 - x + shape[1]))
        there = np.zeros((64, 64), bool)
        there[inside] = ~lost
        assert there[32, 32]
        assert row["missing"] == pytest.approx(1 - there.mean(), abs=1e-6)
        for plane, name in zip(pixels, NAMES.values(), strict=True):
            sent, level = record[name][~lost], np.median(record[name][~lost])
            # what faded came as reference minus science
            expected = row["sign"] * sent if name == "cutoutDifference" else sent - level
            np.testing.assert_allclose(plane[there], expected, rtol=1e-5, atol=2e-3)
            assert np.ptp(plane[~there]) == 0
    assert edges == 3


def test_the_difference_is_science_minus_reference_in_every_one(adapted: StampSet) -> None:
    """The files' own names say which cutouts came the other way round; the light says it as well."""
    step = np.arange(64) - 32
    core = step[:, None] ** 2 + step[None, :] ** 2 <= 2**2
    peaks = np.median(adapted.pixels[:, 0][:, core], axis=1)
    assert (np.sign(peaks) == adapted.catalogue["sign"]).mean() > 0.98
    assert set(adapted.catalogue["sign"].tolist()) == {1, -1}


def test_bright_sources_peak_where_they_are_said_to_be(adapted: StampSet) -> None:
    """Independent of any bookkeeping: the light itself lies in the middle."""
    table = adapted.catalogue
    bright = np.flatnonzero((table["scorr"] > 15) & (table["missing"] < 0.04))
    assert len(bright) > 20
    step = np.arange(-3, 4)
    offsets = []
    for row in bright:
        part = adapted.pixels[row, 0, 29:36, 29:36] - np.median(adapted.pixels[row, 0])
        light = np.clip(table["sign"][row] * part, 0, None)
        offsets.append([(light.sum(axis=1) @ step) / light.sum(), (light.sum(axis=0) @ step) / light.sum()])
    assert np.abs(np.median(offsets, axis=0)).max() < 0.15
    assert np.abs(offsets).mean() < 0.4


def test_the_psf_is_the_same_in_one_image(adapted: StampSet) -> None:
    """`fwhm` is the difference image's, whatever the candidates in it look like."""
    table = adapted.catalogue
    assert set(table["fwhm_from"]) == {"packet"}
    frames = [np.flatnonzero(table["frame"] == frame) for frame in set(table["frame"])]
    assert sum(len(rows) > 1 for rows in frames) > 20
    assert max(np.ptp(table["fwhm"][rows]) for rows in frames) < 0.01
    assert max(np.ptp(table["ztf_fwhm"][rows]) for rows in frames) > 10
    assert 2 < np.median(table["fwhm"]) < 4


def _packed(image: NDArray[np.float32]) -> bytes:
    return made.fits_bytes(image, packed=True)


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e-9], ids=str)
def test_a_broker_s_padding_changes_nothing(
    ztf_packets: Path, truth: dict[str, dict[str, Any]], adapted: StampSet, tmp_path: Path, value: float
) -> None:
    short = [key for key, record in truth.items() if record["cutoutDifference"].shape != (63, 63)]
    for key in short:
        with (ztf_packets / f"{key}.avro").open("rb") as stream:
            reader = fastavro.reader(stream)
            schema, (record,) = reader.writer_schema, list(reader)
        for name in NAMES.values():
            image = truth[key][name]
            below, beside = 63 - image.shape[0], 63 - image.shape[1]
            record[name]["stampData"] = _packed(np.pad(image, ((0, below), (0, beside)), constant_values=value))
        (tmp_path / f"{key}.avro").write_bytes(made.container(schema, [record]))
    done = adapt([tmp_path / f"{key}.avro" for key in short], tmp_path / "S")
    rows = {key: row for row, key in enumerate(adapted.catalogue["id"])}
    for row, key in enumerate(done.stamps.catalogue["id"]):
        np.testing.assert_array_equal(done.stamps.pixels[row], adapted.pixels[rows[key]])
        assert done.stamps.catalogue["missing"][row] == adapted.catalogue["missing"][rows[key]]


@pytest.fixture(scope="module")
def triplets(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    """The stamps of 1,493 alerts, padded at the far side, whose table says nothing of where they lay."""
    source = shared_data / "ztf_alerts"
    layout = Layout(
        table=source / "labels.csv", array="triplets",
        columns={"id": "candid", "source": "objectId", "mag": "magpsf", "sign": "isdiffpos", "fwhm": ""},
        reversed_negatives=True,
    )  # fmt: skip
    return adapt(source / "triplets.npz", tmp_path_factory.mktemp("triplets") / "S", layout=layout)


@pytest.mark.slow
def test_padded_stamps_without_a_position_are_centred_as_the_packets_are(
    shared_data: Path, triplets: Adapted, adapted: StampSet
) -> None:
    stamps = triplets.stamps
    assert len(stamps) == 1493 and not len(triplets.unusable)
    assert np.isfinite(stamps.pixels).all()
    rows = {key: row for row, key in enumerate(stamps.catalogue["id"])}
    same = [
        key for key, pixels in zip(adapted.catalogue["id"], adapted.pixels, strict=True)
        if np.allclose(pixels, stamps.pixels[rows[key]], rtol=1e-4, atol=0.01)
    ]  # fmt: skip
    assert len(same) == 200  # those that an edge had cut among them
    # ZTF's own column says which were cut; all others have the source where it was, whatever is missing beside it
    table = stamps.catalogue
    with np.load(shared_data / "ztf_alerts" / "triplets.npz") as stored:
        middles = stored["triplets"][:, 2, 31, 31] * table["sign"]
    whole = (table["edge"] == "False") & (np.abs(middles) < 1e30)
    assert whole.sum() > 1470
    np.testing.assert_array_equal(stamps.pixels[whole, 0, 32, 32], middles[whole])
    assert ((table["centring"] == "measured") & whole).sum() > 10  # it was not for lack of questions


def test_one_packet_at_a_time(ztf_packets: Path) -> None:
    path = sorted(ztf_packets.iterdir())[0]
    (packet,) = read_packets(path.read_bytes(), name=path.name)
    assert isinstance(packet, Packet)
    assert (packet.kind, packet.id, packet.file) == ("ztf", path.stem, path.name)
