"""The webhook: what is sent, what is waited for, what is refused."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from realbogus.classifier import Card
from realbogus.errors import InputError, OutputError
from realbogus.serving.batch import Batch, Scored
from realbogus.serving.patience import UnavailableError
from realbogus.serving.scorer import Scorer
from realbogus.serving.sinks import open_sink
from realbogus.serving.sinks.webhook import Webhook


class Mean:
    card = Card(name="mean", architecture="none", threshold=0.5)

    def predict(self, pixels, *, noise=None, fwhm=None):
        return np.asarray(pixels).mean(axis=(1, 2, 3))


def scored(*values: float) -> Scored:
    count = len(values)
    rows = Table({"id": [f"c{k}" for k in range(count)], "noise": np.ones(count), "fwhm": np.full(count, np.pi)})
    pixels = np.ones((count, 1, 2, 2), np.float32) * np.array(values, np.float32)[:, None, None, None]
    return Scorer(Mean())(Batch(rows, pixels))


class Receiver:
    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], Any]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((dict(self.headers), json.loads(body)))
                code = outer.answers.pop(0) if outer.answers else 200
                self.send_response(code)
                if code in (301, 302, 307):
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/secret-path"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_the_real_ones_are_posted_once_a_batch(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALBOGUS_WEBHOOK_TOKEN", "t0ken")
    sink = open_sink(receiver.url)
    sink.write(scored(0.9, 0.1, np.nan, 0.7))
    sink.write(scored(0.1, 0.2))  # nothing real: nothing sent
    sink.write(scored(0.9, 0.1, np.nan, 0.7))
    assert [[row["id"] for row in said["candidates"]] for _, said in receiver.posts] == [["c0", "c3"]] * 2
    (one, said), (two, _) = receiver.posts
    assert said["count"] == 2 and said["candidates"][0]["probability"] is None
    assert one["Idempotency-Key"] == two["Idempotency-Key"]
    assert one["Authorization"] == "Bearer t0ken" and one["Content-Type"] == "application/json"
    assert "secret-path" not in sink.name


@pytest.mark.parametrize("code", [425, 429, 500, 501, 503, 507, 522])
def test_what_may_go_well_later_is_waited_for(receiver: Receiver, code: int) -> None:
    receiver.answers = [code]
    sink = open_sink(receiver.url)
    with pytest.raises(UnavailableError, match=f"answers {code}"):
        sink.write(scored(0.9))
    sink.write(scored(0.9))


@pytest.mark.parametrize("code", [301, 307, 400, 401, 404])
def test_what_will_not_is_an_error_and_no_redirect_is_followed(receiver: Receiver, code: int) -> None:
    receiver.answers = [code]
    with pytest.raises(OutputError, match=f"answers {code}") as error:
        open_sink(receiver.url).write(scored(0.9))
    assert not isinstance(error.value, UnavailableError) and "secret-path" not in str(error.value)
    assert len(receiver.posts) == 1


def test_no_answer_and_a_slow_one_are_waited_for() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()  # takes the connection and never says a word
        with pytest.raises(UnavailableError, match="does not answer"):
            Webhook(f"http://127.0.0.1:{mute.getsockname()[1]}/", timeout_s=0.2).write(scored(0.9))
        port = mute.getsockname()[1]
    with pytest.raises(UnavailableError, match="does not answer"):
        Webhook(f"http://127.0.0.1:{port}/").write(scored(0.9))


@pytest.mark.parametrize(
    "url",
    [
        "http:///x", "https://", "http://user:word@host/x", "http://host:port/word", "http://host:99999/word",
        "http://host/a word", "http://host/a\nword", "http://[::1/word", "http://host/wörd",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be(url: str) -> None:
    with pytest.raises(InputError, match="webhook") as error:
        open_sink(url)
    assert "word" not in str(error.value).replace("password", "")


def test_other_schemes_are_refused() -> None:
    with pytest.raises(InputError):
        Webhook("file:///etc/passwd")
