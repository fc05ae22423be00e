"""Databases beyond what every sink must hold: a server that stops, writers side by side, foreign tables, speed."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from realbogus.classifier import Card
from realbogus.errors import ConfigError, OutputError
from realbogus.serving.batch import Batch, Failed, Scored
from realbogus.serving.loop import score
from realbogus.serving.patience import UnavailableError
from realbogus.serving.scorer import Scorer
from realbogus.serving.sinks import open_sink

pytest.importorskip("sqlalchemy", reason='databases need SQLAlchemy: pip install "realbogus[database]"')


class Half:
    card = Card(name="half", architecture="none", threshold=0.5)

    def predict(self, pixels, *, noise=None, fwhm=None):
        return np.full(len(pixels), 0.75, np.float32)


def batch_of(start: int, count: int, **columns: Any) -> Batch:
    ids = [f"c{number:06d}" for number in range(start, start + count)]
    rows = Table({"id": ids, "noise": np.ones(count), "fwhm": np.full(count, 3.0)} | columns)
    return Batch(rows, np.zeros((count, 1, 2, 2), np.float32), receipt=start + count)


def scored_of(start: int, count: int, **columns: Any) -> Scored:
    return Scorer(Half())(batch_of(start, count, **columns))


def ask(postgres: Any, question: str) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as base:
        found = base.execute(question)
        return found.fetchall() if found.description else []


@pytest.fixture
def empty(postgres: Any) -> Any:
    ask(postgres, "DROP TABLE IF EXISTS candidates, failed")
    return postgres


def test_a_server_that_stops_is_waited_for_and_nothing_is_lost(empty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle, with a batch on its way; the source is told of a batch only when it is there."""
    committed: list[int] = []
    said: list[str] = []

    class Source:
        count = 60

        def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
            for start in range(0, 60, 10):
                if start == 30:
                    empty.stop()
                    threading.Timer(1.2, empty.start).start()
                yield batch_of(start, 10)

        def commit(self, receipt: Any) -> None:
            assert ask(empty, "SELECT count(*) FROM candidates")[0][0] >= receipt
            committed.append(receipt)

        def close(self) -> None:
            pass

    tally = score(Source(), Scorer(Half()), [open_sink(empty.url)], say=said.append, ahead=0)
    assert tally.rows == 60 and committed == [10, 20, 30, 40, 50, 60]
    assert ask(empty, "SELECT count(*), count(DISTINCT id) FROM candidates") == [(60, 60)]
    assert any("trying again in 0.5 s, nothing is lost" in text for text in said) and "going on" in said[-1]


def test_writers_side_by_side_do_not_lock_each_other_out(empty: Any) -> None:
    """Three of a consumer group get the same batch in other orders when one of them dies."""
    problems: list[BaseException] = []

    def write(seed: int) -> None:
        try:
            sink = open_sink(empty.url)  # they also make the tables at the same time
            order = np.random.default_rng(seed).permutation(200)
            for _ in range(3):
                scored = scored_of(0, 200)
                sink.write(Scored(scored.rows[order], scored.batch))
            sink.close()
        except BaseException as error:
            problems.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert problems == []
    assert ask(empty, "SELECT count(*) FROM candidates") == [(200,)]


def test_postgres_looks_into_the_other_columns(empty: Any) -> None:
    sink = open_sink(empty.url)
    sink.write(scored_of(0, 3, rb=[0.1, 0.9, np.nan], weather=["fog", "a\0b", "rain"]))
    sink.close()
    found = ask(empty, "SELECT id, (extra->>'rb')::float8, extra->>'weather' FROM candidates ORDER BY id")
    assert found == [("c000000", 0.1, "fog"), ("c000001", 0.9, "a\N{SYMBOL FOR NULL}b"), ("c000002", None, "rain")]
    assert ask(empty, "SELECT real, usable, score FROM candidates LIMIT 1") == [(True, None, 0.75)]


def test_a_server_that_is_not_there_is_an_error_at_once() -> None:
    pytest.importorskip("psycopg", reason='PostgreSQL needs psycopg: pip install "realbogus[database]"')
    with pytest.raises(OutputError, match=r"postgres:\*\*\*@127.0.0.1:1/x does not answer .* is it there") as error:
        open_sink("postgresql://postgres:secret@127.0.0.1:1/x")
    assert "secret" not in str(error.value)


