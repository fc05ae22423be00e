"""Tests that need an outside program skip without it, and fail where it must be there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def test_a_program_is_found_by_any_of_its_names(monkeypatch, require_program):
    python = Path(sys.executable)
    monkeypatch.setenv("PATH", str(python.parent))
    assert Path(require_program("no-such-program", python.name)) == python


@pytest.mark.parametrize("names", ["", "other", "no-such-programme, other"])
def test_an_absent_program_skips(monkeypatch, require_program, names):
    monkeypatch.setenv("REALBOGUS_REQUIRE_PROGRAMS", names)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is absent"):
        require_program("no-such-program")


@pytest.mark.parametrize("names", ["no-such-program", "other, no-such-program", "no-such-program other"])
def test_a_program_that_must_be_there_fails(monkeypatch, require_program, names):
    monkeypatch.setenv("REALBOGUS_REQUIRE_PROGRAMS", names)
    with pytest.raises(pytest.fail.Exception, match="must be there"):
        require_program("no-such-program", "nor-this")
