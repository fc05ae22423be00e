"""The command line: `realbogus VERB ...`, one verb for every stage and `night` for all of them."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from jsonargparse import ArgumentParser
from rich.console import Console

from .. import __version__
from ..errors import RealbogusError
from . import (
    adapt,
    curation,
    deploy,
    distil,
    images,
    learning,
    live,
    networks,
    nights,
    reproduce,
    serve,
    serve_http,
    vet,
)
from .verb import Verb

__all__ = ["main", "parser"]

VERBS: tuple[Verb, ...] = (
    *nights.VERBS,
    *images.VERBS,
    *learning.VERBS,
    *serve.VERBS,
    *serve_http.VERBS,
    *live.VERBS,
    *deploy.VERBS,
    *distil.VERBS,
    *networks.VERBS,
    *reproduce.VERBS,
    *vet.VERBS,
    *adapt.VERBS,
    *curation.VERBS,
)


def parser() -> ArgumentParser:
    """Build the parser of every verb.

    Examples
    --------
    >>> options = parser().parse_args(["night", "frames", "-o", "out", "--inject-snr", "10", "50"])
    >>> options.night.inject_snr
    [10.0, 50.0]
    """
    top = ArgumentParser(
        prog="realbogus",
        description="Decide which detections in astronomical difference images are real.",
        version=__version__,
        allow_abbrev=False,  # half a flag would mean another one as soon as there is a new one
    )
    verbs = top.add_subcommands(required=True, dest="verb")
    for verb in VERBS:
        sub = ArgumentParser(description=verb.help, allow_abbrev=False)
        sub.add_argument("--config", action="config", help="read options from a YAML or JSON file")
        verb.arguments(sub)
        verbs.add_subcommand(verb.name, sub, help=verb.help)
    return top


class _Console(Console):
    """A console whose reader may go away, as `head` does when it has its lines: the verb goes on, and writes its files.

    rich would end the program there, with status 1.
    """

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _hang_up()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 1 could not be done, 2 wrong usage, 130 interrupted."""
    options = parser().parse_args(None if arguments is None else list(arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what the terminal's encoding cannot
            stream.reconfigure(errors="backslashreplace")
    errors = Console(stderr=True)
    verb = next(verb for verb in VERBS if verb.name == options.verb)
    try:
        verb.run(options[options.verb], _Console(), errors)
    except RealbogusError as error:
        return _failed(errors, error)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command carries on, or starts again where it cannot")
        return 130
    except BrokenPipeError as error:  # the reader of our output went away, which is its right
        return 0 if _hang_up() else _failed(errors, error)
    except OSError as error:  # a full disk, a share that went away: no fault of ours to show a traceback for
        return _failed(errors, error)
    return 0


def _hang_up() -> bool:
    """Say whether the reader of our output went away; what Python flushes at its end goes nowhere then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # an output that is no file has nothing to flush
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        return True
    return False


def _failed(errors: Console, error: Exception) -> int:
    errors.print("[bold red]error:[/]", end=" ")
    errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
    return 1
