"""Waiting for what is away for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import OutputError

__all__ = ["StoppedError", "UnavailableError", "patiently", "pauses"]

T = TypeVar("T")


class UnavailableError(OutputError):
    """A sink cannot take anything just now; the same call may go well later."""


class StoppedError(UnavailableError):
    """Somebody ended it while something was waited for: what was at hand is left as it is."""


def pauses(first_s: float = 0.5, longest_s: float = 30.0) -> Iterator[float]:
    """Yield growing pauses, seconds, without end.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(pauses(), 8))
    [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    """
    pause = first_s
    while True:
        yield min(pause, longest_s)
        pause = min(pause * 2, longest_s)


def patiently(
    act: Callable[[], T],
    *,
    say: Callable[[str], None] | None = None,
    longest_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    stop: threading.Event | None = None,
) -> T:
    """Call `act` until it no longer raises `UnavailableError`.

    Parameters
    ----------
    act : callable
        What is to be done.
    say : callable, optional
        Told what is waited for, and when it goes on.
    longest_s : float, optional
        Seconds of pauses after which the error is raised after all; without, it waits for ever.
    sleep : callable
        What waits.
    stop : Event, optional
        Ends the waiting when it is set; it then waits in place of `sleep`.

    Raises
    ------
    StoppedError
        `stop` was set before it went well.
    UnavailableError
        It took longer than `longest_s`.

    Examples
    --------
    >>> answers = iter([UnavailableError("the database is away"), "written"])
    >>> def act():
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> patiently(act, say=print, sleep=lambda seconds: None)
    the database is away; trying again in 0.5 s, nothing is lost
    going on after 0.5 s
    'written'
    """
    waited = 0.0
    for pause in pauses():
        try:
            done = act()
        except UnavailableError as error:
            if stop is not None and stop.is_set():
                raise StoppedError(f"{error}; ended meanwhile") from error
            if longest_s is not None and waited >= longest_s:
                raise
            if say is not None:
                say(f"{error}; trying again in {pause:g} s, nothing is lost")
            if stop is None:
                sleep(pause)
            elif stop.wait(pause):
                raise StoppedError(f"{error}; ended meanwhile") from error
            waited += pause
        else:
            if waited and say is not None:
                say(f"going on after {waited:g} s")
            return done
    raise AssertionError("pauses have no end")  # pragma: no cover
