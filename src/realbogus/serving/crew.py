"""Workers of a Ray cluster: hired, given work, replaced when they die."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ModelError, RealbogusError
from .parts import Answer, Part, failed_part
from .worker import Opener, Worker

__all__ = ["Crew", "Job"]

#: Workers that may die with a part before it is no longer scored.
DEATHS = 3
#: Parts that a worker has: one in hand, and one more so that it need not wait.
_EACH = 2
_PATIENCE_S = 30.0


@dataclass(eq=False)
class Job:
    """A part on its way.

    Parameters
    ----------
    part : Part
    done : tuple of (list of Answer, Exception or None), optional
        What came back; None so far.
    deaths : int
        How many workers died with it in hand.
    """

    part: Part
    done: tuple[list[Answer], Exception | None] | None = None
    deaths: int = 0

    @property
    def why(self) -> str:
        """Why nothing is scored of it any more; empty as long as that is tried."""
        return f"{DEATHS} workers died while they scored {self.part.name}" if self.deaths >= DEATHS else ""


@dataclass(eq=False)
class _Hand:
    actor: Any
    hello: Any
    host: str = ""
    jobs: deque[tuple[Any, Job]] = field(default_factory=deque)


class Crew:
    """So many workers, each an actor of one processor that keeps the model loaded.

    A worker that dies is replaced. The part it had in hand goes to another one; with three deaths its rows are
    read but not scored, and where even that kills a worker one entry of `failed` stands for it.

    Parameters
    ----------
    ray : module
        Connected.
    opener : callable
        Opens the classifier there.
    card : str
        What it must be, as JSON.
    workers : int
    size : int
        Rows of a batch.
    keep : bool
        Whether pixels and packets are wanted back.
    say : callable, optional
        Told of deaths, and what is waited for.
    """

    def __init__(
        self,
        ray: Any,
        opener: Opener,
        card: str,
        *,
        workers: int,
        size: int,
        keep: bool,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._ray, self._size, self._keep, self._say = ray, size, keep, say or (lambda text: None)
        # two nodes share the work, and one that is lost does not take all of it
        self._actor = ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(Worker)
        self._opener, self._card, self._workers = opener, card, workers
        self._hands: list[_Hand] = []
        self._waiting: deque[Job] = deque()
        self._stillborn = 0
        self._heard = time.monotonic()
        for _ in range(workers):
            self._hire()

    @property
    def window(self) -> int:
        """How many parts shall be on their way at most."""
        return self._workers * (_EACH + 1)

    def take(self, part: Part) -> Job:
        """Take a part, to be scored by whoever is free."""
        job = Job(part)
        self._waiting.append(job)
        self._feed()
        return job

    def wait(self, timeout_s: float) -> None:
        """Wait until something has come back, but not longer.

        Raises
        ------
        RealbogusError
            A worker cannot open the model.
        ModelError
            Workers die while they open it.
        """
        refs = {hand.hello: hand for hand in self._hands if not hand.host}
        refs |= {ref: hand for hand in self._hands for ref, _ in hand.jobs}
        for ref in self._ray.wait(list(refs), num_returns=1, timeout=timeout_s)[0] if refs else ():
            self._heard = time.monotonic()
            hand = refs[ref]
            if ref is hand.hello:
                self._greet(hand)
            else:
                self._collect(hand)
        self._feed()
        if time.monotonic() - self._heard > _PATIENCE_S:
            self._heard = time.monotonic()
            there = sum(bool(hand.host) for hand in self._hands)
            self._say(f"nothing came for {_PATIENCE_S:.0f} s; {there} of {self._workers} workers are there")

    def close(self) -> None:
        """Dismiss everybody."""
        for hand in self._hands:
            self._ray.kill(hand.actor, no_restart=True)
        self._hands.clear()

    def _hire(self) -> None:
        actor = self._actor.remote(self._opener)
        self._hands.append(_Hand(actor, actor.ready.remote(self._card)))

    def _greet(self, hand: _Hand) -> None:
        errors = self._ray.exceptions
        try:
            hand.host = self._ray.get(hand.hello)
            self._stillborn = 0
        except errors.RayTaskError as error:
            raise _cause(error) from None
        except errors.RayError as error:
            self._hands.remove(hand)
            self._stillborn += 1
            if self._stillborn < 2 * self._workers + 1:
                self._hire()
            elif not self._hands:
                raise ModelError(f"workers die while they open the model: {_first(error)}") from None

    def _collect(self, hand: _Hand) -> None:
        """Take what a worker has done, in its order; it does one part at a time."""
        errors = self._ray.exceptions
        while hand.jobs:
            ref, job = hand.jobs[0]
            if not self._ray.wait([ref], timeout=0)[0]:
                return
            try:
                job.done = self._ray.get(ref)
            except errors.RayTaskError as error:
                job.done = [], _cause(error)
            except errors.RayError as error:
                self._lost(hand, error)
                return
            hand.jobs.popleft()

    def _lost(self, hand: _Hand, error: Exception) -> None:
        """Replace a worker that died with the first of its parts in hand."""
        self._ray.kill(hand.actor, no_restart=True)  # one that cannot be reached may be alive
        self._hands.remove(hand)
        jobs = [job for _, job in hand.jobs]
        blamed = jobs[0]
        blamed.deaths += 1
        self._say(f"a worker on {hand.host} died with {blamed.part.name}: {_first(error)}")
        if blamed.deaths > DEATHS:
            blamed.done = [failed_part(blamed.part, f"{blamed.deaths} workers died while they read it")], None
            jobs = jobs[1:]
        self._waiting.extendleft(reversed(jobs))
        self._hire()

    def _feed(self) -> None:
        """Hand out parts, the oldest first, to those with the least to do."""
        while self._waiting:
            free = [hand for hand in self._hands if hand.host and len(hand.jobs) < _EACH]
            if not free:
                return
            hand = min(free, key=lambda each: len(each.jobs))
            job = self._waiting.popleft()
            ref = hand.actor.score.remote(job.part, self._size, self._keep, job.why)
            hand.jobs.append((ref, job))


def _cause(error: Any) -> Exception:
    """Return what a worker raised, as it is without a cluster."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, RealbogusError) else ModelError(f"a worker failed: {_last(error)}")


def _first(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _last(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
