"""The verb `serve`: a service that answers stamps with scores over HTTP."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from ..doors import LOOPBACK, bind, check_token, is_loopback, keep_token
from ..errors import ConfigError
from .serve import longitude_option
from .verb import Verb, tell

__all__ = ["VERBS"]

_PORT = 8428
#: Where a token may come from, for containers: words of a command line are seen by every process.
_TOKEN = "REALBOGUS_TOKEN"


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=str, nargs="?", default="default",
        help="an .onnx file, a bundle, a model folder, or `default`")  # fmt: skip
    add("--policy", type=str, default=None, metavar="POLICY",
        help="which scores are real: a number, precision=recall, at-most=N, purity=P, completeness=C, or a .json file "
        "that holds one and may change (default: the model's threshold)")  # fmt: skip
    longitude_option(parser)
    add("--port", type=int, default=_PORT, help="0 for any that is free (default: %(default)s)")
    add("--host", type=str, default=None, metavar="ADDRESS",
        help="listen there, for other computers to ask, with a token; this computer alone where absent")  # fmt: skip
    add(
        "--allow-host",
        type=str,
        nargs="*",
        action="extend",
        default=[],
        metavar="NAME",
        help="further names of this computer",
    )
    add("--token", type=str, default=None, metavar="WORD",
        help=f"16 signs or more that every request must carry (or in {_TOKEN})")  # fmt: skip
    add("--token-file", type=str, default=None, metavar="FILE",
        help="where the token is kept; made by chance where absent (default with --host: realbogus.token)")  # fmt: skip
    add("--threads", type=int, default=1, metavar="N",
        help="of the model, more for a large one; 0: its runtime chooses (default: %(default)s)")  # fmt: skip
    add("--batch", type=int, default=32, metavar="N", help="stamps that are scored at once (default: %(default)s)")
    add("--wait-ms", type=float, default=2.0, metavar="MS",
        help="what a stamp waits for others to be scored with, at most (default: %(default)s)")  # fmt: skip
    add("--max-body", type=float, default=32.0, metavar="MIB", help="of one request (default: %(default)s)")
    add("--max-stamps", type=int, default=2000, metavar="N", help="of one request (default: %(default)s)")
    add("--body-timeout", type=float, default=30.0, metavar="S",
        help="in which a body must be here (default: %(default)s)")  # fmt: skip
    add("--connections", type=int, default=500, metavar="N", help="open at once (default: %(default)s)")


def _serve(options: Any, console: Console, errors: Console) -> None:
    try:
        from ..serving.http.app import make_app
        from ..serving.http.counters import Counters
        from ..serving.http.server import serve
    except ImportError as error:
        raise ConfigError(
            f'the service needs FastAPI, uvicorn and prometheus-client ({error}): pip install "realbogus[serve]"'
        ) from error
    from ..serving.http.limits import Limits
    from ..serving.http.service import Service
    from .learning import open_classifier

    limits = _limits(options, Limits)
    host = options.host or LOOPBACK
    token = _token(options, host)
    classifier = open_classifier(options.model, threads=options.threads)
    counters = Counters(classifier.card)
    service = Service(
        classifier, options.policy, limits, counters.scored, longitude_deg=options.longitude, say=partial(tell, errors)
    )
    with bind(host, options.port) as listener, service:
        app = make_app(service, token=token, hosts=(host, *options.allow_host), counters=counters)
        shown, port = f"[{host}]" if ":" in host else host, listener.getsockname()[1]
        tell(console, f"{classifier.card.name} {classifier.card.version}, policy {service.scorer.policy.text}")
        tell(console, f"listening on http://{shown}:{port}/score" + _how(options, token))
        if not is_loopback(host):
            tell(errors, f"warning: {host} can be reached from other computers, without encryption: who listens has "
                 "the token; put a proxy with TLS before it where the network is not yours")  # fmt: skip
        tell(console, "Ctrl-C ends it")
        sys.stdout.flush()  # a program that reads our output waits for the address
        with suppress(KeyboardInterrupt):  # the way to end it
            serve(app, listener, limits)


def _limits(options: Any, make: Any) -> Any:
    body = int(options.max_body * 2**20)
    return make(
        body_bytes=body, stamps=options.max_stamps, body_s=options.body_timeout, connections=options.connections,
        batch=options.batch, wait_ms=options.wait_ms, queue_rows=max(4000, 2 * options.max_stamps),
        held_bytes=max(256 * 2**20, 4 * body),
    )  # fmt: skip


def _token_path(options: Any) -> Path:
    return Path(options.token_file or "realbogus.token")


def _token(options: Any, host: str) -> str | None:
    """Return the token, None where nobody else can come in and none was asked for."""
    given = options.token or os.environ.get(_TOKEN) or None
    if options.token_file is None and (given is not None or is_loopback(host)):
        return given and check_token(given)  # whoever gives one has it, and it need not be kept
    return keep_token(_token_path(options), given, option="--token-file")


def _how(options: Any, token: str | None) -> str:
    if token is None:
        return ""
    given = options.token_file is None and (options.token or os.environ.get(_TOKEN))
    where = "given" if given else f"in {_token_path(options)}"
    return f" with the token {where} (Authorization: Bearer TOKEN)"


VERBS = (Verb("serve", "answer stamps with scores over HTTP", _arguments, _serve),)
