"""One thread that scores: stamps of requests that come together are scored together."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import Table

from ..batch import Batch, Scored
from .limits import Limits, Refusal
from .posted import Posted

__all__ = ["Engine", "Result"]

#: What the scorer says of one stamp, by column.
Result = dict[str, Any]
_COLUMNS = ("score", "probability", "real", "threshold", "policy", "model", "model_version", "reason")
_MJD_OF_1970 = 40587.0


@dataclass
class _Job:
    """The stamps of one request, of which `begun` were handed out."""

    posted: Posted
    since: float
    future: Future[list[Result]] = field(default_factory=Future)
    begun: int = 0
    results: list[Result] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.posted) - self.begun


_Part = tuple[_Job, slice]


class Engine:
    """Takes stamps from any thread and scores them in its own.

    Of a batch each request that waits has an equal share; requests of more than a batch have an eighth of it
    together, and no more as long as smaller ones wait: who brings thousands does not hold up who brings one.

    Parameters
    ----------
    score : callable
        Usually a `Scorer`.
    channels : sequence of str
        Of the stamps; those of the model.
    limits : Limits
    seen : callable, optional
        Told of every batch: its results and seconds.

    Examples
    --------
    >>> from realbogus.serving.http.posted import Given, Plane, posted_of
    >>> def score(batch):
    ...     rows = batch.rows.copy()
    ...     rows["score"] = batch.pixels.max(axis=(1, 2, 3))
    ...     for name in _COLUMNS[1:]:
    ...         rows[name] = ""
    ...     return Scored(rows, batch)
    >>> plane = Plane(np.full((1, 64, 64), 0.5, "float32"))
    >>> with Engine(score, ("difference",), Limits()) as engine:
    ...     engine.submit(posted_of([plane], Given(noise=(1.0,)), ("difference",))).result()[0]["score"]
    0.5
    """

    def __init__(
        self,
        score: Callable[[Batch], Scored],
        channels: Sequence[str],
        limits: Limits,
        seen: Callable[[Sequence[Result], float], None] | None = None,
    ) -> None:
        self.score, self.channels, self.limits, self.seen = score, tuple(channels), limits, seen
        #: Held while a batch is scored; who changes the policy holds it too.
        self.lock = threading.Lock()
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._rows = 0
        self._rate = 0.0  # rows a second
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="realbogus-scoring", daemon=True)

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout=10.0)

    @property
    def waiting(self) -> int:
        """Stamps that were not handed to the model yet."""
        return self._rows

    @property
    def alive(self) -> bool:
        """Whether it takes stamps."""
        return self._thread.is_alive() and not self._closing

    def submit(self, posted: Posted) -> Future[list[Result]]:
        """Take stamps; the future has their results, in order.

        Raises
        ------
        Refusal
            503: too many wait already.
        """
        job = _Job(posted, time.monotonic())
        with self._changed:
            if self._closing or (self._rows and self._rows + len(posted) > self.limits.queue_rows):
                raise Refusal(503, f"{self._rows} stamps wait to be scored already: ask again a little later")
            self._jobs.append(job)
            self._rows += len(posted)
            self._changed.notify()
        return job.future

    def retry_s(self) -> int:
        """Return about how many seconds what waits will take, 1 at least."""
        return max(1, min(60, math.ceil(self._rows / self._rate))) if self._rate else 1

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closing:
                    self._changed.wait()
                if not self._jobs:
                    return
                end = self._jobs[0].since + self.limits.wait_ms / 1000
                while self._rows < self.limits.batch and not self._closing and (left := end - time.monotonic()) > 0:
                    self._changed.wait(left)
                parts = self._take()
            if parts:
                self._work(parts)

    def _take(self) -> list[_Part]:
        """Take a batch; a request that nobody waits for any more is dropped."""
        for job in [job for job in self._jobs if job.future.done()]:
            self._jobs.remove(job)
            self._rows -= job.left
        size = self.limits.batch
        large = [job for job in self._jobs if len(job.posted) > size]
        others = [job for job in self._jobs if len(job.posted) <= size]
        kept = max(1, size // 8) if large and others else 0
        parts = _shared(others, size - kept) + _shared(large, kept or size)
        for job, rows in parts:
            job.begun = rows.stop
            self._rows -= rows.stop - rows.start
        self._jobs = deque(job for job in self._jobs if job.left)
        return parts

    def _work(self, parts: Sequence[_Part]) -> None:
        begun = time.perf_counter()
        try:
            results = self._results(parts)
        except Exception as error:  # the policy's file, or a model that fails with all: never the end of the thread
            if len(parts) > 1:
                for part in parts:
                    self._work([part])
                return
            job, rows = parts[0]
            if rows.stop - rows.start > 1:
                for row in range(rows.start, rows.stop):
                    self._work([(job, slice(row, row + 1))])
                return
            self._settle(job, error)
            return
        seconds = time.perf_counter() - begun
        self._rate = 0.9 * self._rate + 0.1 * len(results) / seconds if self._rate else len(results) / seconds
        if self.seen is not None:
            self.seen(results, seconds)
        place = 0
        for job, rows in parts:
            count = rows.stop - rows.start
            job.results += results[place : place + count]
            place += count
            if len(job.results) == len(job.posted):
                self._settle(job)

    @staticmethod
    def _settle(job: _Job, error: Exception | None = None) -> None:
        with suppress(InvalidStateError):  # nobody waits for it any more
            if error is None:
                job.future.set_result(job.results)
            else:
                job.future.set_exception(error)

    def _results(self, parts: Sequence[_Part]) -> list[Result]:
        def joined(name: str) -> Any:
            found = [getattr(job.posted, name)[rows] for job, rows in parts]
            return found[0] if len(found) == 1 else np.concatenate(found)

        mjd = joined("mjd")
        now = time.time() / 86400 + _MJD_OF_1970
        facts = {"noise": joined("noise"), "fwhm": joined("fwhm"), "usable": joined("usable")}
        ids = [name for job, rows in parts for name in job.posted.ids[rows]]
        table = Table({"id": np.array(ids), **facts, "mjd": np.where(np.isfinite(mjd), mjd, now)}, copy=False)
        with self.lock:
            scored = self.score(Batch(table, joined("pixels"), self.channels))
        columns = [scored.rows[name].tolist() for name in _COLUMNS]
        return [dict(zip(_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]


def _shared(jobs: Sequence[_Job], room: int) -> list[_Part]:
    """Give each an equal share of the room, then what is left of it by their order."""
    taken = [0] * len(jobs)
    for share in (max(1, room // max(len(jobs), 1)), room):
        for place, job in enumerate(jobs):
            more = min(share, room, job.left - taken[place])
            taken[place] += more
            room -= more
    return [(job, slice(job.begun, job.begun + count)) for job, count in zip(jobs, taken, strict=True) if count]
