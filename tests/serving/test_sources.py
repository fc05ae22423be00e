"""Sources: every row once and in order, whatever the size of batches; reasons for what cannot be read."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from realbogus.errors import InputError
from realbogus.images.simulate import simulate_night
from realbogus.serving.batch import Batch
from realbogus.serving.packets import extended, extended_schema, originals_of
from realbogus.serving.sources import SOURCES, Source, open_source
from realbogus.serving.sources.alerts import AlertSource
from realbogus.serving.sources.frames import FrameSource
from realbogus.serving.sources.stamps import StampSource
from realbogus.stamps import StampSet


def drain(source: Source, size: int = 512) -> list[Batch]:
    assert isinstance(source, Source)
    found = list(source.batches(size, 1.0))
    for batch in found:
        source.commit(batch.receipt)
    source.close()
    return found


def ids(batches: list[Batch]) -> list[str]:
    return [name for batch in batches if len(batch) for name in batch.rows["id"].tolist()]


@pytest.mark.parametrize("size", [1, 7, 16, 50, 1000])
@pytest.mark.parametrize("groups", [3, 16, 1000])
def test_a_stamp_set_comes_whole_and_in_order(stamp_folder: Path, tmp_path: Path, size: int, groups: int) -> None:
    folder = tmp_path / "S"
    folder.mkdir()
    for name in ("card.json", "pixels.npy"):
        (folder / name).symlink_to(stamp_folder / name)
    pq.write_table(
        pq.read_table(stamp_folder / "catalogue.parquet"), folder / "catalogue.parquet", row_group_size=groups
    )
    source = open_source(folder)
    assert source.count == 50
    batches = drain(source, size)
    whole = StampSet.load(stamp_folder)
    assert [len(batch) for batch in batches] == [size] * (50 // size) + [50 % size] * (50 % size > 0)
    assert ids(batches) == whole.catalogue["id"].tolist()
    np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches]), whole.pixels)


@pytest.mark.parametrize("rows", [(0, 50), (13, 29), (49, 50), (20, 20)])
def test_a_part_of_a_stamp_set(stamp_folder: Path, rows: tuple[int, int]) -> None:
    batches = drain(open_source(stamp_folder, rows=rows, channels=("reference", "difference")), 6)
    assert [int(n) for batch in batches for n in batch.rows["place"]] == list(range(*rows))
    for batch in batches:
        assert batch.channels == ("reference", "difference")
        np.testing.assert_array_equal(batch.pixels[:, 0, 0, 0], np.asarray(batch.rows["place"]) + 200)
        np.testing.assert_array_equal(batch.pixels[:, 1, 0, 0], np.asarray(batch.rows["place"]))


def test_a_row_without_an_id_gets_one_of_its_own(toy_stamps: StampSet, tmp_path: Path) -> None:
    stamps = toy_stamps.select(np.arange(4))
    stamps.catalogue["id"] = np.ma.masked_array(["a", "", "x", "b"], mask=[False, False, True, False])
    found = ids(drain(open_source(stamps.save(tmp_path / "S"), prefix="n1/"), 3))
    assert found == ["n1/a", "n1/S#1", "n1/S#2", "n1/b"]


@pytest.mark.parametrize("wrong", ["pixels", "order", "catalogue", "card", "rows", "channels"])
def test_a_damaged_set_is_refused_at_opening(stamp_folder: Path, tmp_path: Path, wrong: str) -> None:
    folder = StampSet.load(stamp_folder).select(np.arange(3)).save(tmp_path / "S")
    if wrong == "order":
        np.save(folder / "pixels.npy", np.asfortranarray(np.load(folder / "pixels.npy")))
    elif wrong == "pixels":
        np.save(folder / "pixels.npy", np.zeros((2, 3, 64, 64), np.float32))
    elif wrong in ("catalogue", "card"):
        (folder / {"catalogue": "catalogue.parquet", "card": "card.json"}[wrong]).write_text("{")
    options = {"rows": {"rows": (2, 9)}, "channels": {"channels": ("variance",)}}.get(wrong, {})
    with pytest.raises(InputError):
        open_source(folder, **options)


def test_what_holds_nothing_known_says_what_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    known = r"nothing that can be scored; known are alerts: Avro .* stamp sets: .* stamps: "
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match=known):
            open_source(path)
    with pytest.raises(InputError, match="there is no"):
        open_source(tmp_path / "absent")
    assert set(SOURCES) >= {"alerts", "frames", "stamps"}


def test_what_lies_beside_does_not_make_alerts_of_frames_or_stamps(stamp_folder: Path, tmp_path: Path) -> None:
    for name in ("light.fits.fz", "flats.zip", "alerts-out/a.avro"):
        (tmp_path / "frames" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "frames" / name).write_bytes(b"Obj\x01")
    source = open_source(tmp_path / "frames")
    assert isinstance(source, FrameSource)
    source.close()
    (tmp_path / "frames" / "light.fits.fz").unlink()
    assert isinstance(open_source(tmp_path / "frames"), AlertSource)
    shutil.copytree(stamp_folder, tmp_path / "S")
    (tmp_path / "S" / "a.avro").write_bytes(b"Obj\x01")
    (tmp_path / "S" / "a.fits").write_bytes(b"")
    assert isinstance(open_source(tmp_path / "S"), StampSource)


def test_a_folder_of_stamp_sets_is_read_set_after_set(stamp_folder: Path, tmp_path: Path) -> None:
    for name in ("b", "a/stamps", ".hidden"):
        shutil.copytree(stamp_folder, tmp_path / name)
    source = open_source(tmp_path, prefix="n/", channels=("difference",))
    assert source.count == 100
    batches = drain(source, 30)
    whole = StampSet.load(stamp_folder)
    names = whole.catalogue["id"].tolist()
    assert ids(batches) == [f"n/{place}/{name}" for place in ("a/stamps", "b") for name in names]
    np.testing.assert_array_equal(
        np.concatenate([batch.pixels for batch in batches]), np.concatenate([whole.pixels[:, :1]] * 2)
    )
    assert [part.name.rpartition("/")[2] for part in source.parts(50)] == ["stamps, rows 0 to 50", "b, rows 0 to 50"]


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: two single alerts, a file of five, one cut short, and something that is no Avro."""
    pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
    import made

    image = made.noise((made.HEIGHT, made.WIDTH))
    records = [made.ztf_at(image, 100.0 + number, 200.0, number + 1) for number in range(7)]
    folder = tmp_path_factory.mktemp("packets") / "P"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.avro").write_bytes(made.container(made.ZTF_SCHEMA, records[:1]))
    (folder / "b.avro").write_bytes(made.container(made.ZTF_SCHEMA, records[1:6], codec="deflate"))
    (folder / "deep" / "c.avro").write_bytes(made.container(made.ZTF_SCHEMA, records[6:]))
    whole = (folder / "a.avro").read_bytes()
    (folder / "cut.avro").write_bytes(whole[: len(whole) // 2])
    (folder / "note.txt").write_text("no Avro")
    return folder


def test_alerts_of_a_folder(packets: Path) -> None:
    batches = drain(open_source(packets), 3)
    assert ids(batches) == [str(number) for number in (1, 2, 3, 4, 5, 6, 7)]
    failed = {entry.where: entry.reason for batch in batches for entry in batch.failed}
    assert set(failed) == {"cut.avro", "note.txt"}
    assert failed["note.txt"].startswith("foreign: no Avro file")
    assert sum(batch.read for batch in batches) == 9
    assert all(batch.read <= 3 for batch in batches)
    again = drain(open_source(packets), 100)
    np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches if len(batch)]), again[0].pixels)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar", ".zip"])
