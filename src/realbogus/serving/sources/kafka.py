"""A Kafka topic of alerts as a source that does not end.

Offsets are committed after the sinks have a batch, so what was read when a process died is read again: at least
once, and a candidate is known by its id.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...adapters.containers import MAGIC
from ...adapters.packets import Packet, Unusable, UnusableError
from ...adapters.reading import read_packets
from ...adapters.rows import check_share
from ...errors import ConfigError, InputError
from ..batch import Batch
from ..kafka_address import KafkaAddress, needs_kafka
from ..micro import micro_batches
from ..packets import Original, originals_of
from ..patience import StoppedError, patiently
from ..schema_registry import Schemas, wire_number
from .alerts import alert_batch
from .pieces import Found, with_originals

__all__ = ["KafkaSource"]

_POLL_S = 0.1
#: Records and pixels of cutouts that one message may unpack to; a survey sends one record of 50,000 pixels at most.
_RECORDS, _PIXELS = 256, 2**23
#: Pixels of cutouts that a batch holds beside the last message's.
_HELD = 2**24
#: Seconds until the same trouble is told again.
_AGAIN_S = 60.0
#: Seconds that what is owed to the broker is tried for when the source is closed.
_CLOSING_S = 15.0

_Place = tuple[str, int]
_Receipt = dict[_Place, tuple[int, int]]


class KafkaSource:
    """Alerts of a topic, as a member of a consumer group.

    A message is an Avro container (as ZTF sends), a record in Confluent's wire format, or, with a schema at hand, a
    bare record. A message that cannot be read is a `Failed` that carries it, and so is one that unpacks to too much.

    Parameters
    ----------
    address : KafkaAddress or str
        Where to read.
    group : str
        Consumer group: its members share the partitions.
    schemas : Schemas, optional
        For messages that bring no schema.
    packets : bool
        Whether the original records are wanted.
    idle_s : float, optional
        End when nothing came for so long; without, it never ends by itself.
    prefix, min_valid, fwhm
        As in `AlertSource`.
    settings : mapping, optional
        Of librdkafka (security, timeouts), over ours.
    say : callable, optional
        Told what goes wrong meanwhile.

    Raises
    ------
    ConfigError
        confluent-kafka is absent, or a setting is none.
    """

    #: A stream has no length.
    count: int | None = None

    def __init__(
        self,
        address: KafkaAddress | str,
        group: str,
        *,
        schemas: Schemas | None = None,
        packets: bool = False,
        idle_s: float | None = None,
        prefix: str = "",
        min_valid: float = 0.5,
        fwhm: float | None = None,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        check_share(min_valid, fwhm)
        if idle_s is not None and not idle_s > 0:
            raise InputError(f"idle {idle_s} s: give the seconds after which a silent topic has ended, above 0")
        self.address = KafkaAddress.of(address) if isinstance(address, str) else address
        self.prefix, self.wants, self.idle_s = prefix, packets, idle_s
        self._schemas, self._say = schemas or Schemas(), say
        self._stamping: dict[str, Any] = {"min_valid": min_valid, "fwhm": fwhm}
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError as error:
            raise needs_kafka() from error
        given = {
            "bootstrap.servers": self.address.servers, "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "enable.auto.offset.store": False, "enable.partition.eof": False,
            "partition.assignment.strategy": "cooperative-sticky", "log_level": 0, "error_cb": self._trouble,
            **(settings or {}),
        }  # fmt: skip
        try:
            self._consumer: Any = Consumer(given)
        except (KafkaException, TypeError, ValueError) as error:
            raise ConfigError(f"Kafka does not take these settings: {error}") from error
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._turn: dict[_Place, int] = {}  # which time a partition came to us
        self._owed: _Receipt = {}
        self._turns = 0
        self._said: dict[int, float] = {}

    def stop(self) -> None:
        """End after the batch at hand; may be called from a signal's handler."""
        self._stop.set()

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield batches as messages come."""
        self._consumer.subscribe([self.address.topic], on_assign=self._came, on_revoke=self._goes, on_lost=self._lost)
        try:
            for messages in micro_batches(self._messages(size), size, wait_s):
                yield from self._batches(messages, size)
        except StoppedError:  # the messages at hand are not committed, and come again
            return

    def _batches(self, messages: Sequence[Any], size: int) -> Iterator[Batch]:
        """Yield batches of at most `size`: a message may hold more than one alert."""
        receipt: _Receipt = {}
        found: list[Found] = []
        held = 0
        for message in messages:
            came = self._found(message)
            found, held = found + came, held + sum(map(_pixels, came))
            while len(found) > size:  # what is left of the message comes with the next, and so does its receipt
                yield alert_batch(found[:size], receipt, prefix=self.prefix, **self._stamping)
                found, receipt = found[size:], {}
                held = sum(map(_pixels, found))
            place = (message.topic(), message.partition())
            receipt[place] = (self._turn.get(place, -1), message.offset() + 1)
            if held > _HELD:
                yield alert_batch(found, receipt, prefix=self.prefix, **self._stamping)
                found, receipt, held = [], {}, 0
        if receipt:
            yield alert_batch(found, receipt, prefix=self.prefix, **self._stamping)

    def commit(self, receipt: Any) -> None:
        """Commit the offsets of a batch; where the broker cannot take them now, they are owed and go later."""
        with self._lock:
            self._owed |= receipt
        self._settle()

    def close(self) -> None:
        """Commit what is owed, and leave the group."""
        end = time.monotonic() + _CLOSING_S
        while not self._settle() and time.monotonic() < end:
            time.sleep(0.3)
        self._consumer.close()

    def _messages(self, size: int) -> Iterator[Any]:
        """Yield messages, and None where none came just now."""
        last = time.monotonic()
        while not self._stop.is_set():
            came = False
            for message in self._consumer.consume(min(size, 256), _POLL_S):
                error = message.error()
                if error is None:
                    came = True
                    yield message
                elif error.fatal():
                    raise InputError(f"Kafka cannot go on: {error}")
                else:
                    self._trouble(error)
            if came or not self._turn:
                last = time.monotonic()
            if not came:
                self._settle()
                if self.idle_s is not None and time.monotonic() - last > self.idle_s:
                    return
                yield None

    def _found(self, message: Any) -> list[Found]:
        value, where = message.value(), f"{message.topic()}[{message.partition()}]@{message.offset()}"
        if not value:
            return [Found(Unusable(where, -1, "empty", "a message without a value, expected an alert"), payload=b"")]
        try:
            read = self._read(value, where)
        except UnusableError as error:
            read = [Found(error.at(where, -1))]
        return [Found(entry.what, entry.original, value) for entry in read]

    def _read(self, value: bytes, where: str) -> list[Found]:
        if value[:4] == MAGIC:
            return self._unpacked(value, where)
        number = wire_number(value)
        if number is not None:
            known = patiently(lambda: self._schemas(number), say=self._say, stop=self._stop)
            body = value[5:]
        elif self._schemas.given is not None:
            known, body = self._schemas.given, value
        else:
            return [Found(what) for what in read_packets(value, name=where)]
        original = Original(known.plain, body) if self.wants else None
        return [Found(what, original) for what in read_packets(value, schema=known.packet, name=where)]

    def _unpacked(self, value: bytes, where: str) -> list[Found]:
        """Read a container, as far as it is no larger than an alert may be."""
        records = originals_of(io.BytesIO(value), len(value)) if self.wants else None
        found: list[Found] = []
        pixels = 0
        for entry in with_originals(read_packets(value, name=where), records):
            found.append(entry)
            pixels += _pixels(entry)
            if len(found) > _RECORDS or pixels > _PIXELS:
                most = f"{_RECORDS} records or {_PIXELS} pixels"
                raise UnusableError("refused", f"a message that unpacks to more than {most}: send alerts one by one")
        return found

    def _settle(self) -> bool:
        """Commit what is owed of partitions that are still ours; say whether nothing is owed any more."""
        from confluent_kafka import KafkaException, TopicPartition

        with self._lock:
            # another member has read these again, and a late offset of ours would set it back
            self._owed = {place: owed for place, owed in self._owed.items() if self._turn.get(place) == owed[0]}
            offsets = [TopicPartition(*place, offset) for place, (_, offset) in self._owed.items()]
            if not offsets:
                return True
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except (KafkaException, RuntimeError):  # the broker is away, or the group is being dealt anew
                return False
            self._owed = {}
            return True

    def _came(self, consumer: Any, partitions: Any) -> None:
        self._turns += 1
        self._turn |= {(one.topic, one.partition): self._turns for one in partitions}

    def _goes(self, consumer: Any, partitions: Any) -> None:
        self._settle()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Any, partitions: Any) -> None:
        for one in partitions:
            self._turn.pop((one.topic, one.partition), None)

    def _trouble(self, error: Any) -> None:
        """Say what goes wrong, each kind once in a while: librdkafka tries again by itself, and repeats itself."""
        now = time.monotonic()
        if self._say is not None and now - self._said.get(error.code(), -_AGAIN_S) >= _AGAIN_S:
            self._said[error.code()] = now
            self._say(f"Kafka: {error.str()}; trying again, nothing is lost")


def _pixels(entry: Found) -> int:
    what = entry.what
    return sum(cutout.pixels.size for cutout in what.cutouts.values()) if isinstance(what, Packet) else 0
