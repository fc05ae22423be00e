"""A Kafka topic for what could not be read: the message as it came, its reason in the headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..batch import Failed, Scored
from ..kafka_producer import KafkaProducer
from ..sources.kafka import KafkaAddress

__all__ = ["DeadLetters"]


class DeadLetters:
    """A sink that takes only what failed. The key is the place that the message came from.

    Parameters
    ----------
    address : KafkaAddress or str
        Topic of the dead letters.
    settings : mapping, optional
        Of librdkafka, over ours.
    """

    #: What the broker has acknowledged stays.
    lasting = True

    def __init__(self, address: KafkaAddress | str, *, settings: Mapping[str, str] | None = None) -> None:
        self.address = KafkaAddress.of(address) if isinstance(address, str) else address
        self._producer = KafkaProducer(self.address, settings)

    @property
    def name(self) -> str:
        """The topic."""
        return f"dead letters {self.address.topic}"

    def write(self, scored: Scored) -> None:
        """Good candidates go elsewhere."""

    def refuse(self, failed: Sequence[Failed]) -> None:
        """Send what failed, and wait until the broker has it.

        Raises
        ------
        UnavailableError
            The broker is away; the same call goes on where this one stopped.
        """
        self._producer.send(
            failed,
            [
                (entry.where or entry.id, entry.payload or b"",
                 {"reason": entry.reason, "id": entry.id, "where": entry.where})
                for entry in failed
            ],
        )  # fmt: skip

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held back."""
        self._producer.close()
