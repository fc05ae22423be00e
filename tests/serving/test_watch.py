"""Frames as they come: each once, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from realbogus.errors import InputError
from realbogus.images.simulate import simulate_night
from realbogus.pipeline.settings import NightSettings
from realbogus.serving.loop import score
from realbogus.serving.scorer import Scorer
from realbogus.serving.sources.watch import WatchSource

pytest.importorskip("sqlalchemy", reason='a database is written: pip install "realbogus[database]"')

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four small frames."""
    night = simulate_night(
        tmp_path_factory.mktemp("night") / "n", frames=4, size=(256, 256), seed=3, changes_per_mpix=200.0
    )
    return night / "frames"


@pytest.fixture
def watch(tmp_path: Path):
    """Watch a folder until nothing comes, into a database; return its rows by frame, and what failed."""
    from realbogus.runtimes import default_model, load_classifier
    from realbogus.serving.sinks import open_sink

    def run(folder: Path, **options: object) -> tuple[dict[str, int], dict[str, str], list[str]]:
        said: list[str] = []
        settings = NightSettings(telescope="mini-sitian", detection_threshold=1.5, seed=1)
        source = WatchSource(
            folder, tmp_path / "work", settings=settings, settle_s=0.0, idle_s=1.0, channels=("difference",),
            say=said.append, **{"first": 4} | options,
        )  # fmt: skip
        sink = open_sink(f"sqlite:///{tmp_path / 'base.db'}")
        score(source, Scorer(load_classifier(default_model())), [sink], wait_s=0.2)
        with sqlite3.connect(tmp_path / "base.db") as base:
            counts = dict(base.execute("select frame, count(*) from candidates group by frame").fetchall())
            failed = dict(base.execute("select id, reason from failed").fetchall())
        return counts, failed, said

    return run


def test_frames_are_searched_as_they_come_and_once(camera: Path, tmp_path: Path, watch) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    frames = sorted(camera.iterdir())
    for frame in frames[:3]:
        shutil.copy(frame, folder)
    counts, _, said = watch(folder)
    assert counts == {} and "3 frames wait for a reference" in said[-1]
    shutil.copy(frames[3], folder)
    (folder / "odd.fits").write_bytes(b"no frame at all")
    counts, failed, said = watch(folder)
    assert set(counts) == {frame.name for frame in frames} and sum(counts.values()) >= 8
    assert list(failed) == ["odd.fits"] and failed["odd.fits"]
    assert any("reference made of the first" in line for line in said)
    done = [json.loads(line)["frame"] for line in (tmp_path / "work" / "done.jsonl").read_text().splitlines()]
    assert sorted(done) == sorted([*counts, "odd.fits"])
    assert not list((tmp_path / "work" / "frames").iterdir())
    with (tmp_path / "work" / "done.jsonl").open("a") as notes:
        notes.write('{"frame": "cut o')  # a kill in the middle of a line
    again, _, said = watch(folder)
    assert again == counts and said == []


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        WatchSource(tmp_path / "absent", tmp_path / "work")
    with pytest.raises(InputError, match="first 1"):
        WatchSource(tmp_path, tmp_path / "work", first=1)
    with pytest.raises(InputError, match="idle 0 s"):
        WatchSource(tmp_path, tmp_path / "work", idle_s=0.0)


def test_a_file_that_comes_when_all_is_read_is_no_place_for_what_never_ends(tmp_path: Path, capsys) -> None:
    from realbogus.cli import main

    assert main(["watch", str(tmp_path), "--to", str(tmp_path / "out.csv")]) == 1
    assert "this never ends" in capsys.readouterr().err.replace("\n", " ")


def test_kills_change_nothing() -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "watch.py"), "--kills", "4", "--frames", "3", "--size", "256"]
    run = subprocess.run(
        words,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert "the same: True" in run.stdout
