"""Folders in, one set out: what is counted, what is listed, what cannot do harm."""

from __future__ import annotations

import csv
import os
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import made
import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.adapters import Adapted, adapt, collect, plan
from realbogus.adapters.units import PacketFile, Unit
from realbogus.adapters.work import Settings, Work, work
from realbogus.cli import main
from realbogus.errors import InputError, OutputError
from realbogus.stamps import StampSet

PLANES = [made.star(made.noise((63, 63), 2), 31, 31, 90.0), made.noise((63, 63), 1), made.noise((63, 63), 3)]


def _record(number: int, **candidate: Any) -> dict[str, Any]:
    return made.ztf_record(PLANES, 500, 600, number, **candidate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files: seven alerts of which one has no cutout and one is there twice; and what is none."""
    night = tmp_path / "night"
    (night / "deep" / "er").mkdir(parents=True)
    (night / "a.avro").write_bytes(made.container(made.ZTF_SCHEMA, [_record(n) for n in (1, 2, 3)]))
    (night / "b.avro").write_bytes(made.container(made.ZTF_SCHEMA, [_record(4), _record(5) | {"cutoutScience": None}]))
    (night / "deep" / "er" / "c.avro").write_bytes(made.container(made.ZTF_SCHEMA, [_record(6), _record(2)]))
    (night / "empty.avro").write_bytes(b"")
    (night / "[bold]notes.txt").write_text("seeing was bad\n")
    (night / ".hidden").write_text("not meant")
    whole = made.container(made.ZTF_SCHEMA, [_record(7)])
    (night / "short.avro").write_bytes(whole[:-3000])
    return night


def _listed(done: Adapted) -> list[tuple[str, int, str]]:
    return [(str(row["file"]), int(row["record"]), str(row["cause"])) for row in done.unusable]


EXPECTED = [
    ("[bold]notes.txt", -1, "foreign"),
    ("b.avro", 1, "no cutout"),
    ("deep/er/c.avro", 1, "duplicate"),
    ("empty.avro", -1, "empty"),
    ("short.avro", -1, "damaged"),
]


def test_rows_and_reasons_are_all_that_was_handed_in(folder: Path, tmp_path: Path) -> None:
    said = []
    done = adapt(folder, tmp_path / "S", progress=lambda *words: said.append(words))
    assert done.stamps.catalogue["id"].tolist() == ["1", "2", "3", "4", "6"]
    assert sorted(_listed(done)) == sorted(EXPECTED)
    assert done.read == 10
    assert done.causes == dict.fromkeys(("foreign", "no cutout", "duplicate", "empty", "damaged"), 1)
    assert said[-1] == ("adapt", 6, 6)
    with (tmp_path / "S" / "unusable.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert sorted((line["file"], int(line["record"]), line["cause"]) for line in lines) == sorted(EXPECTED)
    again = next(line for line in lines if line["cause"] == "duplicate")
    assert again["id"] == "2" and "from a.avro" in again["reason"]
    stamps = StampSet.load(tmp_path / "S")
    assert isinstance(stamps.pixels, np.memmap) and len(stamps) == 5
    assert stamps.channels == ("difference", "science", "reference")
    assert stamps.provenance["rows"] == {"ztf": 5} and stamps.provenance["origin"] == "broker"
    assert sorted(os.listdir(tmp_path / "S")) == ["card.json", "catalogue.parquet", "pixels.npy", "unusable.csv"]
    assert stamps.catalogue["file"].tolist() == ["a.avro"] * 3 + ["b.avro", "deep/er/c.avro"]


def test_jobs_change_nothing_but_the_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: NDArray[np.float32]
) -> None:
    monkeypatch.setattr(plan, "_MOST", 2)  # several chunks
    one = adapt(folder, tmp_path / "one")
    two = adapt(folder, tmp_path / "two", jobs=2)
    np.testing.assert_array_equal(one.stamps.pixels, two.stamps.pixels)
    for name in ("pixels.npy", "unusable.csv", "card.json", "catalogue.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_large_file_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made.container(made.ZTF_SCHEMA, [_record(n) for n in range(1, 8)], sync_interval=1)
    (tmp_path / "all.avro").write_bytes(data + b"\x02\x80\x80\x80\x02")  # and a block that is not there
    whole = adapt(tmp_path / "all.avro", tmp_path / "whole")
    monkeypatch.setattr(plan, "_LARGE", 100_000)
    units = plan.find_units([tmp_path / "all.avro"], collect.Layout(), apart=tmp_path / "x", scratch=tmp_path / "x")
    assert len(units) > 2 and all(isinstance(unit, PacketFile) for unit in units)
    parts = adapt(tmp_path / "all.avro", tmp_path / "parts")
    np.testing.assert_array_equal(whole.stamps.pixels, parts.stamps.pixels)
    assert whole.stamps.catalogue["id"].tolist() == parts.stamps.catalogue["id"].tolist()
    assert _listed(whole) == _listed(parts) == [("all.avro", -1, "damaged")]


def test_a_set_of_many_chunks_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that some chunks lack, or have in another type, are in the catalogue of all."""
    monkeypatch.setattr(plan, "_MOST", 1)
    other = {**made.ZTF_SCHEMA, "fields": [*made.ZTF_SCHEMA["fields"], {"name": "broker", "type": "string"}]}
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a").write_bytes(made.container(made.ZTF_SCHEMA, [_record(1)]))
    (tmp_path / "p" / "b").write_bytes(made.container(other, [_record(2) | {"broker": "x"}]))
    (tmp_path / "p" / "c").write_bytes(made.container(made.ZTF_SCHEMA, [_record(3, drb=0.5)]))
    done = adapt(tmp_path / "p", tmp_path / "S")
    table = done.stamps.catalogue
    assert table["broker"].mask.tolist() == [True, False, True]
    assert table["drb"].mask.tolist() == [True, True, False]


def test_nothing_to_use_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.avro").write_bytes(b"")
    with pytest.raises(InputError, match=r"a.avro: no bytes at all.*unusable.csv"):
        adapt(tmp_path / "p", tmp_path / "S")
    assert "empty" in (tmp_path / "S" / "unusable.csv").read_text()
    assert not (tmp_path / "S" / "card.json").exists()
    (tmp_path / "p" / "a.avro").write_bytes(made.container(made.ZTF_SCHEMA, [_record(1)]))
    assert len(adapt(tmp_path / "p", tmp_path / "S").stamps) == 1  # the folder holds no stamps: it may be used


def test_a_folder_that_holds_stamps_is_left_alone(folder: Path, tmp_path: Path) -> None:
    adapt(folder, tmp_path / "S")
    before = (tmp_path / "S" / "pixels.npy").stat().st_mtime_ns
    with pytest.raises(InputError, match="holds other stamps"):
        adapt(folder, tmp_path / "S")
    assert (tmp_path / "S" / "pixels.npy").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"there is no .*absent"):
        adapt(tmp_path / "absent", tmp_path / "T")
    with pytest.raises(OutputError, match="cannot write"):
        adapt(folder, folder / "a.avro" / "S")
    (tmp_path / "S2").mkdir()
    with pytest.raises(InputError, match="folder to write to"):
        adapt(tmp_path / "S2", tmp_path / "S2")


