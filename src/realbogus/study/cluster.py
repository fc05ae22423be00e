"""The jobs of a study as tasks of Ray, on a cluster or on this machine.

`RAY_ADDRESS` names a cluster; its machines must see the output folder under the same path.
Without it Ray is started here for the length of the study.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..cluster import connected
from .engine import ENGINES, Failure, Work, guarded

__all__ = ["ray_tasks"]


@ENGINES.register("ray")
def ray_tasks(work: Work, jobs: Sequence[Any], processes: int, report: Callable[[int, int, int], None]) -> list[Any]:
    """Do the jobs as remote tasks of Ray; see `engine.local` for the arguments.

    A task asks for one processor, and where this machine has a GPU for one of those too.

    Raises
    ------
    ConfigError
        Ray is not installed, or the cluster does not answer.
    """
    with connected(processes) as ray:
        from ray.util.queue import Queue

        # the queue's actor only passes words on: it must not take a processor from the work
        words = Queue(actor_options={"num_cpus": 0})
        remote = ray.remote(num_cpus=1, num_gpus=_gpus(), max_retries=1)(_task)
        futures = {remote.remote(work, job, number, words): number for number, job in enumerate(jobs)}
        results: list[Any] = [Failure("the task was never done")] * len(jobs)
        waiting = list(futures)
        while waiting:
            ready, waiting = ray.wait(waiting, timeout=1.0)
            for number, done, of in words.get_nowait_batch(words.qsize()):
                report(number, done, of)
            for future in ready:
                try:
                    results[futures[future]] = ray.get(future)
                except ray.exceptions.RayError as error:
                    results[futures[future]] = Failure(f"Ray lost the task: {str(error).splitlines()[0]}")
                report(futures[future], 0, 0)
        words.shutdown()
        return results


def _gpus() -> int:
    import torch

    return int(torch.cuda.is_available())


def _task(work: Work, job: Any, number: int, words: Any) -> Any:
    return guarded(work, job, lambda done, of: words.put((number, done, of)))
