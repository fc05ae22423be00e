"""The verb `reproduce`: the whole study of the paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ..errors import ConfigError
from ..files import writable_folder
from .verb import Verb, tell

__all__ = ["VERBS"]


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--out", type=str, required=True, help="folder of the study; one that was cut off carries on")
    add("--scale", default="smoke", help="smoke (minutes), small (hours) or paper (days on a CPU) (default: smoke)")
    add(
        "--networks", type=str, default="", metavar="A,B,C",
        help="architectures in place of the paper's thirteen; bagged are those of its trio among them, or the first 3",
    )  # fmt: skip
    add("--epochs", type=int, default=None, metavar="N", help="of the paper's recipe; by the scale where absent")
    add("--engine", default="local", help="local, or ray for the cluster at RAY_ADDRESS (default: local)")
    add("--jobs", type=int, default=None, metavar="N",
        help="networks trained at a time; one a processor, or one alone on a GPU, where absent")  # fmt: skip
    add("--seed", type=NonNegativeInt, default=0, help="of splits, networks and bootstraps; the data have their own")


def _run(options: Any, console: Console, errors: Console) -> None:
    names = [name.strip() for name in options.networks.split(",") if name.strip()]
    if options.networks and not names:
        raise ConfigError(f"--networks {options.networks!r} names none: give architectures between commas")
    out = writable_folder(options.out)
    try:
        import torch  # noqa: F401  before hours of simulation, not after
    except ImportError as error:
        raise ConfigError('a study trains networks, which needs torch: pip install "realbogus[train]"') from error
    from ..study.reproduce import reproduce

    with _bars(errors) as progress:
        report = reproduce(
            out, scale=options.scale, networks=names or None, epochs=options.epochs, seed=options.seed,
            engine=options.engine, jobs=options.jobs, progress=progress,
        )  # fmt: skip
    tell(console, (out / "tables" / "table2.md").read_text(encoding="utf-8"))
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    for remark in summary["screen"]["remarks"]:
        tell(console, remark)
    for key, reason in summary["failed"].items():
        tell(console, f"failed {key}: {reason}")
    tell(console, f"all tables: {out / 'tables.md'}")
    tell(console, f"report: {report.resolve()}")


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Bars with the time left: one a stage, and one for each network while it is trained."""
    columns = (TextColumn("{task.description:>28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as progress:

        def say(name: str, done: int, of: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=of)
            # a network that has ended leaves the screen to those at work
            progress.update(tasks[name], completed=done, total=of, visible="/" not in name or done < of)

        yield say


VERBS = (Verb("reproduce", "run the paper's study: data, networks, tables, figures, report", _arguments, _run),)
