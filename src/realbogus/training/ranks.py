"""Several processes that train one network, by Lightning's Fabric and DDP.

The calling process is rank 0, so progress, checkpoints and interrupts are where they were;
the others are started here and end with it. Each takes its share of every batch. None waits for ever: where
one of them ends before its time, the first process says so and stops.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing as mp
import os
import re
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import find_free_network_port

from ..config import TrainingConfig
from ..errors import ModelError, RealbogusError
from .hardware import PATIENCE, Place, kept_memory, make_fabric, threads

__all__ = ["several"]

#: Called in every process but the first, with its `Fabric` and what was handed to `several`.
Follower = Callable[[Fabric, Any], Any]

#: Seconds within which a process that broke off a connection has an exit status.
_MOMENT = 5.0
_ADVICE = "train again, which goes on from the last whole epoch, or with fewer of them (training.devices)"


@contextlib.contextmanager
def several(recipe: TrainingConfig, count: int, follow: Follower, job: Any) -> Iterator[Fabric]:
    """Start the other processes and give the first one's `Fabric`.

    Parameters
    ----------
    recipe : TrainingConfig
        Device, precision and threads of each process.
    count : int
        Processes in all; with 1 none is started.
    follow : callable
        What the others do: `follow(fabric, job)`, a function of a module.
    job : object
        Goes to them pickled, through a pipe.

    Raises
    ------
    ModelError
        One of the others ended before its time, or did not answer for ten minutes.
    """
    if count == 1:
        yield make_fabric(recipe)
        return
    port = find_free_network_port()
    # A forked process hangs in the threads that torch had; a new interpreter does not.
    context = mp.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(1, count)]
    others: list[BaseProcess] = [
        context.Process(target=_other, args=(recipe, Place(rank, count, port), pipe[1], follow, job), daemon=True)
        for rank, pipe in enumerate(pipes, start=1)
    ]
    try:
        for process in others:
            process.start()
        _await(others, [pipe[0] for pipe in pipes])
        with contextlib.ExitStack() as stack:
            with _explained(others):
                fabric = stack.enter_context(_joined(recipe, Place(0, count, port)))
            with _explained(others):
                yield fabric
                for process in others:
                    process.join(_MOMENT)
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
        for process in others:
            if process.pid is not None:
                process.join()


def _await(others: Sequence[BaseProcess], ready: Sequence[Connection]) -> None:
    """Wait until all others have started: who waits for a dead one at the place where they meet waits long."""
    for process, end in zip(others, ready, strict=True):
        found = wait([end, process.sentinel], PATIENCE.total_seconds())
        if end not in found:
            if found:  # it has ended; its status may come a moment after its sentinel
                process.join(_MOMENT)
            _refuse_dead(others, None)
            raise ModelError(f"{process.name} did not start within {PATIENCE}: {_ADVICE}")


@contextlib.contextmanager
def _explained(others: Sequence[BaseProcess]) -> Iterator[None]:
    """Say what is behind the error that torch raises where another process went away or is silent."""
    try:
        yield
    except RuntimeError as error:
        wait([process.sentinel for process in others], _MOMENT)
        _refuse_dead(others, error)
        if re.search(r"timed?[ -]?out", str(error), re.IGNORECASE):
            raise ModelError(f"a process of the run did not answer for {PATIENCE}: {_ADVICE}") from error
        raise


def _refuse_dead(others: Sequence[BaseProcess], cause: Exception | None) -> None:
    for rank, process in enumerate(others, start=1):
        if process.exitcode is not None:
            code = process.exitcode
            how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            raise ModelError(
                f"process {rank} of the {len(others) + 1} that train {how} before its time "
                f"(what it said itself stands above; signal 9 often means too little memory): {_ADVICE}"
            ) from cause


def _other(recipe: TrainingConfig, place: Place, ready: Connection, follow: Follower, job: Any) -> None:
    # An error that we raise on purpose is raised by the first process as well, which tells it.
    quietly = contextlib.suppress(RealbogusError)
    ready.send(True)
    with threads(recipe.threads), kept_memory(), _joined(recipe, place) as fabric, quietly:
        follow(fabric, job)


@contextlib.contextmanager
def _joined(recipe: TrainingConfig, place: Place) -> Iterator[Fabric]:
    """Join the group of processes, and leave no trace of it afterwards."""
    before = {name: os.environ.get(name) for name in ("MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")}
    log = logging.getLogger("lightning_fabric")
    level, own_threads = log.level, torch.get_num_threads()
    log.setLevel(logging.WARNING)  # it announces every rank
    try:
        fabric = make_fabric(recipe, place)
        fabric.launch()
        # Lightning shares the cores out, unless told otherwise
        torch.set_num_threads(recipe.threads or torch.get_num_threads())
        yield fabric
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.set_num_threads(own_threads)
        log.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
