"""Processes in which the contenders of a benchmark take turns."""

from __future__ import annotations

import itertools
import multiprocessing as mp
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelError, RealbogusError
from .bundle import Bundle
from .contenders import CONTENDERS, label_of
from .onnx import Device
from .timed import random_stamps, some_stamps, spread

__all__ = ["STAMPS", "ask", "rivals"]

#: Calls whose times give the percentiles, at most.
_CALLS = 1000
#: Stamps that are timed, of a set or before a gate, at least: a gate's share of fewer is chance.
STAMPS = 2048


@contextmanager
def rivals(
    names: Sequence[str],
    path: Path,
    threads: int,
    most: int,
    left_out: dict[str, str],
    device: Device = "cpu",
    stamps: Path | None = None,
) -> Iterator[dict[str, Connection]]:
    """Start a process for each contender that can run here; end them afterwards."""
    context = mp.get_context("spawn")
    lines: dict[str, Connection] = {}
    processes = []
    try:
        for name in names:
            if name in left_out:
                continue
            here, there = context.Pipe()
            process = context.Process(
                target=_serve, args=(there, name, path, threads, most, device, stamps), daemon=True
            )
            process.start()
            processes.append(process)
            there.close()  # so that the end of the process is the end of the line
            lines[name] = here
            try:
                ask(here, None)
            except ModelError as error:
                left_out[name] = str(error)
                lines.pop(name).close()
        yield lines
    finally:
        for line in lines.values():
            line.close()
        for process in processes:
            process.join()


def ask(line: Connection, what: tuple[int, float] | None) -> Any:
    """Have a contender time batches of a size for some seconds; None waits until it is ready.

    Returns
    -------
    tuple
        What it runs in, the seconds of every call, and the most memory its process had, MB.

    Raises
    ------
    ModelError
        It cannot run here, or its process ended.
    """
    try:
        if what is not None:
            line.send(what)
        answer = line.recv()
    except (EOFError, OSError) as error:
        raise ModelError("its process ended (out of memory?)") from error
    if isinstance(answer, str):
        raise ModelError(answer)
    return answer


def _serve(
    line: Connection, name: str, path: Path, threads: int, most: int, device: Device, stamps: Path | None = None
) -> None:
    """Work as a contender's process; what ends it is told."""
    try:
        _work(line, name, path, threads, most, device, stamps)
    except RealbogusError as error:
        line.send(str(error))
    except Exception as error:  # a runtime raises what it likes
        line.send(f"{type(error).__name__}: {error}")


def _work(
    line: Connection, name: str, path: Path, threads: int, most: int, device: Device, stamps: Path | None
) -> None:
    """Open the model, then time what is asked for."""
    if hasattr(os, "sched_setaffinity"):  # what prepares stamps beside the network has no processor of its own
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    model = CONTENDERS.resolve(name)(path, threads, device)
    gate = model.gate if isinstance(model, Bundle) else None
    if stamps is None:
        made = random_stamps(model.card, most if gate is None else max(most, STAMPS))
    else:
        made = some_stamps(model.card, stamps, max(most, STAMPS))
        if len(made[0]) < most:
            raise InputError(f"{stamps} has {len(made[0])} stamps to time, fewer than a batch of {most}")
    model, (pixels, noise, fwhm) = spread(model, made, gate.passed if gate is not None and stamps is None else None)
    model.predict(pixels[:64], noise=noise[:64], fwhm=fwhm[:64])
    runtime = label_of(model)
    places: dict[int, Iterator[int]] = {}
    line.send(True)
    while True:
        try:
            size, seconds = line.recv()
        except EOFError:
            return
        # from where the last turn ended: a gate treats no two parts alike
        place = places.setdefault(size, itertools.cycle(range(0, len(pixels) - size + 1, size)))

        def call(at: int, size: int = size) -> None:
            rows = slice(at, at + size)
            model.predict(pixels[rows], noise=noise[rows], fwhm=fwhm[rows])

        if size < most:
            call(0)
        times: list[float] = []
        while sum(times) < seconds and len(times) < _CALLS:
            at = next(place)
            started = time.perf_counter()
            call(at)
            times.append(time.perf_counter() - started)
        # on Linux in KiB
        line.send((runtime, times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
