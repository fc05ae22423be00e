"""Booths, and a voice that speaks to the application without a network."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # ballots.py; importlib mode puts no test folder on the path

from ballots import TOKEN, Answer, make_stamps

from realbogus.stamps import StampSet
from realbogus.vetting.booth import Booth
from realbogus.vetting.settings import BoothSettings
from realbogus.vetting.votes import VoteFile


@pytest.fixture
def booth(tmp_path):
    """Make booths on sets of so many stamps, all on one file of votes."""
    open_files: list[VoteFile] = []

    def make(count: int = 30, path: Path | None = None, stamps: StampSet | None = None, **settings: Any) -> Booth:
        box = VoteFile(path or tmp_path / "votes.jsonl")
        open_files.append(box)
        return Booth(make_stamps(count) if stamps is None else stamps, box, BoothSettings(**settings), name="a set")

    yield make
    for box in open_files:
        box.close()


@pytest.fixture
def speak() -> Callable[..., Answer]:
    """Send one request to an application, as a server would."""

    def ask(
        app: Any, path: str, query: str = "", *, post: Any = None, token: str | None = TOKEN, vetter: str = "ann",
        method: str | None = None, raw_path: bytes | None = None, **headers: str,
    ) -> Answer:  # fmt: skip
        body = b"" if post is None else json.dumps(post).encode()
        sent = {"host": "127.0.0.1:8427", "x-realbogus-vetter": vetter} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        if token is not None:
            sent["x-realbogus-token"] = token
        if post is not None:
            sent = {"content-type": "application/json", "content-length": str(len(body))} | sent
        verb = method or ("GET" if post is None else "POST")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "method": verb, "path": path, "raw_path": raw_path or path.encode(),
            "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8427),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value],
        }  # fmt: skip
        answer, messages = Answer(), [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        asyncio.run(app(scope, receive, send))
        return answer

    return ask