def test_the_output_is_not_read_where_it_lies_in_the_input(folder: Path) -> None:
    assert len(adapt(folder, folder / "S").stamps) == 5
    second = adapt(folder, folder / "T")
    # the first set is no packet, and is said to be none
    assert len(second.stamps) == 5
    assert {("S/card.json", -1, "foreign"), ("S/pixels.npy", -1, "foreign")} <= set(_listed(second))


def test_links_do_not_lead_out_of_a_folder(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.avro"
    secret.write_bytes(made.container(made.ZTF_SCHEMA, [_record(99)]))
    (folder / "x.avro").symlink_to(secret)
    (folder / "y").symlink_to(tmp_path)
    (folder / "z.avro").symlink_to(folder / "gone")
    (folder / "w.avro").symlink_to(folder / "a.avro")
    os.mkfifo(folder / "pipe.avro")
    done = adapt(folder, tmp_path / "S")
    assert "99" not in done.stamps.catalogue["id"].tolist()
    listed = _listed(done)
    assert {("x.avro", -1, "refused"), ("y", -1, "refused"), ("z.avro", -1, "refused")} <= set(listed)
    assert ("pipe.avro", -1, "foreign") in listed
    assert [entry for entry in listed if entry[0] == "w.avro"] == [("w.avro", n, "duplicate") for n in range(3)]
    assert not list(tmp_path.rglob("x.fits.gz"))  # the file name that every cutout brings is never used


class _Fragile(Executor):
    """Processes that die of b.avro, and with it all that they still had to do."""

    def __init__(self) -> None:
        self.dead = False

    def submit(self, do: Any, units: list[Unit], settings: Settings, /) -> Future[Work]:  # type: ignore[override]
        future: Future[Work] = Future()
        self.dead = self.dead or any(unit.name == "b.avro" for unit in units)
        if self.dead:
            future.set_exception(BrokenProcessPool("died"))
        else:
            future.set_result(do(units, settings))
        return future


def test_a_packet_that_kills_its_process_is_one_entry(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "_pool", lambda processes: _Fragile())
    monkeypatch.setattr(plan, "_MOST", 3)
    done = adapt(folder, tmp_path / "S", jobs=2)
    assert done.stamps.catalogue["id"].tolist() == ["1", "2", "3", "6"]
    assert ("b.avro", -1, "refused") in _listed(done)


def test_an_unforeseen_failure_is_one_entry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from realbogus.adapters.rows import rows_of

    def fussy(packets: Any, *settings: Any) -> Any:
        if any(packet.id == "2" for packet in packets):
            raise KeyError("odd")
        return rows_of(packets, *settings)

    monkeypatch.setattr("realbogus.adapters.work.rows_of", fussy)
    units: list[Unit] = [PacketFile(folder / "a.avro", "a.avro", 1)]
    done = work(units, Settings(0.5, None))
    assert done.rows.column("id").to_pylist() == ["1", "3"] and done.records == [0, 2]
    (entry,) = done.unusable
    assert (entry.id, entry.record) == ("2", 1) and "unforeseen KeyError" in entry.reason


def test_what_was_half_done_is_swept_away(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Work:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collect, "work", interrupted)
        with pytest.raises(KeyboardInterrupt):
            adapt(folder, tmp_path / "S")
    assert os.listdir(tmp_path / "S") == []
    (tmp_path / "S" / ".adapt").mkdir()  # as a killed run leaves it
    (tmp_path / "S" / ".adapt" / "000007.parquet").write_bytes(b"old")
    assert len(adapt(folder, tmp_path / "S").stamps) == 5
    assert not (tmp_path / "S" / ".adapt").exists()


def test_the_verb_says_what_came_of_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "S"
    assert main(["adapt", str(folder), "-o", str(out), "--jobs", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        f"written: {out}: 5 stamps (5 ztf) of 10 that were read, channels difference, science, reference"
    )
    assert said[-1].startswith("no stamps of 5 (") and said[-1].endswith(f"{out / 'unusable.csv'} has the reasons")
    assert main(["adapt", str(folder), "-o", str(out)]) == 1
    assert "holds other stamps" in capsys.readouterr().err
    assert main(["adapt", str(folder), "-o", str(tmp_path / "T"), "--columns", "id"]) == 1
    assert "--columns 'id': expected NAME=VALUE" in capsys.readouterr().err
