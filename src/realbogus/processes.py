"""Processors, and processes that end with the one that started them."""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path

__all__ = ["end_with", "processor_name", "processors"]


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """Return what the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def end_with(parent: int, seconds: float = 0.5) -> None:
    """End this process when its parent is gone; a worker calls it first.

    A process that is killed tells nobody: its workers would go on working for a result that nobody reads.

    Parameters
    ----------
    parent : int
        Process number of the parent.
    seconds : float
        Between two looks.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
