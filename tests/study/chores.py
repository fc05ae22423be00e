"""Jobs for the tests of the engines; in a module of their own, so that another process can find them."""

from __future__ import annotations

import os
from collections.abc import Callable

from realbogus.errors import InputError


def square(job: int, say: Callable[[int, int], None]) -> int:
    say(1, 2)
    return job * job


def trouble(job: str, say: Callable[[int, int], None]) -> str:
    if job == "refuse":
        raise InputError("no such stamp")
    if job == "stumble":
        raise KeyError("lost")
    if job == "die":
        os._exit(3)
    return job
