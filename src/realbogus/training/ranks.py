"""Several processes that train one network, by Lightning's Fabric and DDP.

The calling process is rank 0, so progress, checkpoints and interrupts are where they were;
the others are started here and end with it. Each takes its share of every batch.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing as mp
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import find_free_network_port

from ..config import TrainingConfig
from ..errors import RealbogusError
from .hardware import kept_memory, make_fabric, threads

__all__ = ["several"]

#: Called in every process but the first, with its `Fabric` and what was handed to `several`.
Follower = Callable[[Fabric, Any], None]


class _Place(ClusterEnvironment):
    """Where one process stands among those of this machine; Lightning need not start any."""

    def __init__(self, rank: int, count: int, port: int) -> None:
        self._rank, self._count, self._port = rank, count, port

    creates_processes_externally = True
    main_address = "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._count

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self._rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self._rank

    def node_rank(self) -> int:
        return 0


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
    """
    if count == 1:
        yield make_fabric(recipe)
        return
    port = find_free_network_port()
    # A forked process hangs in the threads that torch had; a new interpreter does not.
    context = mp.get_context("spawn")
    others = [
        context.Process(target=_other, args=(recipe, rank, count, port, follow, job), daemon=True)
        for rank in range(1, count)
    ]
    try:
        for process in others:
            process.start()
        with _joined(recipe, 0, count, port) as fabric:
            yield fabric
            for process in others:
                process.join()
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
        for process in others:
            if process.pid is not None:
                process.join()


def _other(recipe: TrainingConfig, rank: int, count: int, port: int, follow: Follower, job: Any) -> None:
    # An error that we raise on purpose is raised by the first process as well, which tells it.
    quietly = contextlib.suppress(RealbogusError)
    with threads(recipe.threads), kept_memory(), _joined(recipe, rank, count, port) as fabric, quietly:
        follow(fabric, job)


@contextlib.contextmanager
def _joined(recipe: TrainingConfig, rank: int, count: int, port: int) -> Iterator[Fabric]:
    """Join the group of processes, and leave no trace of it afterwards."""
    before = {name: os.environ.get(name) for name in ("MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")}
    log = logging.getLogger("lightning_fabric")
    level, own_threads = log.level, torch.get_num_threads()
    log.setLevel(logging.WARNING)  # it announces every rank
    try:
        fabric = make_fabric(recipe, _Place(rank, count, port), count)
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
