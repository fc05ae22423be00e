"""Verbs that score what comes: `score`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser
from rich.console import Console

from ..errors import ConfigError
from .images import check_table_path
from .learning import open_classifier
from .outlets import open_sinks, want_packets
from .verb import Verb, bars, telescope_option, tell

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..serving.loop import Tally
    from ..serving.scorer import Scorer
    from ..serving.sinks import Sink

__all__ = ["VERBS", "longitude_option", "open_scorer", "report", "scoring_arguments"]


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("source", type=str, help="folder of stamps, alert packets (files, folders, archives) or a folder of frames")
    add("-o", "--out", type=str, default=None, metavar="TABLE",
        help="a table: .parquet, .csv, .ecsv or .vot; the same as --to TABLE")  # fmt: skip
    scoring_arguments(parser)
    add("--jobs", type=int, default=None, help="processes for frames; as many as there are processors by default")
    add("--engine", type=str, default="local", metavar="ENGINE",
        help="who scores: local, or ray: workers of the cluster at RAY_ADDRESS, or of this machine "
        "(default: %(default)s)")  # fmt: skip
    add("--workers", type=int, default=None, metavar="N",
        help="processes of the engine ray; one for each processor of the cluster by default")  # fmt: skip
    telescope_option(parser)


def scoring_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of everything that scores into sinks."""
    add = parser.add_argument
    add("--to", type=str, nargs="+", action="extend", default=[], metavar="SINK",
        help="where scored candidates go, each as they come: table files, sqlite:///x.db, postgresql://..., "
        "kafka://HOST:PORT/TOPIC, https://... (the real ones), or a folder with --format")  # fmt: skip
    add("--format", type=str, default=None, help="what to write into a folder: avro")
    add(
        "--kafka",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="settings of librdkafka, of all clients",
    )
    add("--model", type=str, default="default", help="an .onnx file, a bundle, a model folder, or `default`")
    add("--policy", type=str, default="model", metavar="POLICY",
        help="which scores are real: model (its own threshold), a number, precision=recall, at-most=N (a night), "
        "purity=P, completeness=C, or a .json file that may change while it runs (default: model)")  # fmt: skip
    longitude_option(parser)
    add("--batch", type=int, default=512, metavar="N", help="candidates scored at a time (default: %(default)s)")
    add("--id-prefix", type=str, default="", metavar="TEXT",
        help="put before every id, where the frames of two nights have the same names")  # fmt: skip
    add("--wait", type=float, default=1.0, metavar="SECONDS",
        help="a batch goes so long after its first candidate came, full or not (default: %(default)s)")  # fmt: skip


def longitude_option(parser: ArgumentParser) -> None:
    """Add `--longitude`."""
    parser.add_argument(
        "--longitude", type=float, default=0.0, metavar="DEG",
        help="of the telescope, east positive: for at-most=N, nights change at its noon (default: 0, noon UT)",
    )  # fmt: skip


def _score(options: Any, console: Console, errors: Console) -> None:
    if options.out is not None:
        options.to = [str(check_table_path(options.out)), *options.to]
    if not options.to:
        raise ConfigError("say where the scores go: -o TABLE, or --to with one or more sinks")
    _to_sinks(options, console, errors)


def open_scorer(options: Any, classifier: Classifier, say: Callable[[str], None]) -> Scorer:
    """Return the scorer that the options of `scoring_arguments` mean."""
    from ..serving.policy import policy_of
    from ..serving.scorer import Scorer

    return Scorer(classifier, policy_of(options.policy, classifier.card, say=say), longitude_deg=options.longitude)


def _to_sinks(options: Any, console: Console, errors: Console) -> None:
    from ..pipeline.settings import NightSettings
    from ..runtimes import default_model
    from ..serving.engines import ENGINES
    from ..serving.loop import score
    from ..serving.sources import open_source
    from ..serving.worker import open_model

    engine = ENGINES.resolve(options.engine)
    classifier = open_classifier(options.model)
    say = partial(tell, errors)
    scorer = open_scorer(options, classifier, say)
    channels = classifier.card.channels
    with ExitStack() as opened, bars(errors) as progress:
        sinks = open_sinks(opened, options)
        packets = want_packets(sinks)
        source = open_source(
            options.source, channels=channels, prefix=options.id_prefix, progress=progress, jobs=options.jobs,
            packets=packets,
            classifier=default_model() if options.model == "default" else Path(options.model),
            settings=NightSettings(telescope=options.telescope).for_channels(channels),
        )  # fmt: skip
        opened.callback(source.close)
        model = options.model if options.model == "default" else str(Path(options.model).absolute())
        scored, judge = opened.enter_context(
            engine(source, scorer, partial(open_model, model), workers=options.workers, keep=packets, say=say)
        )
        tally = score(
            scored, judge, sinks, size=options.batch, wait_s=options.wait, say=say,
            progress=lambda now: progress("score", now.rows, max(source.count or 0, now.rows)),
        )  # fmt: skip
    report(tally, sinks, scorer.policy.text, console)


def report(tally: Tally, sinks: list[Sink], policy: str, console: Console) -> None:
    """Say what went where, and how quickly."""
    for sink in sinks:
        tell(console, f"written: {sink.name}")
        repeated = getattr(sink, "repeated", 0)
        if repeated:
            tell(console, f"  {repeated} came again under an id that it had; the first of each stands")
    rate = tally.rows / max(tally.seconds, sys.float_info.min)
    tell(
        console,
        f"{tally.read} read: {tally.rows} candidates, {tally.scored} of them scored, {tally.real} real ({policy}); "
        f"{tally.failed} gave no candidate, with reasons; {tally.seconds:.1f} s, {rate:.0f} a second",
    )


VERBS = (Verb("score", "score stamps, alerts or frames, and write them where they are wanted", _arguments, _score),)
