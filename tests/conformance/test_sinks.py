"""What every sink must hold, run over the whole table of sinks."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from realbogus.classifier import Card
from realbogus.errors import InputError, OutputError
from realbogus.serving.batch import Batch, Failed, Scored
from realbogus.serving.loop import score
from realbogus.serving.scorer import Scorer
from realbogus.serving.sinks import SINKS, Sink, open_sink
from realbogus.tables import read_parquet

ODD = ["it's", 'say "x"', "a,b;c", "line\nbreak", "tab\there", "../../etc/passwd", "x'); DROP TABLE candidates; --",
       "Ω ☄ \N{ROCKET}", "z" * 300, "nul\0inside", " space ", "NULL", "#hash", "<tag>&amp;", "%s %(id)s ?"]  # fmt: skip


class Half:
    """Scores the mean pixel."""

    card = Card(name="half", architecture="none", threshold=0.5, version="7")

    def predict(self, pixels, *, noise=None, fwhm=None):
        return np.asarray(pixels, dtype=np.float32).mean(axis=(1, 2, 3))


def batch(ids: list[str], scores: list[float], *, failed: tuple[Failed, ...] = (), **columns: Any) -> Batch:
    rows = Table({"id": np.array(ids, dtype=str), "noise": np.ones(len(ids)), "fwhm": np.full(len(ids), 3.0)} | columns)
    pixels = np.full((len(ids), 1, 8, 8), 1, np.float32) * np.array(scores, np.float32)[:, None, None, None]
    return Batch(rows, pixels, failed=failed, receipt=ids[-1])


def scored(*args: Any, **kwargs: Any) -> Scored:
    return Scorer(Half())(batch(*args, **kwargs))


@dataclass
class Stage:
    """A target and what can be read back from it: rows by id, ids of what failed."""

    open: Callable[[], Sink]
    rows: Callable[[], dict[str, dict[str, Any]]]
    failed: Callable[[], int] | None = None
    only_real: bool = False


def _by_id(table: Table) -> dict[str, dict[str, Any]]:
    names = table.colnames
    # a row that is there twice shows
    assert len(set(table["id"].tolist())) == len(table)
    columns = {}
    for name in names:
        column = np.ma.asarray(table[name])
        values, gone = np.ma.getdata(column).tolist(), np.ma.getmaskarray(column).tolist()
        columns[name] = [None if masked else value for value, masked in zip(values, gone, strict=True)]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {str(row["id"]): row for row in rows}


def _file(folder: Path, suffix: str) -> Stage:
    path = folder / f"out{suffix}"
    formats = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".vot": "votable"}

    def rows() -> dict[str, dict[str, Any]]:
        if suffix == ".parquet":
            return _by_id(read_parquet(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = Table.read(
                path, format=formats[suffix], **({"converters": {"id": str}} if suffix == ".csv" else {})
            )
        return _by_id(table)

    def failed() -> int:
        listed = path.with_name(f"{path.name}.failed.csv")
        return len(listed.read_text().splitlines()) - 1 if listed.exists() else 0

    return Stage(lambda: open_sink(str(path)), rows, failed)


def _sqlite(folder: Path) -> Stage:
    path = folder / "out.db"

    def ask(question: str) -> list[dict[str, Any]]:
        base = sqlite3.connect(path)
        base.row_factory = sqlite3.Row
        found = [dict(row) for row in base.execute(question)]
        base.close()
        return found

    return Stage(
        lambda: open_sink(f"sqlite:///{path}"),
        lambda: {row["id"]: row | json.loads(row["extra"]) for row in ask("SELECT * FROM candidates")},
        lambda: len(ask("SELECT * FROM failed")),
    )


def _postgres(url: str) -> Stage:
    import psycopg
    from psycopg.rows import dict_row

    def ask(question: str) -> list[dict[str, Any]]:
        with psycopg.connect(url, row_factory=dict_row, autocommit=True) as base:
            found = base.execute(question)  # type: ignore[call-overload]
            return found.fetchall() if found.description else []

    ask("DROP TABLE IF EXISTS candidates, failed")
    return Stage(
        lambda: open_sink(url),
        lambda: {row["id"]: row | row["extra"] for row in ask("SELECT * FROM candidates")},
        lambda: len(ask("SELECT * FROM failed")),
    )


def _avro(folder: Path) -> Stage:
    fastavro = pytest.importorskip("fastavro", reason='packets need fastavro: pip install "realbogus[alerts]"')
    out = folder / "alerts-out"

    def rows() -> dict[str, dict[str, Any]]:
        found = {}
        for path in out.glob("*.avro"):
            with path.open("rb") as stream:
                (record,) = fastavro.reader(stream)
            found[record["id"]] = _plain(record)
        return found

    return Stage(lambda: open_sink(str(out), "avro"), rows, lambda: len(list((out / "failed").glob("*"))))


def _kafka(address: str, topic: str) -> Stage:
    fastavro = pytest.importorskip("fastavro", reason='packets need fastavro: pip install "realbogus[stream]"')

    def rows() -> dict[str, dict[str, Any]]:
        """Read the topic as its readers do: by key."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": address, "group.id": "conformance", "log_level": 0})
        found = {}
        for number in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)
            consumer.assign([TopicPartition(topic, number, low)])
            for message in consumer.consume(high - low, 20) if high > low else ():
                assert message.error() is None
                (record,) = fastavro.reader(io.BytesIO(message.value()))
                assert message.key().decode() == record["id"]
                found[record["id"]] = _plain(record)
        consumer.close()
        return found

    return Stage(lambda: open_sink(f"kafka://{address}/{topic}"), rows)


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    record |= {"score": record["rb"], "real": record["rbreal"], "reason": record["rbreason"]}
    record |= {"threshold": record["rbthreshold"], "model_version": record["rbversion"]}
    return record | json.loads(record["extra"])


