"""Topics: what is read, what cannot be read, what is sent on; with a real broker."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from kafka_server import KafkaServer

from realbogus.adapters.packets import UnusableError
from realbogus.classifier import Card
from realbogus.errors import ConfigError, InputError, OutputError
from realbogus.serving.batch import Batch, Failed
from realbogus.serving.kafka_address import KafkaAddress
from realbogus.serving.loop import score
from realbogus.serving.patience import UnavailableError
from realbogus.serving.schema_registry import Schemas
from realbogus.serving.scorer import Scorer
from realbogus.serving.sinks import open_sink
from realbogus.serving.sinks.dead_letters import DeadLetters
from realbogus.serving.sinks.kafka import KafkaTopic
from realbogus.serving.sources.kafka import KafkaSource
from realbogus.stamps import StampSet

pytest.importorskip("confluent_kafka", reason='Kafka needs confluent-kafka: pip install "realbogus[stream]"')
fastavro = pytest.importorskip("fastavro", reason='alerts are Avro: pip install "realbogus[stream]"')

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ["null", "bytes"]
SCHEMA = {
    "type": "record", "name": "alert", "namespace": "test",
    "fields": [
        {"name": "diaSource", "type": {"type": "record", "name": "diaSource", "fields": [
            {"name": "diaSourceId", "type": "long"},
            {"name": "ra", "type": "double"}, {"name": "dec", "type": "double"},
        ]}},
        *({"name": f"cutout{name}", "type": IMAGE} for name in ("Difference", "Science", "Template")),
    ],
}  # fmt: skip


class Bright:
    """A classifier that needs no network."""

    card = Card(name="bright", architecture="none", threshold=0.5)

    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> Any:
        return np.clip(np.asarray(pixels)[:, 0, 32, 32] / 100, 0, 1).astype(np.float32)


def alert(number: int, peak: float = 90.0) -> dict[str, Any]:
    """A small alert of Rubin's kind."""
    from astropy.io import fits

    y, x = np.mgrid[-15:16, -15:16]
    pixels = peak * np.exp(-(x**2 + y**2) / 6) + np.random.default_rng(number).normal(0, 1, (31, 31))
    stream = io.BytesIO()
    fits.PrimaryHDU(pixels.astype("f4")).writeto(stream)
    cutouts = {f"cutout{name}": stream.getvalue() for name in ("Difference", "Science", "Template")}
    return {"diaSource": {"diaSourceId": number, "ra": 10.0, "dec": 20.0}, **cutouts}


def container(record: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, SCHEMA, [record])
    return stream.getvalue()


def bare(record: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), record)
    return stream.getvalue()


KNOWN = json.dumps({"schema": json.dumps(SCHEMA)}).encode()


@pytest.fixture
def answers() -> dict[str, tuple[int, bytes, dict[str, str]]]:
    """What the registry says: it knows schema 7, answers 500 for schema 9, and 404 for the rest."""
    return {"7": (200, KNOWN, {}), "9": (500, b"", {})}


