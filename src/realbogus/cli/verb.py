"""What a verb of the command line is, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..errors import InputError

__all__ = ["Verb", "bars", "check_threshold", "telescope_option", "tell"]


@dataclass(frozen=True)
class Verb:
    """One verb: its name, what it does, its arguments and its work."""

    name: str
    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Any, Console, Console], None]


def telescope_option(parser: ArgumentParser) -> None:
    """Add `--telescope`."""
    parser.add_argument(
        "--telescope", default="generic", metavar="NAME|FILE",
        help="profile of the telescope, or a TOML file with one (default: generic, which reads the pixels)",
    )  # fmt: skip


@contextmanager
def bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars on `console`, one a stage, with the time left."""
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    progress = Progress(*columns, console=console)

    def say(stage: str, done: int, of: int) -> None:
        if stage not in tasks:
            progress.start()  # not before the first stage: bars of nothing are an empty line
            tasks[stage] = progress.add_task(stage, total=of)
        progress.update(tasks[stage], completed=done, total=of)

    try:
        yield say
    finally:
        if tasks:
            progress.stop()


def tell(console: Console, text: str) -> None:
    """Print one line as it is: names of files hold brackets, and a line that is piped on must stay one."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def check_threshold(threshold: float | None) -> None:
    """Refuse a threshold that no score could lie on either side of."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold {threshold:g}: scores lie in 0 to 1, give a number between")