def _hook() -> Iterator[Stage]:
    got: dict[str, dict[str, Any]] = {}

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.update({row["id"]: row for row in said["candidates"]})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield Stage(lambda: open_sink(url), lambda: got, only_real=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=list(SINKS))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    name = request.param
    if name.startswith("."):
        yield _file(tmp_path, name)
    elif name == "sqlite":
        pytest.importorskip("sqlalchemy", reason='databases need SQLAlchemy: pip install "realbogus[database]"')
        yield _sqlite(tmp_path)
    elif name in ("postgresql", "postgres"):
        pytest.importorskip("sqlalchemy", reason='databases need SQLAlchemy: pip install "realbogus[database]"')
        yield _postgres(request.getfixturevalue("postgres").url.replace("postgresql", name))
    elif name in ("http", "https"):
        yield from _hook()  # https differs by the library's own handling of certificates alone
    elif name == "avro":
        yield _avro(tmp_path)
    elif name == "kafka":
        yield _kafka(request.getfixturevalue("kafka").address, tmp_path.name)
    else:
        pytest.fail(f"the sink {name} is in the table and has no stage here: say how it is opened and read back")


def _write(stage: Stage, *batches: Scored) -> dict[str, dict[str, Any]]:
    sink = stage.open()
    for each in batches:
        sink.write(each)
        if each.batch.failed:
            sink.refuse(each.batch.failed)
    sink.close()
    return stage.rows()


def test_it_is_a_sink(stage: Stage) -> None:
    sink = stage.open()
    assert isinstance(sink, Sink)
    sink.close(whole=False)
    sink.close(whole=False)  # to close once more does nothing


def test_what_goes_in_comes_out(stage: Stage) -> None:
    mjd = np.array([60000.5, 60000.6, np.nan])
    found = _write(
        stage,
        scored(["a", "b", "c"], [0.9, 0.2, 0.5], mjd=mjd, label=[1, 0, 1], weather=["fine", "", "rain"]),
        scored(["d"], [0.75], mjd=[60001.0], label=[1], weather=["fog"]),
    )
    assert set(found) == ({"a", "c", "d"} if stage.only_real else {"a", "b", "c", "d"})
    assert found["a"]["score"] == pytest.approx(0.9)
    assert bool(found["a"]["real"]) is True
    assert float(found["a"]["threshold"]) == 0.5
    assert str(found["a"]["model_version"]) == "7"
    assert found["a"]["mjd"] == 60000.5
    assert found["c"].get("mjd") is None or np.isnan(found["c"]["mjd"])
    assert int(found["d"]["label"]) == 1 and found["d"]["weather"] == "fog"
    if not stage.only_real:
        assert not found["b"]["real"] or found["b"]["real"] == "False"


def test_the_same_batch_twice_is_once(stage: Stage) -> None:
    one = scored(["a", "b"], [0.9, 0.6], failed=(Failed("x", "no Avro", where="f#1"), Failed("", "cut", where="f#2")))
    once = _write(stage, one)
    assert len(once) == 2
    twice = _write(stage, one, one)
    assert twice == once
    if stage.failed is not None:
        assert stage.failed() == 2


def test_a_candidate_twice_in_one_batch_is_once(stage: Stage) -> None:
    assert set(_write(stage, scored(["a", "a", "b"], [0.9, 0.9, 0.8]))) == {"a", "b"}