@pytest.fixture
def registry(answers: dict[str, tuple[int, bytes, dict[str, str]]]) -> Iterator[str]:
    """A schema registry."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = answers.get(self.path.rpartition("/")[2], (404, b"", {}))
            answers["asked"] = (0, b"", dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def send(kafka: KafkaServer, topic: str, values: list[bytes]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.address, "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def receive(kafka: KafkaServer, topic: str, count: int) -> list[Any]:
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: list[Any] = []
    for _ in range(200):
        found += [message for message in consumer.consume(count, 0.2) if message.error() is None]
        if len(found) >= count:
            break
    consumer.close()
    return found


def test_addresses() -> None:
    assert KafkaAddress.of("kafka://a:1,b:2/t") == KafkaAddress("a:1,b:2", "t")
    for wrong in ("http://a/t", "kafka://a", "kafka:///t", "kafka://a/t/u"):
        with pytest.raises(ConfigError, match="no Kafka topic"):
            KafkaAddress.of(wrong)


def test_schemas_come_from_the_registry_and_are_kept(registry: str, tmp_path: Path) -> None:
    schemas = Schemas(registry=registry)
    assert schemas(7) is schemas(7) and schemas(7).packet.kind == "rubin"
    for _ in range(2):
        with pytest.raises(UnusableError, match="no schema 8"):
            schemas(8)
    with pytest.raises(UnavailableError, match="500"):
        schemas(9)
    with pytest.raises(UnavailableError, match="does not answer"):
        Schemas(registry="http://127.0.0.1:9")(7)
    with pytest.raises(ConfigError, match="registry 'file:///etc'"):
        Schemas(registry="file:///etc")
    (tmp_path / "a.avsc").write_text("{")
    with pytest.raises(InputError, match="cannot be read as an Avro schema"):
        Schemas(tmp_path / "a.avsc")


def test_what_a_registry_says_by_mistake_does_not_condemn_a_schema(registry: str, answers: Any) -> None:
    now = [0.0]
    schemas = Schemas(registry=registry, clock=lambda: now[0])
    cut = {"1": (200, KNOWN[:100], {}), "2": (200, KNOWN[:100], {"Content-Length": str(len(KNOWN))}),
           "3": (200, b"<html>tired</html>", {}), "4": (200, b"ff\r\nabc", {"Transfer-Encoding": "chunked"}),
           "5": (200, b"[" * 100_000, {})}  # fmt: skip
    answers |= cut
    for number in cut:
        with pytest.raises(UnavailableError, match=f"schema {number} of|does not answer"):
            schemas(int(number))
    answers |= {number: (200, KNOWN, {}) for number in "12345"}
    assert all(schemas(number).packet.kind == "rubin" for number in range(1, 6))
    answers |= cut
    assert schemas(1).packet.kind == "rubin"  # known for good
    answers["6"] = cut["3"]
    with pytest.raises(UnavailableError):
        schemas(6)
    now[0] = 61.0  # the same for a minute: it is the schema
    with pytest.raises(UnusableError, match="schema 6 of the registry cannot be read"):
        schemas(6)


def test_a_schema_that_is_registered_late_is_found(registry: str, answers: Any) -> None:
    now = [0.0]
    schemas = Schemas(registry=registry, clock=lambda: now[0])
    for seconds in (0.0, 59.0):
        now[0] = seconds
        with pytest.raises(UnusableError, match="no schema 8"):
            schemas(8)
        answers["8"] = (200, KNOWN, {})  # within the minute nobody asks
    now[0] = 60.0
    assert schemas(8).packet.kind == "rubin"


def test_a_registrys_password_goes_to_nobody_else(registry: str, answers: Any) -> None:
    answers["7"] = (307, b"", {"Location": registry.replace("127.0.0.1", "localhost") + "/schemas/ids/70"})
    answers["70"] = (200, KNOWN, {})
    with pytest.raises(UnavailableError, match="answers 307"):
        Schemas(registry=registry.replace("//", "//me:secret@"))(7)
    assert answers["asked"][2]["Host"].startswith("127.0.0.1") and "Authorization" in answers["asked"][2]


def test_nothing_may_stand_behind_a_record() -> None:
    from realbogus.adapters.packets import Packet, Unusable
    from realbogus.adapters.reading import read_packets

    for mark in (b"", b"\0\0\0\0\7"):
        (good,) = read_packets(mark + bare(alert(1)), schema=SCHEMA)
        (longer,) = read_packets(mark + bare(alert(1)) + b"xyz", schema=SCHEMA)
        assert isinstance(good, Packet)
        assert isinstance(longer, Unusable) and longer.reason.startswith("3 bytes behind the record")


class Message:
    """What a consumer gives."""

    def __init__(self, value: bytes, offset: int = 0) -> None:
        self._value, self._offset = value, offset

    def value(self) -> bytes:
        return self._value

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset


def several(numbers: range, codec: str = "deflate") -> bytes:
    stream = io.BytesIO()
    record = alert(0)
    records = [record | {"diaSource": record["diaSource"] | {"diaSourceId": number}} for number in numbers]
    fastavro.writer(stream, SCHEMA, records, codec=codec)
    return stream.getvalue()


def test_a_message_that_unpacks_to_too_much_is_one_failure() -> None:
    source = KafkaSource("kafka://127.0.0.1:9/t", "g", packets=True)
    large = several(range(300))
    (batch,) = source._batches([Message(container(alert(7))), Message(large, 1)], 512)
    assert batch.rows["id"].tolist() == ["7"]
    (failed,) = batch.failed
    assert (
        failed.reason.startswith("refused: a message that unpacks to more than 256 records")
        and failed.where == "t[0]@1"
    )
    assert failed.payload == large and batch.receipt == {("t", 0): (-1, 2)}
    source.close()


def test_batches_are_no_larger_than_asked_for() -> None:
    source = KafkaSource("kafka://127.0.0.1:9/t", "g", packets=True)
    batches = list(source._batches([Message(several(range(5))), Message(several(range(5, 9)), 1)], 3))
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert [int(name) for batch in batches for name in batch.rows["id"]] == list(range(9))
    assert all(packet is not None for batch in batches for packet in batch.packets or ())
    # an offset goes with the last row of its message
    assert [batch.receipt for batch in batches] == [{}, {("t", 0): (-1, 1)}, {("t", 0): (-1, 2)}]
    source.close()


def test_whoever_ends_it_while_the_registry_is_away_is_heard() -> None:
    schemas = Schemas(registry="http://127.0.0.1:9")
    source = KafkaSource("kafka://127.0.0.1:9/t", "g", schemas=schemas, say=lambda text: source.stop())
    source._messages = lambda size: iter([Message(b"\0\0\0\0\7" + bare(alert(1)))])  # type: ignore[method-assign]
    assert list(source.batches(8, 0.1)) == []
    source.close()


def narrow(kafka: KafkaServer, topic: str, most: int) -> None:
    """Make a topic that takes so many bytes a message."""
    from confluent_kafka.admin import AdminClient, NewTopic

    settings = {"max.message.bytes": str(most)}
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.create_topics([NewTopic(topic, 1, 1, config=settings)])[topic].result(30)


def test_a_dead_letter_that_does_not_fit_goes_without_its_body(kafka: KafkaServer) -> None:
    narrow(kafka, "narrow.dead", 4000)
    letters = DeadLetters(f"kafka://{kafka.address}/narrow.dead")
    noise = np.random.default_rng(0).bytes(20_000)  # nothing that could be packed
    bodies = [b"a", noise[:3000], noise, b"b", bytes(17 * 2**20)]
    failed = [Failed("", f"damaged: {len(body)}", body, f"t[0]@{k}") for k, body in enumerate(bodies)]
    letters.refuse(failed)
    letters.refuse([Failed("", "damaged", b"c", "t[0]@9")])  # and it goes on
    letters.close()
    found = {message.key().decode(): message for message in receive(kafka, "narrow.dead", 6)}
    assert sorted(found) == [f"t[0]@{k}" for k in (0, 1, 2, 3, 4, 9)]
    whole = {key: message.value() or b"" for key, message in found.items()}
    assert [whole[f"t[0]@{k}"] for k in range(5)] == [b"a", noise[:3000], b"", b"b", b""]
    told = dict(found["t[0]@2"].headers())
    assert told == {"reason": b"damaged: 20000", "where": b"t[0]@2", "size": b"20000"}


def test_a_row_that_the_topic_does_not_take_goes_to_the_dead_letters(kafka: KafkaServer) -> None:
    narrow(kafka, "narrow", 12_000)
    rows = Table({"id": ["a", "b", "c"], "noise": [1.0] * 3, "fwhm": [2.5] * 3})
    pixels = np.zeros((3, 1, 64, 64), "f4")
    pixels[1] = np.random.default_rng(0).normal(size=(64, 64))
    scored = Scorer(Bright())(Batch(rows, pixels))
    gone: list[Failed] = []
    topic = KafkaTopic(f"kafka://{kafka.address}/narrow")
    with pytest.raises(OutputError, match=r"1 candidates, b the first: \d+ bytes with its score"):
        topic.write(scored)
    topic.dead = gone.extend
    topic.write(Scorer(Bright())(Batch(rows, pixels)))
    topic.close()
    assert [(entry.id, entry.where) for entry in gone] == [("b", "narrow/b")] and len(gone[0].payload or b"") > 12_000
    assert {message.key() for message in receive(kafka, "narrow", 4)} == {b"a", b"c"}


def test_a_stream_needs_a_place_for_its_scores(capsys: pytest.CaptureFixture[str]) -> None:
    from realbogus.cli import main

    assert main(["stream", "kafka://127.0.0.1:9/alerts"]) == 1
    assert "say where the scores go: --to" in capsys.readouterr().err.replace("\n", " ")


def test_a_topic_is_read_in_every_wire_format(kafka: KafkaServer, registry: str, tmp_path: Path) -> None:
    file = tmp_path / "alert.avsc"
    file.write_text(json.dumps(SCHEMA))
    wire = b"\0" + (7).to_bytes(4, "big") + bare(alert(2))
    unknown = b"\0" + (8).to_bytes(4, "big") + bare(alert(3))
    poison = [b"", b"poison", container(alert(4))[:900], unknown]
    send(kafka, "formats", [container(alert(1)), wire, bare(alert(5, 20.0)), *poison])
    source = KafkaSource(
        f"kafka://{kafka.address}/formats", "one", schemas=Schemas(file, registry), idle_s=2.0, packets=True
    )
    base = open_sink(f"sqlite:///{tmp_path / 'base.db'}")
    topic = open_sink(f"kafka://{kafka.address}/scored")
    tally = score(source, Scorer(Bright()), [base, topic, DeadLetters(f"kafka://{kafka.address}/formats.dead")])
    assert (tally.rows, tally.failed, tally.real) == (3, 4, 2)
    sent = {message.key().decode(): message for message in receive(kafka, "scored", 3)}
    assert set(sent) == {"1", "2", "5"}
    record = next(fastavro.reader(io.BytesIO(sent["5"].value())))
    assert record["diaSource"]["diaSourceId"] == 5 and record["rbmodel"] == "bright" and not record["rbreal"]
    assert record["rb"] == pytest.approx(float(dict(sent["5"].headers())["score"]), rel=1e-4)
    dead = receive(kafka, "formats.dead", 4)
    assert sorted(message.value() or b"" for message in dead) == sorted(poison)
    reasons = {(message.value() or b"")[:6]: dict(message.headers())["reason"].decode() for message in dead}
    assert "no schema 8" in reasons[unknown[:6]] and "cut short" in reasons[b"Obj\x01\x04\x14"]


def test_what_was_not_committed_comes_again(kafka: KafkaServer) -> None:
    send(kafka, "again", [container(alert(number)) for number in range(5)])
    address = f"kafka://{kafka.address}/again"
    first = KafkaSource(address, "two", idle_s=2.0)
    given = [batch for batch in first.batches(2, 0.1)]
    assert sum(len(batch) for batch in given) == 5
    first.close()  # nothing was committed
    second = KafkaSource(address, "two", idle_s=2.0)
    seen = []
    for batch in second.batches(2, 0.1):
        seen += batch.rows["id"].tolist()
        second.commit(batch.receipt)
    second.close()
    assert sorted(seen) == [str(number) for number in range(5)]
    third = KafkaSource(address, "two", idle_s=1.0)
    assert [len(batch) for batch in third.batches(2, 0.1)] == []
    third.close()


def test_a_row_without_a_packet_is_sent_as_one_of_ours(kafka: KafkaServer) -> None:
    rows = Table({"id": ["a"], "noise": [1.0], "fwhm": [2.5], "snr": [7.5], "seeing": [2.0]})
    pixels = np.random.default_rng(0).normal(size=(1, 1, 64, 64)).astype("f4")
    sink = open_sink(f"kafka://{kafka.address}/ours")
    sink.write(Scorer(Bright())(Batch(rows, pixels)))
    sink.close()
    record = next(fastavro.reader(io.BytesIO(receive(kafka, "ours", 1)[0].value())))
    np.testing.assert_array_equal(np.frombuffer(record["pixels"], "<f4").reshape(1, 64, 64), pixels[0])
    assert record["snr"] == 7.5 and json.loads(record["extra"])["seeing"] == 2.0


def test_settings_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not take these settings"):
        KafkaSource("kafka://127.0.0.1:9/t", "g", settings={"no.such.setting": "1"})
    with pytest.raises(InputError, match="idle 0 s"):
        KafkaSource("kafka://127.0.0.1:9/t", "g", idle_s=0)


def test_settings_reach_the_topics_that_are_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from realbogus.cli import main

    words = ["--to", "kafka://127.0.0.1:1/scored", "--kafka", "security.protocol=of-ours"]
    rows = Table({"id": ["a"], "noise": [1.0], "fwhm": [3.0]})
    StampSet(np.zeros((1, 1, 64, 64), np.float32), rows).save(tmp_path / "set")
    for verb in (["score", str(tmp_path / "set")], ["watch", str(tmp_path)]):
        assert main([*verb, *words]) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "Kafka does not take these settings" in said and "of-ours" in said


def test_a_stream_loses_nothing(kafka: KafkaServer, postgres: Any, shared_data: Path, run_benchmark) -> None:
    """Real packets, a consumer killed, the broker restarted, the database stopped, poison."""
    alerts = shared_data / "ztf_alerts" / "packets"
    words = ["--alerts", str(alerts), "--packets", "20", "--times", "10"]
    words += ["--consumers", "2", "--away", "4", "--patience", "400"]
    assert "0 lost, 0 twice" in run_benchmark("stream.py", *words)
