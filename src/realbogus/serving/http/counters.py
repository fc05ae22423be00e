"""What a service has done, for Prometheus. Needs prometheus-client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ...classifier import Card
from .engine import Result

__all__ = ["CONTENT_TYPE", "Counters"]

#: Of what `Counters.text` gives.
CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_SCORES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Counters:
    """Counters of one service; several services in one process do not share them.

    Parameters
    ----------
    card : Card
        Of the classifier.

    Examples
    --------
    >>> counters = Counters(Card(name="toy", architecture="compact"))
    >>> counters.answered("/score", 200, 0.01)
    >>> b'realbogus_requests_total{path="/score",status="200"} 1.0' in counters.text()
    True
    """

    def __init__(self, card: Card) -> None:
        self.registry = own = CollectorRegistry()
        self._requests = Counter("realbogus_requests", "Requests answered", ["path", "status"], registry=own)
        self._latency = Histogram(
            "realbogus_request_seconds", "From a request's head to its answer", ["path"], buckets=_SECONDS, registry=own
        )
        self._candidates = Counter("realbogus_candidates", "Candidates, by verdict", ["verdict"], registry=own)
        self._failed = Counter("realbogus_failed", "Alerts that gave no candidate", registry=own)
        self._scores = Histogram("realbogus_score", "Scores of candidates", buckets=_SCORES, registry=own)
        self._batches = Histogram("realbogus_batch_rows", "Candidates scored at once", buckets=_ROWS, registry=own)
        self._scoring = Histogram("realbogus_scoring_seconds", "Of one batch", buckets=_SECONDS, registry=own)
        self._threshold = Gauge("realbogus_threshold", "Of the last candidate", registry=own)
        self._threshold.set(card.threshold)
        started = Gauge("realbogus_start_time_seconds", "When the service started, since 1970", registry=own)
        started.set(time.time())
        Info("realbogus_model", "The model", registry=own).info({"name": card.name, "version": card.version})
        self._verdicts = {name: self._candidates.labels(name) for name in ("real", "bogus", "unscored")}

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a figure that is asked for when it is shown."""
        Gauge(f"realbogus_{name}", about, registry=self.registry).set_function(value)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._latency.labels(path).observe(seconds)

    def failed(self, count: int) -> None:
        """Count alerts that gave no candidate."""
        self._failed.inc(count)

    def scored(self, results: Sequence[Result], seconds: float) -> None:
        """Count a batch."""
        for result in results:
            if result["score"] is None:
                self._verdicts["unscored"].inc()
            else:
                self._verdicts["real" if result["real"] else "bogus"].inc()
                self._scores.observe(result["score"])
        self._batches.observe(len(results))
        self._scoring.observe(seconds)
        self._threshold.set(results[-1]["threshold"])

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return bytes(generate_latest(self.registry))
