"""The verbs `vet` and `votes`: people look at stamps, and what they said together."""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.console import Console

from ..doors import LOOPBACK, bind, is_loopback, keep_token
from ..errors import ConfigError, InputError, OutputError
from ..pipeline.settings import prepare_output
from ..stamps import StampSet
from .images import check_table_path, write_table
from .verb import Verb, bars, tell

__all__ = ["VERBS"]

_PORT = 8427


_VOTES = "file of votes (default: votes.jsonl in the set's folder)"


def _vet_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of stamps")
    add("-o", "--out", "--votes", dest="votes", type=str, default=None, metavar="FILE", help=_VOTES)
    add("--order", default="random", help="random, set, score, uncertainty or disagreement (default: %(default)s)")
    add("--seed", type=NonNegativeInt, default=0, help="of the order by chance and of the repeats")
    add("--page", type=int, default=20, metavar="N", help="stamps on a page (default: %(default)s)")
    add("--repeats", type=float, default=0.05, metavar="SHARE",
        help="share of the stamps that each vetter sees twice, unannounced (default: %(default)s)")  # fmt: skip
    add("--show-scores", action="store_true", help="show scores, labels and the votes of others, hidden otherwise")
    add("--facts", type=str, default="", metavar="A,B,...", help="further columns to show")
    add("--vetters", type=str, default="", metavar="A,B,...",
        help="print a link for each of these, and let nobody else vote")  # fmt: skip
    add("--port", type=int, default=_PORT, help="0 for any that is free (default: %(default)s)")
    add("--host", type=str, default=None, metavar="ADDRESS",
        help="listen there, for other computers to come in; this computer alone where absent")  # fmt: skip
    add("--token", type=str, default=None, metavar="WORD",
        help="16 signs or more that the links carry; by chance, and kept beside the votes, where absent")  # fmt: skip
    add("--no-browser", action="store_true", help="only print the link")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _votes_path(options: Any) -> Path:
    return Path(options.votes) if options.votes is not None else Path(options.stamps) / "votes.jsonl"


def _vet(options: Any, console: Console, errors: Console) -> None:
    try:
        from ..vetting.app import make_app
        from ..vetting.server import page_links, serve
    except ImportError as error:
        raise ConfigError('the page needs FastAPI and uvicorn: pip install "realbogus[vet]"') from error
    from ..vetting.booth import Booth
    from ..vetting.settings import BoothSettings
    from ..vetting.votes import VoteFile

    settings = BoothSettings(
        order=options.order, seed=options.seed, repeats=options.repeats, page=options.page,
        show_scores=options.show_scores, vetters=_names(options.vetters), facts=_names(options.facts),
    )  # fmt: skip
    stamps, path = StampSet.load(options.stamps), _votes_path(options)
    host = options.host or LOOPBACK
    with bind(host, options.port) as listener, VoteFile(path) as box:
        booth = Booth(stamps, box, settings, name=Path(options.stamps).resolve().name)
        token = keep_token(path.with_name(f"{path.stem}.token"), options.token)
        links = page_links(listener, host, token, settings.vetters)
        tell(console, f"{len(stamps)} stamps; votes go to {path} ({len(box.votes)} lines there)")
        for vetter, link in links.items():
            tell(console, f"open {link}" if not vetter else f"{vetter}: {link}")
        if not is_loopback(host):
            tell(errors, f"warning: {host} can be reached from other computers, without encryption: whoever has a link "
                 "can vote, and whoever listens can have the link")  # fmt: skip
        tell(console, "Ctrl-C ends it; nothing is lost")
        sys.stdout.flush()  # a program that reads our output waits for the link
        if not options.no_browser and _has_screen():
            webbrowser.open(next(iter(links.values())))
        with suppress(KeyboardInterrupt):  # the way to end it
            serve(make_app(booth, token, hosts=(host,)), listener)
        tell(console, f"\n{len(box.votes)} lines in {path}; `realbogus votes {options.stamps}` says what they mean")


def _has_screen() -> bool:
    """Whether a browser would open in a window; in the terminal it would take it over."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _ballots_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("stamps", type=str, help="folder of stamps that were voted on")
    add("--votes", type=str, default=None, metavar="FILE", help=_VOTES)
    add("-o", "--out", type=str, default=None, metavar="FOLDER", help="for the report, votes.md and votes.json")
    add("--table", type=str, default=None, metavar="FILE", help="the consensus: .parquet, .csv, .ecsv or .vot")
    add("--labelled", type=str, default=None, metavar="FOLDER",
        help="the stamps with the labels that the votes gave them, a set of its own")  # fmt: skip
    add("--voted-only", action="store_true", help="leave stamps without votes out of that set")
    add("--min-confidence", type=float, default=0.5, metavar="P",
        help="a stamp of which the votes are less sure gets no label (default: %(default)s)")  # fmt: skip
    add("--zooniverse", type=str, default=None, metavar="FOLDER", help="pictures and manifest for Zooniverse")
    add("--stretch", default="asinh", help="of those pictures: asinh, percentile or zscale (default: %(default)s)")


def _ballots(options: Any, console: Console, errors: Console) -> None:
    from ..vetting.consensus import consensus
    from ..vetting.export import with_votes, write_zooniverse
    from ..vetting.names import stamp_ids
    from ..vetting.pictures import STRETCHES
    from ..vetting.report import print_report, write_report
    from ..vetting.vetters import vetter_reports
    from ..vetting.votes import read_votes

    STRETCHES.resolve(options.stretch)
    stamps, path = StampSet.load(options.stamps), _votes_path(options)
    table = None if options.table is None else check_table_path(options.table)
    out = None if options.out is None else prepare_output(Path(options.out))
    for folder in (options.labelled, options.zooniverse):
        if folder is not None:
            _check_new(Path(folder))
    ids = stamp_ids(stamps)
    votes = read_votes(path) if path.exists() or options.votes or options.zooniverse is None else []
    found = consensus(votes, ids, min_confidence=options.min_confidence)
    reports = vetter_reports(votes, found)
    print_report(found, reports, console)
    if out is not None:
        for written in write_report(found, reports, out):
            tell(console, f"written: {written}")
    if table is not None:
        write_table(found.table, table)
        tell(console, f"written: {table}")
    if options.labelled is not None:
        labelled = with_votes(stamps, found.table, voted_only=options.voted_only)
        if not len(labelled):
            raise InputError(f"{path} holds no vote on any of these stamps: there is nothing to write")
        tell(console, f"written: {labelled.save(options.labelled)}: {len(labelled)} stamps")
    if options.zooniverse is not None:
        with bars(errors) as progress:
            manifest = write_zooniverse(
                stamps, options.zooniverse, stretch=options.stretch,
                progress=lambda done, of: progress("pictures", done, of),
            )  # fmt: skip
        tell(console, f"written: {manifest}: {len(stamps)} subjects")


def _check_new(folder: Path) -> None:
    """Refuse a folder that holds something: a set that is read is not written over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already and not empty: choose another folder")


VERBS = (
    Verb("vet", "look at stamps in the browser and vote on them", _vet_arguments, _vet),
    Verb("votes", "what the vetters say together, and how good each is; exports", _ballots_arguments, _ballots),
)
