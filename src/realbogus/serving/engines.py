"""Who scores: this process, or workers of a Ray cluster. The rows, their order and their scores are the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

from ..cluster import connected
from ..errors import ConfigError
from ..registry import Registry
from .batch import Batch, Scored
from .crew import Crew, Job
from .parts import Answer, Held, parts_of
from .scorer import Scorer
from .sources.source import Source
from .worker import Opener

__all__ = ["ENGINES", "Engine", "Scattered", "local", "on_ray"]

_Judge = Callable[[Batch], Scored]
#: Seconds after which somebody who wants to end it is heard.
_LOOK_S = 0.5


class Engine(Protocol):
    """Makes of a source and a scorer those that the loop is given."""

    def __call__(
        self,
        source: Source,
        scorer: Scorer,
        opener: Opener,
        *,
        workers: int | None = None,
        keep: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> AbstractContextManager[tuple[Source, _Judge]]:
        """See `on_ray` for the arguments."""
        ...


ENGINES: Registry[Engine] = Registry("engine")


@ENGINES.register("local")
@contextmanager
def local(
    source: Source,
    scorer: Scorer,
    opener: Opener,
    *,
    workers: int | None = None,
    keep: bool = True,
    say: Callable[[str], None] | None = None,
) -> Iterator[tuple[Source, _Judge]]:
    """Score in this process.

    Raises
    ------
    ConfigError
        Workers were asked for.
    """
    if workers is not None:
        raise ConfigError(f"{workers} workers for the engine `local`: it has none, give --engine ray")
    yield source, scorer


@ENGINES.register("ray")
@contextmanager
def on_ray(
    source: Source,
    scorer: Scorer,
    opener: Opener,
    *,
    workers: int | None = None,
    keep: bool = True,
    say: Callable[[str], None] | None = None,
) -> Iterator[tuple[Source, _Judge]]:
    """Score with workers of a Ray cluster: the one at `RAY_ADDRESS`, else one of this machine.

    Workers read parts of the source and score them; here the policy says what is real, and the sinks are written to,
    in the order of the source. All machines must see the source and the model under the same paths.

    Parameters
    ----------
    source : Source
        One that is `Divisible` is read by the workers, any other here.
    scorer : Scorer
        Its policy and calibration are used here.
    opener : callable
        Opens the scorer's classifier in a worker.
    workers : int, optional
        One for each processor of the cluster by default.
    keep : bool
        Whether a sink wants pixels or packets.
    say : callable, optional
        Told of workers that die.

    Raises
    ------
    ConfigError
        Ray is not installed, the cluster does not answer, or it shall be fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers: give 1 or more")
    with connected(workers) as ray:
        count = workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        scattered = Scattered(source, lambda size: Crew(
            ray, opener, scorer.classifier.card.to_json(), workers=count, size=size, keep=keep, say=say
        ))  # fmt: skip
        yield scattered, lambda answer: _judged(scorer, answer)


def _judged(scorer: Scorer, answer: Batch) -> Scored:
    if not isinstance(answer, Answer):
        return scorer(answer)
    return scorer.judge(answer, answer.scores, answer.reasons)


class Scattered:
    """A source whose batches come scored, in its order. A `Source`.

    Parameters
    ----------
    source : Source
    hire : callable
        Makes the crew for batches of a size.
    """

    def __init__(self, source: Source, hire: Callable[[int], Crew]) -> None:
        self.source, self._hire = source, hire

    @property
    def count(self) -> int | None:
        """Candidates in all, where that is known."""
        return self.source.count

    def batches(self, size: int, wait_s: float) -> Generator[Answer]:
        """Yield answers; so few parts are on their way at a time that memory does not grow."""
        crew = self._hire(size)
        try:
            yield from _in_order(crew, parts_of(self.source, size, wait_s))
        finally:
            crew.close()

    def commit(self, receipt: Any) -> None:
        """Tell the source."""
        self.source.commit(receipt)

    def close(self) -> None:
        """Close the source."""
        self.source.close()


def _in_order(crew: Crew, parts: Iterator[Any]) -> Generator[Answer]:
    order: deque[Job] = deque()
    error: BaseException | None = None
    more = True
    while more or order:
        if more and len(order) < crew.window:
            try:
                order.append(crew.take(next(parts)))
            except StopIteration:
                more = False
            except Exception as raised:  # what was read before it comes first
                more, error = False, raised
        if order:
            idle = order[0].done is None and (not more or len(order) >= crew.window)
            crew.wait(_LOOK_S if idle else 0.0)
        while order and order[0].done is not None:
            yield from _answers(order.popleft())
    if error is not None:
        raise error


def _answers(job: Job) -> Iterator[Answer]:
    answers, error = job.done or ([], None)
    if isinstance(job.part, Held):  # its receipt stayed here
        answers = [replace(answer, receipt=job.part.batch.receipt) for answer in answers]
    yield from answers
    if error is not None:
        raise error
