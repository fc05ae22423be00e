"""Tables in files beyond what every sink must hold: text that looks like something else, a disk that is full."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from realbogus.classifier import Card
from realbogus.errors import OutputError
from realbogus.serving.batch import Batch, Failed, Scored
from realbogus.serving.scorer import Scorer
from realbogus.serving.sinks import open_sink
from realbogus.serving.sinks.seen import Seen
from realbogus.tables import read_parquet


class Half:
    card = Card(name="half", architecture="none", threshold=0.5)

    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> Any:
        return np.full(len(pixels), 0.75, np.float32)


def scored(ids: list[str], **columns: Any) -> Scored:
    rows = Table({"id": ids, "noise": np.ones(len(ids)), "fwhm": np.full(len(ids), 3.0)} | columns)
    return Scorer(Half())(Batch(rows, np.zeros((len(ids), 1, 2, 2), np.float32)))


IDS = [
    "plain",
    "#first",
    "a\n#second",
    "b\r#third",
    "#c, with\n#lines",
    'd "q"\n# x',
    "e\u2028#f",
    "g\n  # h",
    "#",
    "i\r\nj",
]
NOTES = ["one", "#two", "x\n#y", "", "l1\n#, l2", "#", '"\n#"', "n", "#n#\n#", "last"]


def _written(tmp_path: Path, name: str) -> Path:
    sink = open_sink(str(tmp_path / name))
    sink.write(scored(IDS[:6], note=NOTES[:6]))
    sink.write(scored(IDS[6:], note=NOTES[6:]))
    sink.close()
    return tmp_path / name


def _plain(word: str) -> str:
    return word.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")


def test_a_break_before_a_hash_is_a_part_of_its_value_in_csv(tmp_path: Path) -> None:
    path = _written(tmp_path, "out.csv")
    table = Table.read(path, format="ascii.csv", converters={"id": str, "note": str}, fast_reader=True)
    assert [word.split() for word in table["id"].tolist()] == [_plain(word).split() for word in IDS]
    with path.open(newline="", encoding="utf-8") as stream:  # and by another reader
        rows = list(csv.DictReader(stream))
    assert [(row["id"], row["note"]) for row in rows] == list(zip(map(_plain, IDS), map(_plain, NOTES), strict=True))


def test_a_break_before_a_hash_costs_no_row_in_ecsv(tmp_path: Path) -> None:
    table = Table.read(_written(tmp_path, "out.ecsv"))
    assert len(table) == len(IDS) and len(set(table["id"])) == len(IDS)
    for found, word in zip(table["id"].tolist(), IDS, strict=True):
        assert found.replace("\N{SYMBOL FOR NEWLINE}", "\n").split() == _plain(word).split()
    assert table["id"][1] == "#first" and table["note"][1] == "#two" and table["id"][9] == "i\nj"


def test_no_room_for_the_ids_is_an_error_that_says_so(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.csv"))
    sink._seen._base.execute("PRAGMA max_page_count = 3")  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match=r"cannot write .*out.csv: database or disk is full"):
        sink.write(scored([f"{number:0900}" for number in range(50)]))
    sink.close(whole=False)
    assert list(tmp_path.iterdir()) == []


def test_what_went_wrong_first_is_told(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen")
    with pytest.raises(sqlite3.OperationalError, match="no room"), seen.new(["a"]):
        seen._base.execute("ROLLBACK")  # as SQLite does by itself where its disk is full
        raise sqlite3.OperationalError("no room")
    with seen.new(["a"]) as new:
        assert new.tolist() == [True]
    seen.close()


def test_names_that_are_no_text_are_listed(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.csv"))
    sink.refuse([Failed("", "damaged", where="bad\udcff.avro")])
    sink.close()
    assert "damaged" in (tmp_path / "out.csv.failed.csv").read_text()


ODD = {
    "time": np.array(["2026-11-30T01:02:03", "NaT"], dtype="datetime64[ns]"),
    "day": np.array([date(2026, 11, 30), None], dtype=object),
    "price": np.array([Decimal("1.5"), Decimal("2.5")], dtype=object),
    "pairs": np.array([[1.0, 2.0], [3.0, np.nan]]),
    "ragged": np.array([np.array([1, 2]), np.array([3])], dtype=object),
    "facts": np.array([{"a": 1, "b": [2, None]}, {}], dtype=object),
    "raw": np.array([b"plain", b"\xff\xfe"], dtype=object),
    "huge": np.array([2**64 - 1, 0], dtype=np.uint64),
}


@pytest.mark.parametrize("target", ["t.parquet", "t.csv", "t.ecsv", "t.vot", "sqlite:///{}/t.db"])
def test_columns_that_no_table_has_a_kind_for(tmp_path: Path, target: str) -> None:
    address = target.format(tmp_path) if ":" in target else str(tmp_path / target)
    sink = open_sink(address)
    sink.write(scored(["a", "b"], **ODD))
    sink.close()
    if ":" in target:
        extra = [
            json.loads(text)
            for (text,) in sqlite3.connect(tmp_path / "t.db").execute("SELECT extra FROM candidates ORDER BY id")
        ]
        assert extra[0]["time"].startswith("2026-11-30T01:02:03") and "time" not in extra[1]
        assert (extra[0]["facts"], extra[1]["pairs"], extra[0]["huge"]) == (ODD["facts"][0], [3.0, None], 2**64 - 1)
        return
    if target.endswith("parquet"):
        table = read_parquet(tmp_path / target)
    elif target.endswith(".csv"):  # astropy would make a float of the huge one
        with (tmp_path / target).open(newline="") as file:
            table = Table(rows=list(csv.DictReader(file)))
    else:
        table = Table.read(tmp_path / target)
    assert [str(name) for name in table["id"]] == ["a", "b"]
    assert str(table["time"][0]).startswith("2026-11-30T01:02:03")
    assert [str(table[name][0]) for name in ("day", "price", "raw")] == ["2026-11-30", "1.5", "plain"]
    assert (json.loads(str(table["ragged"][0])), json.loads(str(table["facts"][0]))) == ([1, 2], ODD["facts"][0])
    assert int(table["huge"][0]) == 2**64 - 1


def test_two_runs_never_write_one_table(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    first = open_sink(str(path))
    first.write(scored(["a"]))
    with pytest.raises(OutputError, match=r"^another run is writing to .*/t\.parquet: wait until"):
        open_sink(str(path))
    first.close()
    second = open_sink(str(path))
    second.write(scored(["b", "c"]))
    second.close()
    second.close()  # once more does nothing
    assert read_parquet(path)["id"].tolist() == ["b", "c"] and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_run_that_could_not_begin_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "t.parquet")
    with monkeypatch.context() as patch:
        patch.setattr("realbogus.serving.sinks.files.Seen", lambda path: path.joinpath("no", "such").read_bytes())
        with pytest.raises(OutputError, match="No such file") as kept:  # the error, and with it the frame, live on
            open_sink(path)
    open_sink(path).close(whole=False)
    assert kept.value


def test_rows_whose_scratch_went_away_are_not_called_written(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "t.csv"))
    sink.write(scored(["a"]))
    shutil.rmtree(tmp_path / ".t.csv.part")
    with pytest.raises(OutputError, match=r"cannot write .*t\.csv"):
        sink.close()


def test_a_folder_in_the_place_of_a_table_is_seen_at_once(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        open_sink(str(tmp_path / "t.parquet"))
