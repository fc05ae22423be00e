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

from ballots import TOKEN, make_stamps

from asgi import Answer, request
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
        sent = {"x_realbogus_vetter": vetter} | headers
        if token is not None:
            sent["x_realbogus_token"] = token
        if post is not None:
            sent = {"content_type": "application/json", "content_length": str(len(body))} | sent
        verb = method or ("GET" if post is None else "POST")
        return asyncio.run(request(app, verb, path, query, body, port=8427, raw_path=raw_path, **sent))

    return ask
