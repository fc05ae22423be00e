"""What a verb of the command line is, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["Verb", "bars", "telescope_option"]


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
    with Progress(*columns, console=console) as progress:

        def say(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=of)
            progress.update(tasks[stage], completed=done, total=of)

        yield say
