"""Jobs for the tests of the engines; in a module of their own, so that another process can find them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from realbogus.errors import InputError


def square(job: int, say: Callable[[int, int], None]) -> int:
    say(1, 2)
    return job * job


def brief(job: str, say: Callable[[int, int], None]) -> str:
    """One of these jobs takes its process with it, but only when it has been answered for."""
    if job == "last":
        threading.Timer(0.2, os._exit, (3,)).start()
    return job


def trouble(job: str, say: Callable[[int, int], None]) -> str:
    if job == "refuse":
        raise InputError("no such stamp")
    if job == "stumble":
        raise KeyError("lost")
    if job == "end":
        raise EOFError("no data left in file")
    if job == "die":
        os._exit(3)
    return job
