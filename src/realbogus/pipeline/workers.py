"""Run one job a frame on several processes; a job that kills its process is one lost frame."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from typing import Any, TypeVar

from ..errors import FrameError, InputError
from ..processes import end_with

__all__ = ["PassingError", "passing", "run_jobs", "worker_pool"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class PassingError(FrameError):
    """Not the frame is at fault but the machine: memory, a disk, a process that died. It may go well another time."""


def passing(error: BaseException | None) -> bool:
    """Say whether memory or a disk is behind an error, as far as it tells what it came from.

    Examples
    --------
    >>> passing(OSError(28, "No space left on device")), passing(OSError("not a FITS file")), passing(MemoryError())
    (True, False, True)
    """
    while error is not None:
        if isinstance(error, (MemoryError, PassingError)) or (isinstance(error, OSError) and error.errno is not None):
            return True
        error = error.__cause__ or error.__context__
    return False


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
    with worker_pool(processes) as pool:
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
        with worker_pool(1) as pool:
            try:
                outcome[index] = pool.submit(_guarded, work, jobs[index]).result()
            except BrokenProcessPool:
                outcome[index] = PassingError(
                    "the process that worked on this frame died, most likely for lack of memory; try --jobs 1"
                )
        tick()
    return [_settled(result) for result in outcome]


def worker_pool(processes: int, *, deaf: bool = False) -> ProcessPoolExecutor:
    """Return processes that end with this one.

    Parameters
    ----------
    processes : int
    deaf : bool
        Whether they pass over Ctrl-C and SIGTERM, which a terminal or systemd sends to all of a group: what they have
        in hand is finished, and this process ends them. For one process alone: a pool ends its others by SIGTERM.
    """
    # spawn, not fork: numerical libraries hold threads and locks that do not survive a fork
    kind = _DeafPool if deaf else ProcessPoolExecutor
    return kind(processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(), deaf))


_PASSED_OVER = (signal.SIGINT, signal.SIGTERM)


class _DeafPool(ProcessPoolExecutor):
    """Its processes begin with the signals held back: the first second of a Python would end by them."""

    def submit(self, *work: Any, **words: Any) -> Future[Any]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_OVER)
        try:
            return super().submit(*work, **words)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int, deaf: bool) -> None:
    if deaf:
        for number in _PASSED_OVER:
            signal.signal(number, signal.SIG_IGN)
    end_with(parent)


def _settled(result: Result | FrameError | None) -> Result | FrameError:
    return FrameError("the job was never done") if result is None else result


def _guarded(work: Callable[[Job], Result], job: Job) -> Result | FrameError:
    try:
        return work(job)
    except FrameError as error:
        # what it came from does not travel between processes
        return PassingError(*error.args) if passing(error) else error
    except MemoryError:
        return PassingError("not enough memory for this frame; try --jobs 1 or a machine with more memory")
    except Exception as error:
        # One odd frame must never end a night; the reason names the exception, so that it can be mended.
        kind = PassingError if isinstance(error, OSError) else FrameError
        return kind(f"unforeseen {type(error).__name__}: {error}; please report this frame")
