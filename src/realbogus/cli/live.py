"""Verbs that do not end by themselves: `watch` a folder, `stream` a topic."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser
from rich.console import Console

from ..errors import ConfigError
from .learning import open_classifier
from .outlets import kafka_settings, open_sinks, want_packets
from .serve import open_scorer, report, scoring_arguments
from .verb import Verb, bars, telescope_option, tell

if TYPE_CHECKING:
    from ..serving.sinks.dead_letters import DeadLetters

__all__ = ["VERBS"]


def _watch_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=str, help="folder that the camera writes its frames to")
    scoring_arguments(parser)
    add("--work", type=str, default=None, metavar="FOLDER",
        help="for the reference and the list of frames that are done, whatever they were written to: give another sink "
        "another one; FOLDER.watch beside it where absent")  # fmt: skip
    add("--reference", type=str, default=None, help="reference image; made of the first usable frames by default")
    add("--first", type=int, default=8, metavar="N", help="usable frames to make it of (default: %(default)s)")
    add("--settle", type=float, default=2.0, metavar="SECONDS",
        help="how long a file must not have changed (default: %(default)s)")  # fmt: skip
    add("--idle", type=float, default=None, metavar="SECONDS",
        help="end when no frame came for so long; never by default")  # fmt: skip
    add("--detection-threshold", type=float, default=2.5, help="in sigma (default: %(default)s)")
    telescope_option(parser)


def _watch(options: Any, console: Console, errors: Console) -> None:
    from ..pipeline.settings import NightSettings
    from ..runtimes import default_model
    from ..serving.sources.watch import WatchSource

    _check_sinks(options)
    folder = Path(options.folder)
    classifier = open_classifier(options.model)
    settings = NightSettings(
        telescope=options.telescope, reference=options.reference, detection_threshold=options.detection_threshold
    )
    source = WatchSource(
        folder, options.work or folder.with_name(f"{folder.resolve().name}.watch"),
        classifier=default_model() if options.model == "default" else Path(options.model),
        channels=classifier.card.channels, settings=settings, first=options.first, prefix=options.id_prefix,
        settle_s=options.settle, idle_s=options.idle, say=partial(tell, console),
    )  # fmt: skip
    tell(console, f"watching {folder}; what is done stands in {source.work}; Ctrl-C ends it after the frame at hand")
    _run(lambda packets: source, classifier, options, console, errors)


def _stream_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("source", type=str, help="topic of alerts: kafka://HOST:PORT/TOPIC")
    scoring_arguments(parser)
    add("--group", type=str, default="realbogus",
        help="consumer group; its members share the topic (default: %(default)s)")  # fmt: skip
    add("--dead-letters", type=str, default=None, metavar="TOPIC",
        help="topic for messages that cannot be read, with the reason in their headers: a name, or kafka://...; "
        "SOURCE.dead by default")  # fmt: skip
    add("--schema", type=str, default=None, metavar="FILE", help="Avro schema of messages that bring none")
    add("--registry", type=str, default=None, metavar="URL", help="schema registry, for Confluent's wire format")
    add("--idle", type=float, default=None, metavar="SECONDS",
        help="end when nothing came for so long; never by default")  # fmt: skip


def _stream(options: Any, console: Console, errors: Console) -> None:
    from ..serving.kafka_address import KafkaAddress
    from ..serving.schema_registry import Schemas
    from ..serving.sinks.dead_letters import DeadLetters
    from ..serving.sources.kafka import KafkaSource

    _check_sinks(options)
    classifier = open_classifier(options.model)
    address = KafkaAddress.of(options.source)
    dead = options.dead_letters or f"{address.topic}.dead"
    letters = KafkaAddress.of(dead) if "://" in dead else KafkaAddress(address.servers, dead)
    settings = kafka_settings(options.kafka)
    schemas = Schemas(options.schema, options.registry)

    def source(packets: bool) -> KafkaSource:
        return KafkaSource(
            address, options.group, schemas=schemas, packets=packets, idle_s=options.idle, prefix=options.id_prefix,
            settings=settings, say=partial(tell, errors),
        )  # fmt: skip

    tell(console, f"reading {address.topic} as {options.group}; what cannot be read goes to {letters.topic}")
    _run(source, classifier, options, console, errors, DeadLetters(letters, settings=settings))


def _check_sinks(options: Any) -> None:
    if not options.to:
        raise ConfigError("say where the scores go: --to with a database, a topic, an address or a folder")


def _run(
    open_source: Callable[[bool], Any],
    classifier: Any,
    options: Any,
    console: Console,
    errors: Console,
    letters: DeadLetters | None = None,
) -> None:
    """Score what comes until there is no more, or somebody ends it; the source is told whether packets are wanted."""
    from ..serving.loop import score
    from ..serving.sinks.kafka import KafkaTopic

    say = partial(tell, errors)
    scorer = open_scorer(options, classifier, say)
    ended = threading.Event()
    with ExitStack() as opened, bars(errors) as progress:
        sinks = open_sinks(opened, options)
        passing = [sink.name for sink in sinks if not sink.lasting]
        if passing:
            raise ConfigError(
                f"{', '.join(passing)} is written when all is read, and this never ends: give a database, a topic, an "
                "address or a folder"
            )
        for sink in sinks:
            if letters is not None and isinstance(sink, KafkaTopic):
                sink.dead = letters.refuse
        source = open_source(want_packets(sinks))
        opened.callback(source.close)

        def stop() -> None:
            ended.set()
            source.stop()

        opened.enter_context(ended_by_signals(stop))
        tally = score(
            source, scorer, [*sinks, *([letters] if letters is not None else [])], size=options.batch,
            wait_s=options.wait, say=say, stop=ended,
            progress=lambda now: progress("candidates", now.rows, now.rows),
        )  # fmt: skip
    report(tally, sinks, scorer.policy.text, console)


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """End in order at the first SIGTERM or Ctrl-C, at once at the second."""
    before: dict[int, Any] = {}

    def back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(number: int, frame: Any) -> None:
        stop()
        back()

    for each in (signal.SIGTERM, signal.SIGINT):
        before[each] = signal.signal(each, end)
    try:
        yield
    finally:
        back()


VERBS = (
    Verb("watch", "score frames as the camera writes them", _watch_arguments, _watch),
    Verb("stream", "score the alerts of a Kafka topic, to topics and databases", _stream_arguments, _stream),
)
