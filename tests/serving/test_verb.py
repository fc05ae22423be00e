"""`realbogus score --to`: from the command line into sinks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from realbogus.cli import main
from realbogus.errors import OutputError
from realbogus.serving.policy_file import change_policy
from realbogus.stamps import StampSet
from realbogus.tables import read_parquet


def fails(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 1
    return capsys.readouterr().err


def test_sinks_hold_what_the_plain_table_holds(stamp_folder: Path, tmp_path: Path, capsys) -> None:
    pytest.importorskip("sqlalchemy", reason='databases need SQLAlchemy: pip install "realbogus[database]"')
    table, base = tmp_path / "new" / "out.parquet", tmp_path / "out.db"
    assert main(["score", str(stamp_folder), "-o", str(tmp_path / "plain.parquet")]) == 0
    assert main(["score", str(stamp_folder), "--to", str(table), f"sqlite:///{base}", "--batch", "16"]) == 0
    said = capsys.readouterr().out
    assert "50 read: 50 candidates, 45 of them scored" in said and f"written: sqlite:///{base}" in said
    plain, streamed = read_parquet(tmp_path / "plain.parquet"), read_parquet(table)
    assert plain["id"].tolist() == streamed["id"].tolist()
    for name in plain.colnames:
        column = np.ma.getmaskarray(plain[name])
        np.testing.assert_array_equal(column, np.ma.getmaskarray(streamed[name]))
        if name == "score":  # a network's sums depend on how many stamps go through it together
            np.testing.assert_allclose(plain[name].filled(0), streamed[name].filled(0), atol=1e-6)
        else:
            assert plain[name].tolist() == streamed[name].tolist(), name
    rows = sqlite3.connect(base)
    found = dict(rows.execute("SELECT id, score FROM candidates").fetchall())
    rows.close()
    assert [found[name] for name in streamed["id"].tolist()] == streamed["score"].tolist()


def test_a_policy_and_a_prefix(stamp_folder: Path, tmp_path: Path, capsys) -> None:
    policy = change_policy(tmp_path / "policy.json", "0", who="Ada", why="to see all")
    out = tmp_path / "out.ecsv"
    words = ["score", str(stamp_folder), "--to", str(out), "--policy", str(policy), "--id-prefix", "night-1/"]
    assert main(words) == 0
    assert "45 real (fixed=0)" in capsys.readouterr().out
    from astropy.table import Table

    rows = Table.read(out)
    assert rows["id"][0] == "night-1/s000" and rows["real"].sum() == 45
    assert (tmp_path / "policy.history.jsonl").exists()


def test_ids_that_come_twice_are_told(toy_stamps: StampSet, tmp_path: Path, capsys) -> None:
    stamps = toy_stamps.select(np.arange(6))
    stamps.catalogue["id"] = ["a", "b", "a", "c", "a", "d"]
    assert main(["score", str(stamps.save(tmp_path / "S")), "--to", str(tmp_path / "out.csv")]) == 0
    assert "2 came again under an id that it had; the first of each stands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["S"], "say where the scores go"),
        (["S", "-o", "a.xls"], "write a table as .parquet"),
        (["S", "--to", "out.xls"], "cannot tell what to write to out.xls"),
        (["S", "--to", "a.csv", "out/", "--format", "fits"], "unknown sink 'fits'"),
        (["S", "--to", "a.csv", "--policy", "purity=0.9"], "holds no calibration"),
        (["S", "--to", "a.csv", "--batch", "0"], "batches of 0"),
        (["absent", "--to", "a.csv"], "there is no absent"),
        (["S", "--to", "a.csv", "--model", "absent"], "there is no model"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_left(
    stamp_folder: Path, tmp_path: Path, capsys, monkeypatch, words, says
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [str(stamp_folder) if word == "S" else word for word in words]
    assert says in fails(capsys, "score", *named)
    assert list(tmp_path.iterdir()) == []


def test_o_is_a_sink_like_the_others(toy_stamps: StampSet, tmp_path: Path, capsys) -> None:
    """Policy, prefix and sizes hold for it; a stamp that cannot be scored is a row without a score."""
    stamps = toy_stamps.select(np.arange(6))
    stamps = StampSet(stamps.pixels.copy(), stamps.catalogue, stamps.channels)
    stamps.pixels[2, 0, 5, 5] = np.nan
    out, other = tmp_path / "out.parquet", tmp_path / "other.csv"
    words = ["score", str(stamps.save(tmp_path / "S")), "-o", str(out), "--policy", "at-most=1", "--id-prefix", "n1/"]
    assert main([*words, "--to", str(other), "--batch", "4"]) == 0
    assert "6 candidates, 5 of them scored" in capsys.readouterr().out and other.exists()
    rows = read_parquet(out)
    assert rows["score"].mask.tolist() == [False, False, True, False, False, False]
    assert set(rows["policy"]) == {"at-most=1"} and rows["real"].sum() <= 1
    assert all(name.startswith("n1/") for name in rows["id"])


def test_nights_change_at_the_longitude_that_is_given(toy_stamps: StampSet, tmp_path: Path, capsys) -> None:
    stamps = toy_stamps.select(np.arange(4))
    stamps.catalogue["mjd"] = [60000.47, 60000.48, 60000.55, 60000.56]  # about noon UT: 19 h to 21 h at Xinglong
    folder = str(stamps.save(tmp_path / "S"))
    out = tmp_path / "out.parquet"
    for longitude, nights in ((0, 2), (117.6, 1)):
        words = ["score", folder, "-o", str(out), "--policy", "at-most=1", "--longitude", str(longitude)]
        assert main(words) == 0
        rows = read_parquet(out)
        assert len(rows) == 4 and int(rows["real"].sum()) == nights
    assert "longitude 999" in fails(capsys, "score", folder, "-o", out, "--longitude", "999")


def test_an_error_in_the_middle_leaves_the_old_file(stamp_folder: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    (tmp_path / "out.csv").write_text("old")

    def full(*_: object) -> None:
        raise OutputError("no room left")

    monkeypatch.setattr("realbogus.serving.sinks.avro.AvroFolder.write", full)
    pytest.importorskip("fastavro", reason='packets need fastavro: pip install "realbogus[alerts]"')
    words = ["score", stamp_folder, "--to", tmp_path / "out.csv", tmp_path / "alerts", "--format", "avro"]
    assert "no room left" in fails(capsys, *words)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "alerts"}
