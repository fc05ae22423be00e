"""Sending to a Kafka topic: a call returns when the broker has it all, and a call repeated sends only what is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..errors import ConfigError, OutputError
from .kafka_address import KafkaAddress, needs_kafka
from .patience import UnavailableError

__all__ = ["KafkaProducer", "Letter"]

#: Key, value, headers.
Letter = tuple[str, bytes, Mapping[str, str]]

_WAIT_S = 10.0
# Turns of a letter: with the others; by itself, as a broker refuses small ones together with a large one; a shorter one
_TOGETHER, _ALONE, _SHORT = range(3)


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
            from confluent_kafka import KafkaError, KafkaException, Producer
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
        self._topic, self._error, self._too_large = address.topic, KafkaException, KafkaError.MSG_SIZE_TOO_LARGE
        self._task: Any = None
        self._given = 0
        self._again: deque[tuple[int, int]] = deque()
        self._large: list[int] = []
        self._refused: list[str] = []

    def send(self, task: Any, letters: Sequence[Letter], shorter: Callable[[int], Letter] | None = None) -> list[int]:
        """Send letters and wait until the broker has them.

        Parameters
        ----------
        task : object
            What they are from: called again with the same object, nothing is sent twice.
        letters : sequence of Letter
            Key, value, headers.
        shorter : callable, optional
            Gives what is sent in place of a letter that is too large, by its number.

        Returns
        -------
        list of int
            Numbers of those that are too large for the topic.

        Raises
        ------
        UnavailableError
            Not all are there yet; call again.
        OutputError
            The broker refuses one for another reason.
        """
        if task is not self._task:
            self._task, self._given = task, 0
            self._again.clear()
            self._large, self._refused = [], []
        while self._given < len(letters):
            self._put(letters[self._given], self._given, _TOGETHER)
            self._given += 1
        while True:
            left = self._producer.flush(_WAIT_S)
            if left:
                raise UnavailableError(f"Kafka has not taken {left} messages for {self._topic} within {_WAIT_S:g} s")
            if not self._again:
                break
            number, turn = self._again[0]
            if turn == _ALONE:
                self._put(letters[number], number, turn)
            elif shorter is not None:
                self._put(shorter(number), number, turn)
            self._again.popleft()
            if turn == _SHORT:
                self._large.append(number)
        self._task = None
        if self._refused:
            raise OutputError(f"Kafka refuses {len(self._refused)} messages for {self._topic}: {self._refused[0]}")
        return sorted(self._large)

    def _put(self, letter: Letter, number: int, turn: int) -> None:
        key, value, headers = letter
        told = [(name, text.encode(errors="replace")) for name, text in headers.items()]
        done = partial(self._delivered, number, turn)
        for _ in range(int(_WAIT_S / 0.5)):
            try:
                self._producer.produce(self._topic, value, key.encode(errors="replace"), headers=told, on_delivery=done)
                return
            except BufferError:  # librdkafka's queue is full
                self._producer.poll(0.5)
            except self._error as error:  # more than the client itself lets go
                self._settle(number, turn, error.args[0], key)
                return
        raise UnavailableError(f"Kafka takes nothing for {self._topic} since {_WAIT_S:g} s: the queue is full")

    def _delivered(self, number: int, turn: int, error: Any, message: Any) -> None:
        if error is not None:
            self._settle(number, turn, error, message.key())

    def _settle(self, number: int, turn: int, error: Any, key: Any) -> None:
        if error.code() == self._too_large and turn != _SHORT:
            self._again.append((number, turn + 1))
        else:
            self._refused.append(f"{key!r}: {error.str()}")

    def close(self) -> None:
        """Wait a moment for what is under way."""
        self._producer.flush(_WAIT_S)
