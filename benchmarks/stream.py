"""Spoil `realbogus stream`: is every candidate in the database once, every poison packet listed with its reason.

    python benchmarks/stream.py [--alerts FOLDER] [--times 50] [--consumers 3] [--away 20]

Starts Apache Kafka (`make kafka`) and PostgreSQL on loopback, fills a topic with the real ZTF packets, each so many
times under numbers of their own, and with one poison packet in a hundred. Consumers of one group read it into
PostgreSQL. Meanwhile one is killed with SIGKILL, the broker is restarted, and PostgreSQL is stopped for a while. Then
counts are compared, and the group's lag. The figures come last; leaves with status 1 where anything is lost, there
twice, or not committed, or where a consumer that was not killed ended otherwise than in order.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "serving"))

from kafka_server import JARS, KafkaServer  # noqa: E402
from postgres_server import PostgresServer, program  # noqa: E402

ALERTS = HERE.parents[1] / "shared" / "data" / "ztf_alerts" / "packets"
TOPIC, GROUP = "alerts", "bench"


def numbered(files: list[Path], times: int) -> Iterator[tuple[str, bytes]]:
    """Yield every packet `times` times, each with a number of its own."""
    import fastavro

    for place, file in enumerate(files):
        with file.open("rb") as stream:
            reader = fastavro.reader(stream)
            schema, record = reader.writer_schema, next(reader)
        for turn in range(times):
            number = 10**15 + place * 10_000 + turn
            out = io.BytesIO()
            own = {"candid": number, "candidate": record["candidate"] | {"candid": number}}
            fastavro.writer(out, schema, [record | own])
            yield str(number), out.getvalue()


def poison(number: int, good: bytes) -> bytes:
    """Return one of several kinds of packets that cannot be read, none like another."""
    text = f"poison {number}"
    return [text.encode(), good[: 200 + number], b"\0\0\0\0\7" + text.encode(), good[:4] + text.encode()][number % 4]


class Consumers:
    """`realbogus stream` several times, as a group."""

    def __init__(self, kafka: str, database: str, logs: Path) -> None:
        self.words = [
            sys.executable, "-m", "realbogus", "stream", f"kafka://{kafka}/{TOPIC}", "--group", GROUP, "--to", database,
            "--kafka", "session.timeout.ms=6000", "reconnect.backoff.max.ms=2000",
        ]  # fmt: skip
        self.logs = logs
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start one more."""
        log = (self.logs / f"consumer-{len(self.running)}.log").open("wb")
        self.running.append(subprocess.Popen(self.words, stdout=log, stderr=log))

    def end(self) -> list[int]:
        """End all in order; return their exit statuses."""
        for each in self.running:
            if each.poll() is None:
                each.send_signal(signal.SIGTERM)
        return [each.wait(120) for each in self.running]


def lag(kafka: str, partitions: int) -> int:
    """Return how many messages the group has not committed."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": kafka, "group.id": GROUP})
    places = consumer.committed([TopicPartition(TOPIC, k) for k in range(partitions)], timeout=20)
    left = 0
    for place in places:
        low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, place.partition), timeout=20)
        left += high - (place.offset if place.offset >= 0 else low)
    consumer.close()
    return left


def dead_letters(kafka: str, idle_s: float = 5.0) -> dict[str, str]:
    """Return place and reason of every dead letter; one that came twice counts once."""
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([f"{TOPIC}.dead"])
    found, last = {}, time.monotonic()
    while time.monotonic() - last < idle_s:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found[message.key().decode()] = dict(message.headers())["reason"].decode()
            last = time.monotonic()
    consumer.close()
    return found


def main() -> int:
    """Stream, spoil, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=Path, default=ALERTS)
    parser.add_argument("--packets", type=int, default=0, help="of the folder; all by default")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--consumers", type=int, default=3)
    parser.add_argument("--away", type=float, default=20.0, help="seconds that PostgreSQL is stopped")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds until it counts as stuck")
    parser.add_argument("--calm", action="store_true", help="spoil nothing: the rate alone")
    options = parser.parse_args()
    files = sorted(options.alerts.glob("*.avro"))[: options.packets or None]
    if not files or not any(JARS.glob("kafka_*.jar")) or program("postgres") is None:
        print(f"needs packets in {options.alerts}, Kafka (`make kafka`) and PostgreSQL", file=sys.stderr)
        return 2
    from confluent_kafka import Producer

    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        postgres = PostgresServer()
        postgres.start()
        kafka = KafkaServer(place / "kafka", partitions=6)
        consumers = Consumers(kafka.address, postgres.url, place)
        try:
            producer: Any = Producer({"bootstrap.servers": kafka.address, "message.max.bytes": 2**24})
            good, bad = set(), 0
            for count, (name, packet) in enumerate(numbered(files, options.times)):
                producer.produce(TOPIC, packet, name)
                good.add(name)
                if count % 100 == 50:
                    producer.produce(TOPIC, poison(count // 100, packet))
                    bad += 1
                producer.poll(0)
            producer.flush()
            began = time.perf_counter()
            for _ in range(options.consumers):
                consumers.start()
            if not options.calm:
                spoil(consumers, kafka, postgres, len(good), options.away)
            end = time.monotonic() + options.patience
            while time.monotonic() < end and (count_of(postgres) < len(good) or lag(kafka.address, 6)):
                time.sleep(0.5)
            seconds = time.perf_counter() - began
            rows = [str(row[0]) for row in query(postgres, "select id from candidates")]
            left = lag(kafka.address, 6)
            letters = dead_letters(kafka.address)
            statuses = consumers.end()
        finally:
            consumers.end()
            kafka.stop()
            postgres.remove()
    lost, twice = len(good - set(rows)), len(rows) - len(set(rows))
    print(f"{len(good)} good packets, {bad} poison, {options.consumers} consumers")
    print(f"in PostgreSQL: {len(rows)} rows, {lost} lost, {twice} twice; dead letters: {len(letters)} of {bad}, "
          f"{sum(not reason for reason in letters.values())} without a reason; lag {left}")  # fmt: skip
    print(f"{seconds:.0f} s with all that went wrong, {len(good) / seconds:.0f} candidates a second")
    print(f"exit statuses {statuses}")
    expected = [0] * options.consumers
    if not options.calm:
        expected[0] = -signal.SIGKILL
    whole = not (lost or twice or left) and len(rows) == len(good) and len(letters) == bad and all(letters.values())
    return 0 if whole and statuses == expected else 1


def query(postgres: PostgresServer, text: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    import psycopg

    with psycopg.connect(postgres.url, connect_timeout=3) as connection:
        return connection.execute(text).fetchall()


def count_of(postgres: PostgresServer) -> int:
    """Return how many candidates are in the database; 0 before there is a table."""
    try:
        return int(query(postgres, "select count(*) from candidates")[0][0])
    except Exception:  # not there yet, or away
        return 0


def spoil(consumers: Consumers, kafka: KafkaServer, postgres: PostgresServer, total: int, away_s: float) -> None:
    """Kill a consumer, restart the broker, stop the database: each when a part is done."""

    def until(share: float, patience_s: float = 300.0) -> None:
        end = time.monotonic() + patience_s
        while count_of(postgres) < share * total and time.monotonic() < end:
            time.sleep(0.1)

    until(0.1)
    os.kill(consumers.running[0].pid, signal.SIGKILL)
    until(0.3)
    kafka.stop()
    kafka.start()
    until(0.6)
    postgres.stop()
    time.sleep(away_s)
    postgres.start()


if __name__ == "__main__":
    sys.exit(main())
