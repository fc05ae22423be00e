"""What the tests of training share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from realbogus.architectures import ARCHITECTURES

sys.path.insert(0, str(Path(__file__).parent))  # trained.py; importlib mode puts no test folder on the path

import trained


@pytest.fixture
def toy_network(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a network without normalisation and dropout, in the table for one test."""
    monkeypatch.setitem(ARCHITECTURES._entries, trained.NAME, trained.network)
    return trained.NAME
