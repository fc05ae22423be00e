"""What one service takes, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...errors import ConfigError

__all__ = ["Limits", "Refusal"]


class Refusal(Exception):
    """A request that gets no scores: the status of its answer and the reason. Never leaves this room."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Limits:
    """Bounds of a service; what passes one is refused with the reason, and costs the others nothing.

    Parameters
    ----------
    body_bytes : int
        Of one body.
    stamps : int
        Of one body.
    body_s : float
        Seconds in which a body must be here.
    head_s : float
        Seconds in which the head of a request must be here.
    answer_s : float
        Seconds that a request waits for its scores, and a client may take to fetch the answer.
    connections : int
        Open at once.
    queue_rows : int
        Stamps that wait to be scored.
    held_bytes : int
        Of all bodies together.
    batch : int
        Stamps that are scored at once.
    wait_ms : float
        What a stamp waits for company at most.

    Raises
    ------
    ConfigError
        One of them is not above zero, or the queue cannot hold one body.

    Examples
    --------
    >>> Limits(batch=0)
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: batch is 0: give a number above zero
    """

    body_bytes: int = 32 * 2**20
    stamps: int = 2000
    body_s: float = 30.0
    head_s: float = 10.0
    answer_s: float = 30.0
    connections: int = 500
    queue_rows: int = 4000
    held_bytes: int = 256 * 2**20
    batch: int = 32
    wait_ms: float = 2.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not 0 < value < float("inf") and not (entry.name == "wait_ms" and value == 0):
                raise ConfigError(f"{entry.name} is {value}: give a number above zero")
        if self.queue_rows < self.stamps or self.held_bytes < self.body_bytes:
            raise ConfigError(
                f"a queue of {self.queue_rows} stamps and {self.held_bytes} bytes cannot hold a body of "
                f"{self.stamps} stamps or {self.body_bytes} bytes: make it larger, or the body smaller"
            )
