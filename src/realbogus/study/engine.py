"""Who does the jobs of a study: processes of this machine, or a Ray cluster.

An engine takes a function of a module and the jobs to call it with, and gives back a result
or the reason of a failure for each, in their order. A job that fails, or whose process dies,
is one lost network; the others go on.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

from ..errors import ConfigError, RealbogusError
from ..processes import end_with
from ..registry import Registry

__all__ = ["ENGINES", "Engine", "Failure", "Say", "Work", "guarded", "local"]

#: Seconds for a process that is dying.
_MOMENT = 5.0
#: `(done, of)`: how far a job has come.
Say = Callable[[int, int], None]
#: `(job, say) -> result`; both must be picklable.
Work = Callable[[Any, Say], Any]
#: `(work, jobs, processes, report) -> results`; `report(job number, done, of)`, and (number, 0, 0) when it has ended.
Engine = Callable[[Work, Sequence[Any], int, Callable[[int, int, int], None]], list[Any]]

ENGINES: Registry[Engine] = Registry("engine")

_UNDONE = "it was never done"


class _UnheardError(Exception):
    """Nobody listens to a job any more; its cause is what says so."""


@dataclass(frozen=True)
class Failure:
    """Why there is no result.

    Parameters
    ----------
    reason : str
        One sentence.
    """

    reason: str


def guarded(work: Work, job: Any, say: Say) -> Any:
    """Do one job; what it raises becomes a `Failure`, but for an interruption, and for `say` without a listener."""

    def told(done: int, of: int) -> None:
        try:
            say(done, of)
        except (OSError, EOFError) as error:
            raise _UnheardError from error

    try:
        return work(job, told)
    except RealbogusError as error:
        return Failure(str(error))
    except MemoryError:
        return Failure("not enough memory; try --jobs 1 or a machine with more memory")
    except _UnheardError as gone:
        raise gone.__cause__ or gone from None
    except Exception as error:
        # One odd network must never end a study; the reason names the exception, so that it can be mended.
        return Failure(f"unforeseen {type(error).__name__}: {error}")


@ENGINES.register("local")
def local(work: Work, jobs: Sequence[Any], processes: int, report: Callable[[int, int, int], None]) -> list[Any]:
    """Do the jobs on processes of this machine, in order of the list; 1 works here, without another process.

    Parameters
    ----------
    work : callable
        A function of a module, so that another process can find it.
    jobs : sequence
        What it is called with, the most important first.
    processes : int
        How many at a time.
    report : callable
        Called with (job number, done, of), and with (job number, 0, 0) when it has ended.

    Returns
    -------
    list
        A result or `Failure` for each job.
    """
    if getattr(current_process(), "_inheriting", False):
        raise ConfigError(
            'a new process reads the script that started it: put the call under `if __name__ == "__main__":`, '
            "or pass jobs=1"
        )
    results: list[Any] = [Failure(_UNDONE)] * len(jobs)
    if processes <= 1 or len(jobs) <= 1:
        for number, job in enumerate(jobs):
            results[number] = guarded(work, job, functools.partial(report, number))
            report(number, 0, 0)
        return results
    lost = _share_out(work, jobs, list(range(len(jobs))), min(processes, len(jobs)), results, report)
    # Two large networks together may be more than the memory holds: each that died gets it to itself.
    _share_out(work, jobs, lost, 1, results, report)
    return results


def _share_out(
    work: Work,
    jobs: Sequence[Any],
    numbers: list[int],
    processes: int,
    results: list[Any],
    report: Callable[[int, int, int], None],
) -> list[int]:
    """Hand jobs to workers until none is left; return the numbers of those whose process died."""
    waiting, lost = list(numbers), []
    workers: dict[Connection, tuple[BaseProcess, int]] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                pipe, process = _hire()
                workers[pipe] = process, waiting[0]
                _hand(pipe, work, jobs[waiting.pop(0)])  # one that has died already is met below
            for pipe in cast(list[Connection], wait(list(workers))):
                process, number = workers[pipe]
                try:
                    done, of, result = pipe.recv()
                except (EOFError, OSError):
                    lost.append(number)
                    results[number] = Failure(_died(process))
                    report(number, 0, 0)
                    _dismiss(pipe, process)
                    del workers[pipe]
                    continue
                if of:
                    report(number, done, of)
                    continue
                results[number] = result
                report(number, 0, 0)
                # the same process goes on: torch is loaded there already
                if waiting and _hand(pipe, work, jobs[waiting[0]]):
                    workers[pipe] = process, waiting.pop(0)
                else:
                    _dismiss(pipe, process)
                    del workers[pipe]
    finally:
        for pipe, (process, _) in workers.items():
            _dismiss(pipe, process)
    return lost


def _hire() -> tuple[Connection, BaseProcess]:
    # spawn, not fork: numerical libraries hold threads and locks that do not survive a fork
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _hand(pipe: Connection, work: Work, job: Any) -> bool:
    """Hand a job over; False where the process has died meanwhile."""
    try:
        pipe.send((work, job))
    except OSError:
        return False
    return True


def _died(process: BaseProcess) -> str:
    process.join(_MOMENT)
    code = process.exitcode
    if code is None:
        return "its process closed the pipe and lives on"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    return f"its process {how} before its time (signal 9 often means too little memory: try --jobs 1)"


def _dismiss(pipe: Connection, process: BaseProcess) -> None:
    pipe.close()
    process.terminate()
    process.join()


def _serve(pipe: Connection, parent: int) -> None:
    """Do what comes through the pipe, until it is closed or the parent is gone."""
    end_with(parent)
    try:
        while True:
            work, job = pipe.recv()
            pipe.send((0, 0, guarded(work, job, lambda done, of: pipe.send((done, max(of, 1), None)))))
    except (EOFError, OSError, KeyboardInterrupt):
        return
