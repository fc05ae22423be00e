"""Run one job a frame on several processes; a job that kills its process is one lost frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from typing import TypeVar

from ..errors import FrameError, InputError
from ..processes import end_with

__all__ = ["run_jobs"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    processes: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result | FrameError]:
    """Do `work` on every job; the outcome has the order of `jobs` and does not depend on `processes`.

    Parameters
    ----------
    work : callable
        A function of a module, so that another process can find it.
    jobs : sequence
        Its arguments.
    processes : int
        1 works here, without another process.
    progress : callable, optional
        Called with (done, all).

    Returns
    -------
    list
        The result of each job, or the error that ended it. Memory exhaustion and a process
        that died are errors of that job alone.
    """
    if getattr(current_process(), "_inheriting", False):
        raise InputError(
            'a new process reads the script that started it: put the call under `if __name__ == "__main__":`, '
            "or pass jobs=1"
        )
    outcome: list[Result | FrameError | None] = [None] * len(jobs)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, len(jobs))

    if processes <= 1 or len(jobs) <= 1:
        for index, job in enumerate(jobs):
            outcome[index] = _guarded(work, job)
            tick()
        return [_settled(result) for result in outcome]
    left: list[int] = []
    with _pool(processes) as pool:
        futures: dict[Future[Result | FrameError], int] = {
            pool.submit(_guarded, work, job): index for index, job in enumerate(jobs)
        }
        for future in as_completed(futures):
            try:
                outcome[futures[future]] = future.result()
                tick()
            except BrokenProcessPool:
                left.append(futures[future])
    for index in sorted(left):  # one of these killed its process: give each a process of its own
        with _pool(1) as pool:
            try:
                outcome[index] = pool.submit(_guarded, work, jobs[index]).result()
            except BrokenProcessPool:
                outcome[index] = FrameError(
                    "the process that worked on this frame died, most likely for lack of memory; try --jobs 1"
                )
        tick()
    return [_settled(result) for result in outcome]


def _pool(processes: int) -> ProcessPoolExecutor:
    # spawn, not fork: numerical libraries hold threads and locks that do not survive a fork
    return ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=end_with, initargs=(os.getpid(),)
    )


def _settled(result: Result | FrameError | None) -> Result | FrameError:
    return FrameError("the job was never done") if result is None else result


def _guarded(work: Callable[[Job], Result], job: Job) -> Result | FrameError:
    try:
        return work(job)
    except FrameError as error:
        return error
    except MemoryError:
        return FrameError("not enough memory for this frame; try --jobs 1 or a machine with more memory")
    except Exception as error:
        # One odd frame must never end a night; the reason names the exception, so that it can be mended.
        return FrameError(f"unforeseen {type(error).__name__}: {error}; please report this frame")