def test_an_archive_is_read_as_its_folder(packets: Path, tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"night{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as out:
            for path in sorted(packets.rglob("*")):
                out.write(path, path.relative_to(packets))
    else:
        with tarfile.open(archive, "w:gz" if suffix.endswith("gz") else "w") as out:
            for path in sorted(packets.rglob("*")):
                out.add(path, path.relative_to(packets), recursive=False)
    found, plain = drain(open_source(archive, packets=True)), drain(open_source(packets, packets=True))
    assert sorted(ids(found)) == sorted(ids(plain))
    assert sum(len(batch.failed) for batch in found) == 2
    assert {original.body for original in found[0].packets or ()} == {o.body for o in plain[0].packets or ()}
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    broken = drain(open_source(archive))
    assert any("cannot be read on" in entry.reason for batch in broken for entry in batch.failed)


@pytest.mark.parametrize("way", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_of_a_zip_is_one_and_no_more(packets: Path, tmp_path: Path, way: int) -> None:
    files = sorted(path for path in packets.rglob("*.avro") if path.name != "cut.avro")
    archive, lost = tmp_path / "night.zip", files[1]
    with zipfile.ZipFile(archive, "w", way) as out:
        for path in files:
            out.write(path, path.name)
        begin = out.infolist()[1].header_offset + 30 + len(lost.name)
    data = bytearray(archive.read_bytes())
    for place in range(begin + 40, begin + 80):
        data[place] ^= 0xFF
    archive.write_bytes(bytes(data))
    found = drain(open_source(archive))
    intact = [number for path in files if path != lost for number in ids(drain(open_source(path)))]
    assert sorted(ids(found)) == sorted(intact)
    (failed,) = [entry for batch in found for entry in batch.failed]
    assert failed.where == f"night.zip/{lost.name}" and "cannot be taken from its archive" in failed.reason


def test_a_file_whose_name_is_no_utf8_is_read(packets: Path, tmp_path: Path) -> None:
    whole = next(path for path in sorted(packets.rglob("*.avro")) if path.name != "cut.avro")
    (tmp_path / os.fsdecode(b"n\xe9.avro")).write_bytes(whole.read_bytes())
    assert ids(drain(open_source(tmp_path))) == ids(drain(open_source(whole)))


def test_records_go_out_as_they_came_with_the_score_behind(packets: Path) -> None:
    import fastavro

    (batch,) = drain(open_source(packets, packets=True))
    assert batch.packets is not None and len(batch.packets) == len(batch) == 7
    for name, original in zip(batch.rows["id"].tolist(), batch.packets, strict=True):
        row = {"score": 0.25, "probability": None, "model": "m", "model_version": "2", "threshold": 0.5,
               "policy": "model", "real": False, "flags": None, "reason": ""}  # fmt: skip
        schema = fastavro.parse_schema(dict(extended_schema(original.schema).schema))
        stream = io.BytesIO(extended(original, row))
        record = fastavro.schemaless_reader(stream, schema)
        assert stream.read() == b""
        assert (str(record["candid"]), record["rb"], record["rbversion"], record["rbreal"]) == (name, 0.25, "2", False)
        before = fastavro.schemaless_reader(io.BytesIO(original.body), fastavro.parse_schema(dict(original.schema)))
        assert {key: record[key] for key in before} == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_file_that_an_archive_has_twice(packets: Path, tmp_path: Path, order: tuple[int, int]) -> None:
    whole = (packets / "a.avro").read_bytes()
    # the second one's record is cut off inside: the container itself says nothing of it
    record = next(iter(originals_of(io.BytesIO(whole), len(whole))))[1].body
    versions = [whole, whole.replace(record[-400:], bytes(400))]
    assert versions[0] != versions[1]
    archive = tmp_path / "night.tar"
    with tarfile.open(archive, "w") as out:
        for k in order:
            info = tarfile.TarInfo("a.avro")
            info.size = len(versions[k])
            out.addfile(info, io.BytesIO(versions[k]))
    (batch,) = drain(open_source(archive))
    assert ids([batch]) == ["1"] and len(batch.failed) == 1
    assert batch.failed[0].where.startswith("night.tar/a.avro")


def test_links_that_lead_out_are_refused(packets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "P"
    folder.mkdir()
    (folder / "a.avro").write_bytes((packets / "a.avro").read_bytes())
    (folder / "z.avro").symlink_to(packets / "b.avro")
    (batch,) = drain(open_source(folder))
    assert ids([batch]) == ["1"]
    assert "leads out of the folder" in batch.failed[0].reason


def test_the_real_alerts(shared_data: Path) -> None:
    batches = drain(open_source(shared_data / "ztf_alerts" / "packets", packets=True), 64)
    assert [len(batch) for batch in batches] == [64, 64, 64, 8]
    assert len(set(ids(batches))) == 200
    assert all(original is not None for batch in batches for original in batch.packets or ())


def test_frames_go_through_the_chain_with_the_same_ids_every_time(tmp_path: Path) -> None:
    night = simulate_night(tmp_path, preset="mini-sitian", frames=3, size=(256, 256), seed=3)
    frames = Path(night) / "frames"
    (frames / "broken.fits").write_bytes(b"no FITS at all")
    runs = [drain(open_source(frames, jobs=1, channels=("difference",), prefix="n/"), size) for size in (16, 1000)]
    one, two = (sorted(ids(run)) for run in runs)
    assert one == two and len(set(one)) == len(one) >= 1
    assert all(name.startswith("n/") and ".fits" in name and "#" in name for name in one)
    (failed,) = [entry for batch in runs[0] for entry in batch.failed]
    assert failed.id == "n/broken.fits" and failed.where.endswith("frames/broken.fits")
    assert {batch.channels for batch in runs[0] if len(batch)} == {("difference",)}
