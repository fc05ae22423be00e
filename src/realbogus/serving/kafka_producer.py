"""Sending to a Kafka topic: a call returns when the broker has it all, and a call repeated sends only what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError, OutputError
from .patience import UnavailableError
from .sources.kafka import KafkaAddress, needs_kafka

__all__ = ["KafkaProducer", "Letter"]

#: Key, value, headers.
Letter = tuple[str, bytes, Mapping[str, str]]

_WAIT_S = 10.0


class KafkaProducer:
    """An idempotent producer of one topic.

    Parameters
    ----------
    address : KafkaAddress
        Where to send to.
    settings : mapping, optional
        Of librdkafka, over ours.

    Raises
    ------
    ConfigError
        confluent-kafka is absent, or a setting is none.
    """

    def __init__(self, address: KafkaAddress, settings: Mapping[str, str] | None = None) -> None:
        try:
            from confluent_kafka import KafkaException, Producer
        except ImportError as error:
            raise needs_kafka() from error
        given = {
            "bootstrap.servers": address.servers, "enable.idempotence": True, "compression.type": "lz4",
            "linger.ms": 5, "message.timeout.ms": 0, "message.max.bytes": 16 * 2**20, "log_level": 0,
            **(settings or {}),
        }  # fmt: skip
        try:
            self._producer: Any = Producer(given)
        except (KafkaException, TypeError, ValueError) as error:
            raise ConfigError(f"Kafka does not take these settings: {error}") from error
        self._topic = address.topic
        self._task: Any = None
        self._refused: list[str] = []

    def send(self, task: Any, letters: Sequence[Letter]) -> None:
        """Send letters and wait until the broker has them.

        Parameters
        ----------
        task : object
            What they are from: called again with the same object, nothing is sent twice.
        letters : sequence of Letter
            Key, value, headers.

        Raises
        ------
        UnavailableError
            Not all are there yet; call again.
        OutputError
            The broker refuses one, for its size for example.
        """
        if task is not self._task:
            self._task, self._refused = task, []
            for key, value, headers in letters:
                self._put(key, value, [(name, text.encode()) for name, text in headers.items()])
        left = self._producer.flush(_WAIT_S)
        if left:
            raise UnavailableError(f"Kafka has not taken {left} messages for {self._topic} within {_WAIT_S:g} s")
        self._task = None
        if self._refused:
            raise OutputError(f"Kafka refuses {len(self._refused)} messages for {self._topic}: {self._refused[0]}")

    def _put(self, key: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key.encode(), headers=headers, on_delivery=self._delivered)
                return
            except BufferError:  # librdkafka's queue is full
                self._producer.poll(0.5)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._refused.append(f"{message.key()!r}: {error.str()}")

    def close(self) -> None:
        """Wait a moment for what is under way."""
        self._producer.flush(_WAIT_S)
