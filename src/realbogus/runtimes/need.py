"""What the speeds that were measured mean: how many times as quick, and how many workers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ConfigError

__all__ = ["Need", "needs", "ratios", "workers_needed"]


@dataclass(frozen=True)
class Need:
    """What it takes to score so many alerts in so many seconds; see `workers_needed`."""

    alerts: float
    seconds: float
    rate: float
    threads: int
    workers: int
    cores: int


def workers_needed(alerts: float, seconds: float, rate: float, threads: int) -> Need:
    """Return how many workers like the one that was measured score `alerts` in `seconds`.

    Parameters
    ----------
    alerts, seconds : float
        Above zero.
    rate : float
        Stamps a second of one worker.
    threads : int
        Processors that one worker takes.

    Raises
    ------
    ConfigError
        Something is not above zero, or not finite.

    Examples
    --------
    >>> need = workers_needed(1e8, 36000, rate=900, threads=2)
    >>> need.workers, need.cores
    (4, 8)
    """
    if not all(0 < value < math.inf for value in (alerts, seconds, rate, threads)):
        raise ConfigError(
            f"alerts {alerts:g}, seconds {seconds:g}, rate {rate:g}, threads {threads}: above zero each, and finite"
        )
    workers = math.ceil(alerts / (seconds * rate))
    return Need(alerts, seconds, rate, threads, workers, workers * threads)


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Return how many times as quick as the others a model was, best rate against best rate, by what they run in.

    Parameters
    ----------
    found : mapping
        What `bench` returned.

    Examples
    --------
    >>> speeds = [("itself", "openvino bf16", 900.0), ("pytorch", "pytorch f32", 100.0)]
    >>> keys = ("contender", "runtime", "rate")
    >>> ratios({"speeds": [dict(zip(keys, values)) for values in speeds]})
    {'pytorch f32': 9.0}
    """
    best: dict[tuple[str, str], float] = {}
    for row in found["speeds"]:
        key = row["contender"], row["runtime"]
        best[key] = max(best.get(key, 0.0), row["rate"])
    ours = max(rate for (name, _), rate in best.items() if name == "itself")
    return {runtime: ours / rate for (name, runtime), rate in best.items() if name != "itself"}


def needs(found: Mapping[str, Any], alerts: float, seconds: float) -> list[dict[str, Any]]:
    """Return what so many alerts in so many seconds need, for each number of threads that was tried.

    Raises
    ------
    ConfigError
        Numbers that are not above zero, or not finite.
    """
    rows = [row for row in found["speeds"] if row["contender"] == "itself"]
    return [
        asdict(workers_needed(alerts, seconds, max(r["rate"] for r in rows if r["threads"] == count), count))
        for count in sorted({row["threads"] for row in rows})
    ]
