"""What a Kafka topic is called."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import ConfigError

__all__ = ["KafkaAddress", "needs_kafka"]


def needs_kafka() -> ConfigError:
    """Return the error that says what to install."""
    return ConfigError('Kafka is spoken to with confluent-kafka: pip install "realbogus[stream]"')


@dataclass(frozen=True)
class KafkaAddress:
    """Brokers and a topic, as `kafka://host:port,host:port/topic` names them.

    Parameters
    ----------
    servers : str
        Hosts and ports with commas between.
    topic : str
        Its name.

    Examples
    --------
    >>> KafkaAddress.of("kafka://127.0.0.1:9092/alerts")
    KafkaAddress(servers='127.0.0.1:9092', topic='alerts')
    """

    servers: str
    topic: str

    @classmethod
    def of(cls, text: str) -> KafkaAddress:
        """Read an address.

        Raises
        ------
        ConfigError
            It is none.
        """
        parts = urlsplit(text)
        topic = parts.path.strip("/")
        if parts.scheme != "kafka" or not parts.netloc or not topic or "/" in topic or parts.query:
            raise ConfigError(f"{text!r} is no Kafka topic: give kafka://HOST:PORT/TOPIC")
        return cls(parts.netloc, topic)
