"""Engines: the same results from one process and from several, and what fails is one lost job."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from chores import brief, square, trouble

from realbogus.errors import ConfigError, UnknownNameError
from realbogus.study.cluster import ray_tasks
from realbogus.study.engine import ENGINES, Failure, local


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_with_words_of_progress(processes: int) -> None:
    heard: list[tuple[int, int, int]] = []
    found = local(square, [3, 1, 2], processes, lambda number, done, of: heard.append((number, done, of)))
    assert found == [9, 1, 4]
    for number in range(3):
        assert [word[1:] for word in heard if word[0] == number] == [(1, 2), (0, 0)]


def test_what_fails_is_one_lost_job() -> None:
    found = local(trouble, ["a", "refuse", "die", "stumble", "b"], 2, lambda *_: None)
    assert found[0] == "a" and found[4] == "b"
    assert found[1] == Failure("no such stamp")
    assert "its process ended with status 3 before its time" in found[2].reason
    assert found[3] == Failure("unforeseen KeyError: 'lost'")


@pytest.mark.parametrize("processes", [1, 2])
def test_the_end_of_a_file_is_no_closed_pipe(processes: int) -> None:
    assert local(trouble, ["end", "b"], processes, lambda *_: None) == [
        Failure("unforeseen EOFError: no data left in file"), "b",
    ]  # fmt: skip


def test_nobody_listens() -> None:
    def deaf(*_: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        local(square, [1], 1, deaf)


def test_a_process_that_dies_between_two_jobs_loses_none() -> None:
    def slow(number: int, done: int, of: int) -> None:
        time.sleep(0.6)  # meanwhile it dies

    assert local(brief, ["last", "a", "b", "c"], 2, slow) == ["last", "a", "b", "c"]


def test_an_unknown_engine_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="known are local, ray"):
        ENGINES.resolve("cloud")


def test_without_ray_there_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"realbogus\[ray\]"):
        ray_tasks(square, [1], 1, lambda *_: None)


@pytest.mark.slow
def test_ray_does_the_same() -> None:
    # its own process: Ray leaves threads and sockets behind, and warnings that are not ours
    if find_spec("ray") is None:
        pytest.skip('Ray is absent: pip install "realbogus[ray]" to run this test')
    code = """
from chores import square, trouble
from realbogus.study.cluster import ray_tasks
heard = []
print(ray_tasks(square, [3, 1, 2], 2, lambda *word: heard.append(word)))
print(sorted(word[0] for word in heard if word[2] == 0))
"""
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | {"PYTHONPATH": path}
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rb-") as short:  # a socket's path has 107 letters at most
        (Path(short) / "ray").mkdir()
        (Path(short) / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")  # of somebody else, on this machine
        outcome = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False,
            env=environment | {"RAY_TMPDIR": short},
        )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.splitlines()[-2:] == ["[9, 1, 4]", "[0, 1, 2]"]
