"""What a verb of the command line is, and what several of them share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..errors import InputError, OutputError

__all__ = [
    "NEEDS_TORCH", "Verb", "bars", "check_output_file", "check_threshold", "refuse_inputs", "telescope_option", "tell",
]  # fmt: skip

#: What is said where torch is absent and needed.
NEEDS_TORCH = 'training and model folders need torch: pip install "realbogus[train]"'


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


def refuse_inputs(out: Path | str, inputs: Sequence[Path | str]) -> None:
    """Refuse to write over what is read: a raw exposure cannot be taken again."""
    # not Path.resolve, which ends at a link to itself
    if os.path.realpath(out) in {os.path.realpath(name) for name in inputs}:
        raise InputError(f"{out} is what is read, and would be written over: choose another place with -o")


def check_output_file(path: Path) -> Path:
    """Make the folder of a file and try to write there, now and not after minutes of measuring."""
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        part.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; choose a place you may write") from error
    return path