def test_no_score_stays_none(stage: Stage) -> None:
    found = _write(stage, scored(["good", "bad", "far"], [0.9, np.nan, 0.9], usable=[True, True, False]))
    assert found["good"]["score"] == pytest.approx(0.9)
    assert set(found) == ({"good"} if stage.only_real else {"good", "bad", "far"})
    if not stage.only_real:
        for name, why in (("bad", "not finite"), ("far", "too little")):
            score_ = found[name]["score"]
            assert score_ is None or score_ != score_ or score_ == ""
            assert why in found[name]["reason"]
            assert str(found[name]["real"]) in ("False", "0")


def test_odd_text(stage: Stage) -> None:
    """No id is lost or mixed up with another; where NUL cannot stand something else does."""
    found = _write(stage, scored(ODD, [0.9] * len(ODD), frame=ODD[::-1]))
    assert len(found) == len(ODD)
    strip = {name.strip(): row for name, row in found.items()}  # text tables do not tell blanks at the ends
    for name, frame in zip(ODD, ODD[::-1], strict=True):
        if "\0" in name + frame:
            continue
        row = found.get(name) or strip[name.strip()]
        assert (row["frame"] or "").strip() == frame.strip() or (frame == "NULL" and row["frame"] is None)


def test_columns_that_come_later(stage: Stage) -> None:
    found = _write(stage, scored(["a"], [0.9], mag=[18.5]), scored(["b"], [0.8], colour=["red"], mag=["faint"]))
    assert found["b"]["colour"] == "red"
    assert str(found["b"]["mag"]) == "faint"
    assert float(found["a"]["mag"]) == 18.5


def test_through_the_loop_the_counts_agree(stage: Stage) -> None:
    class Three:
        count = 5

        def __init__(self) -> None:
            self.committed: list[Any] = []

        def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
            yield batch(["a", "b"], [0.9, 0.1])
            yield Batch.of_failed([Failed("", "no Avro", where="f#0")], receipt="f")
            yield batch(["c", "d", "e"], [0.9, np.nan, 0.7])

        def commit(self, receipt: Any) -> None:
            self.committed.append(receipt)

        def close(self) -> None:
            pass

    source = Three()
    tally = score(source, Scorer(Half()), [stage.open()])
    assert (tally.rows, tally.scored, tally.real, tally.failed, tally.read) == (5, 4, 3, 1, 6)
    assert source.committed == ["b", "f", "e"]
    assert len(stage.rows()) == (3 if stage.only_real else 5)
    assert stage.failed is None or stage.failed() == 1


def test_a_source_that_breaks_leaves_no_half_file(stage: Stage) -> None:
    """What is put in place at the end is not; what is there at once is there whole."""
    _write(stage, scored(["old"], [0.9]))
    sink = stage.open()
    sink.write(scored(["new"], [0.8]))
    sink.close(whole=False)
    assert set(stage.rows()) == ({"old", "new"} if sink.lasting else {"old"})


KILLED = """
import sys, os, signal
sys.path[:0] = {path!r}
import test_sinks
sink = test_sinks.open_sink({target!r}, "avro")
sink.write(test_sinks.scored(["k%d" % i for i in range(200)], [0.9] * 200))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("target", ["out.parquet", "out.csv", "sqlite:///out.db"])
def test_a_killed_run_leaves_nothing_half(tmp_path: Path, target: str) -> None:
    if target.startswith("sqlite"):
        pytest.importorskip("sqlalchemy", reason='databases need SQLAlchemy: pip install "realbogus[database]"')
    stage = _sqlite(tmp_path) if target.startswith("sqlite") else _file(tmp_path, Path(target).suffix)
    before = _write(stage, scored(["old"], [0.9]))
    script = KILLED.format(path=[str(Path(__file__).parent), *sys.path], target=target)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    after = stage.rows()
    assert after == before if not target.startswith("sqlite") else len(after) == 201
    # the next run sweeps up and is as if nothing had been
    assert "new" in _write(stage, scored(["new"], [0.9]))
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"out.parquet", "out.csv", "out.db"}


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for name in SINKS:
        if name.startswith(".") or name == "avro":
            with pytest.raises(OutputError, match="cannot write"):
                open_sink(str(tmp_path / "file" / f"out{name if name != 'avro' else ''}"), "avro")
    pytest.importorskip("sqlalchemy", reason='databases need SQLAlchemy: pip install "realbogus[database]"')
    for url in (f"sqlite:///{tmp_path}/file/x.db", f"sqlite:///{tmp_path}"):
        with pytest.raises(OutputError, match=r"cannot write|does not answer"):
            open_sink(url)


def test_an_unknown_target_names_the_known() -> None:
    with pytest.raises(InputError, match=r"known are \.csv, \.ecsv, \.parquet, \.vot, avro, .*sqlite"):
        open_sink("out.xls")
    with pytest.raises(InputError, match="an address of ftp"):
        open_sink("ftp://somebody:secret@host/x")
