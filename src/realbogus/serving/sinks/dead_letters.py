"""A Kafka topic for what could not be read or sent: the message as it came, its reason in the headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..batch import Failed, Scored
from ..kafka_address import KafkaAddress
from ..kafka_producer import KafkaProducer, Letter

__all__ = ["DeadLetters"]

#: Letters of a text in a shortened letter.
_LONGEST = 2000


class DeadLetters:
    """A sink that takes only what failed. The key is the place that the message came from.

    A message that does not fit into the topic with its headers goes without a body: `reason`, `where` and `size` say
    what it was, and the original is where it came from.

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
        letters: list[Letter] = [
            (entry.where or entry.id, entry.payload or b"",
             {"reason": entry.reason, "id": entry.id, "where": entry.where})
            for entry in failed
        ]  # fmt: skip

        def shorter(number: int) -> Letter:
            entry = failed[number]
            told = {"reason": entry.reason, "where": entry.where, "size": str(len(entry.payload or b""))}
            return (entry.where or entry.id)[:_LONGEST], b"", {name: text[:_LONGEST] for name, text in told.items()}

        self._producer.send(failed, letters, shorter)

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held back."""
        self._producer.close()
