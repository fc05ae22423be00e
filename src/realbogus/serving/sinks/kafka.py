"""A Kafka topic of scored alerts: each as it came with its score behind it, or a packet of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...errors import ConfigError, OutputError
from ..batch import Failed, Scored
from ..kafka_address import KafkaAddress
from ..kafka_producer import KafkaProducer, Letter
from .avro import container, packet
from .sink import SINKS
from .values import rows_of

__all__ = ["KafkaTopic"]


class KafkaTopic:
    """A topic with one message a candidate: an Avro container, its key the candidate's id. A `Sink`.

    At least once: a batch that was written when the program died is written again. Readers go by the key, or the
    topic is compacted by it.

    Parameters
    ----------
    address : KafkaAddress or str
        Where to write: `kafka://HOST:PORT/TOPIC`.
    settings : mapping, optional
        Of librdkafka, over ours.
    dead : callable, optional
        Takes candidates that are too large for the topic, as `DeadLetters.refuse` does; without, one is an error.

    Raises
    ------
    ConfigError
        confluent-kafka or fastavro is absent, or a setting is none.
    """

    #: What the broker has acknowledged stays.
    lasting = True
    #: The original records are sent on.
    wants_packets = True

    def __init__(
        self,
        address: KafkaAddress | str,
        *,
        settings: Mapping[str, str] | None = None,
        dead: Callable[[Sequence[Failed]], None] | None = None,
    ) -> None:
        try:
            import fastavro  # noqa: F401
        except ImportError as error:
            raise ConfigError('alert packets are written with fastavro: pip install "realbogus[stream]"') from error
        self.address = KafkaAddress.of(address) if isinstance(address, str) else address
        self._producer = KafkaProducer(self.address, settings)
        self.dead = dead
        self._large: tuple[Scored, list[Failed]] | None = None  # sent but for these

    @property
    def name(self) -> str:
        """The topic and its brokers."""
        return f"kafka://{self.address.servers}/{self.address.topic}"

    def write(self, scored: Scored) -> None:
        """Send a message for each row, and wait until the broker has them.

        Raises
        ------
        UnavailableError
            The broker is away; the same call goes on where this one stopped.
        OutputError
            One is too large for the topic, and there is nobody for dead letters.
        """
        if self._large is None or self._large[0] is not scored:
            self._large = scored, self._sent(scored)
        large = self._large[1]
        if large and self.dead is None:
            raise OutputError(f"{len(large)} candidates, {large[0].id} the first: {large[0].reason}")
        if large and self.dead is not None:
            self.dead(large)
        self._large = None

    def _sent(self, scored: Scored) -> list[Failed]:
        """Send the rows; return those that the topic does not take."""
        letters: list[Letter] = []
        for number, row in enumerate(rows_of(scored.rows)):
            schema, body = packet(scored, number, row)
            score = row.get("score")
            told = {"score": "" if score is None else f"{score:.6g}", "real": str(bool(row.get("real"))).lower()}
            letters.append((str(row["id"]), container(schema, body), told))
        return [
            Failed(
                letters[k][0],
                f"{len(letters[k][1])} bytes with its score, which {self.address.topic} does not take: set its "
                "max.message.bytes higher",
                letters[k][1],
                f"{self.address.topic}/{letters[k][0]}",
            )
            for k in self._producer.send(scored, letters)
        ]

    def refuse(self, failed: Sequence[Failed]) -> None:
        """Leave what gave no candidate to the dead letters."""

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held back."""
        self._producer.close()


SINKS.register("kafka")(KafkaTopic)