def test_text_that_no_database_takes_is_written_as_its_picture(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    names = ["a\0b", "caf\u00e9", "half \ud800", "plain"]
    sink.write(scored_of(0, 4, field=MaskedColumn(names, mask=[False, False, False, True]), band=["g", "r", "i\0", ""]))
    sink.close()
    found = sqlite3.connect(tmp_path / "x.db").execute("SELECT field, band FROM candidates ORDER BY id").fetchall()
    nul = "\N{SYMBOL FOR NULL}"
    assert found == [(f"a{nul}b", "g"), ("caf\u00e9", "r"), ("half ?", "i"), (None, "")]


@pytest.mark.parametrize("address", ["sqlite://x.db", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_names_no_file_is_refused(address: str) -> None:
    with pytest.raises(OutputError, match=r"names no file of this computer: write sqlite:///x\.db"):
        open_sink(address)


def test_a_later_score_replaces_the_earlier(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    first = scored_of(0, 2, mag=[18.0, 19.0])
    sink.write(first)
    again = scored_of(1, 2)
    sink.write(again)
    sink.close()
    base = sqlite3.connect(tmp_path / "x.db")
    assert base.execute("SELECT id, mag FROM candidates ORDER BY id").fetchall() == [
        ("c000000", 18.0), ("c000001", None), ("c000002", None)
    ]  # fmt: skip
    base.close()


def test_a_busy_sqlite_is_away_and_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    with sink._engine.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="locked"):
        sink.write(scored_of(0, 2))
    other.execute("COMMIT")
    sink.write(scored_of(0, 2))
    assert other.execute("SELECT count(*) FROM candidates").fetchone() == (2,)
    other.close()
    sink.close()


def test_another_programs_table_is_left_alone(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "x.db")
    base.execute("CREATE TABLE candidates (name TEXT, votes INTEGER)")
    base.commit()
    base.close()
    with pytest.raises(OutputError, match=r"has a table candidates without .* choose another database"):
        open_sink(f"sqlite:///{tmp_path}/x.db")


def test_a_column_of_another_type_goes_with_the_others(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    sink.write(scored_of(0, 2, sign=["t", "f"], flags=[1, 2], mjd=[60000, 60001]))
    sink.close()
    base = sqlite3.connect(tmp_path / "x.db")
    assert base.execute("SELECT sign, extra->>'sign', flags, mjd FROM candidates ORDER BY id").fetchall() == [
        (None, "t", 1, 60000.0), (None, "f", 2, 60001.0)
    ]  # fmt: skip
    base.close()


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no address of a database"):
        open_sink("sqlite:nothing")


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for missing, url in (("psycopg", "postgresql://x/y"), ("sqlalchemy", "sqlite:///x.db")):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(ConfigError, match=r'pip install "realbogus\[database\]"'):
            open_sink(url)


def test_many_rows_a_second(tmp_path: Path) -> None:
    """The floor is 20,000 on an idle machine (benchmarks/stream_memory.py); this only finds a fall by ten."""
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    batches = [scored_of(start, 512, ra=np.ones(512), snr=np.ones(512)) for start in range(0, 4096, 512)]
    begun = time.process_time()
    for each in batches:
        sink.write(each)
    sink.close()
    assert 4096 / (time.process_time() - begun) > 2000


#: Words of a survey that look like JSON's own for NUL, and NUL itself, nested too.
_WORDS = [r"a\u0000b", "c\0d", "\\\0e"]


def test_words_that_look_like_an_escape_stay_as_they_are(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    sink.write(scored_of(0, 3, weather=_WORDS, pair=[[word, "e"] for word in _WORDS]))
    sink.close()
    base = sqlite3.connect(tmp_path / "x.db")
    found = base.execute("SELECT extra->>'weather', extra->>'$.pair[0]' FROM candidates ORDER BY id").fetchall()
    base.close()
    expected = [word.replace("\0", "\N{SYMBOL FOR NULL}") for word in _WORDS]
    assert found == [(word, word) for word in expected]


def test_postgres_takes_words_that_look_like_an_escape_and_long_keys(empty: Any) -> None:
    words = "".join(np.random.default_rng(0).choice(list("abcdefghijklmnop"), 9000).tolist())  # nothing to compress
    sink = open_sink(empty.url)
    scored = scored_of(0, 3, weather=_WORDS)
    scored.rows["id"] = [words + "1", words + "2", "short"]
    sink.write(scored)
    sink.write(scored)
    sink.refuse([Failed(words, "a reason", where=words)])
    sink.close()
    found = dict(ask(empty, "SELECT id, extra->>'weather' FROM candidates"))
    assert found["short"] == "\\\N{SYMBOL FOR NULL}e" and len(found) == 3 and max(map(len, found)) == 600
    assert ask(empty, "SELECT reason FROM failed") == [("a reason",)]


def test_whole_numbers_beyond_64_bits_go_with_the_others(tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:///{tmp_path}/x.db")
    large = np.array([7, 2**63, 2**64 - 1], dtype=np.uint64)
    sink.write(scored_of(0, 3, flags=large, snr=large, mask=large))
    sink.close()
    base = sqlite3.connect(tmp_path / "x.db")
    rows = base.execute("SELECT flags, snr, extra FROM candidates ORDER BY id").fetchall()
    base.close()
    assert [row[:2] for row in rows] == [(7, 7.0), (None, None), (None, None)]
    extra = [json.loads(row[2]) for row in rows]
    assert extra[0] == {"mask": 7} and extra[2] == dict.fromkeys(("flags", "snr", "mask"), 2**64 - 1)
