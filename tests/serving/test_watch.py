"""Frames as they come: each once, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realbogus.errors import FrameError, InputError
from realbogus.images.simulate import simulate_night
from realbogus.pipeline.settings import NightSettings
from realbogus.pipeline.workers import worker_pool
from realbogus.serving.loop import score
from realbogus.serving.scorer import Scorer
from realbogus.serving.sources import folder_reference as reference_room
from realbogus.serving.sources import watch as watch_room
from realbogus.serving.sources.folder_reference import FolderReference
from realbogus.serving.sources.watch import WatchSource, _Outcome

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
    again, _, said = watch(folder, prefix="n2/")  # another prefix is another run
    assert {name: count // 2 for name, count in again.items()} == counts
    shutil.copy(frames[0], folder / frames[1].name)  # the next night's frame under the same name
    _, _, said = watch(folder, prefix="n2/")
    assert [line.split(":")[0] for line in said] == [frames[1].name] * 2 and "another file than before" in said[0]


def test_frames_that_cannot_be_used_are_passed_over_for_the_reference(camera: Path, tmp_path: Path, watch) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    for number in range(3):
        (folder / f"0-bias{number}.fits").write_bytes(b"no frame at all")
    frames = sorted(camera.iterdir())
    shutil.copy(frames[0], folder)
    counts, failed, said = watch(folder, first=2)
    assert not counts and not failed and "4 frames wait for a reference: 2 usable ones" in said[-1]
    for frame in frames[1:]:
        shutil.copy(frame, folder)
    counts, failed, said = watch(folder, first=2)
    assert set(counts) <= {frame.name for frame in frames} and sorted(failed) == [f"0-bias{k}.fits" for k in range(3)]
    assert any("reference made of the first 2 frames" in line for line in said)


def test_where_no_reference_can_be_made_more_frames_are_waited_for(
    camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def prepare(sightings: Any, settings: Any, path: Path) -> SimpleNamespace:
        tried.append(len(sightings))
        if len(sightings) < 3:
            raise FrameError("they do not overlap")
        path.write_bytes(b"made")
        return SimpleNamespace(path=path)

    plain = SimpleNamespace(band=None)
    monkeypatch.setattr(reference_room, "prepare_reference", prepare)
    monkeypatch.setattr(reference_room, "look", lambda job: SimpleNamespace(name=job[0].name, frame=plain))
    said: list[str] = []
    source = WatchSource(camera, tmp_path / "work", first=2, settle_s=0.0, say=said.append)
    fresh = source._arrivals.look()
    assert [source._reference.find(fresh[:2]) for _ in range(3)] == [None] * 3 and tried == [2]
    assert "they do not overlap" in said[0] and len(said) == 1
    assert source._reference.find(fresh) == tmp_path / "work" / "reference.fits" and tried == [2, 3]


def test_a_reference_is_of_one_filter(camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L, R, L, R: two frames of one filter are three frames on; a look that fails for the moment is repeated."""
    bands = dict(zip(sorted(path.name for path in camera.iterdir()), ("L", "R", "L", "R"), strict=True))
    made: list[list[str]] = []
    away = {"n": 1}

    def look(job: tuple[Path, str]) -> SimpleNamespace:
        if away["n"]:
            away["n"] -= 1
            raise OSError(116, "Stale file handle")
        return SimpleNamespace(name=job[0].name, frame=SimpleNamespace(band=bands[job[0].name]))

    def prepare(sightings: Any, settings: Any, path: Path) -> SimpleNamespace:
        made.append([bands[sighting.name] for sighting in sightings])
        path.write_bytes(b"made")
        return SimpleNamespace(path=path)

    monkeypatch.setattr(reference_room, "prepare_reference", prepare)
    monkeypatch.setattr(reference_room, "look", look)
    source = WatchSource(camera, tmp_path / "work", first=2, settle_s=0.0)
    fresh = sorted(source._arrivals.look(), key=lambda file: file.name)
    assert source._reference.find(fresh[:2]) is None and not made
    assert source._reference.find(fresh[:2]) is None and not made
    assert source._reference.find(fresh[:3]) is not None and made == [["L", "L"]]


def test_frames_that_come_while_there_is_no_reference_are_no_idleness(
    camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    clock = [0.0]
    waiting = sorted(camera.iterdir())
    monkeypatch.setattr(watch_room.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(FolderReference, "find", lambda self, fresh: None)
    source = WatchSource(folder, tmp_path / "work", first=9, settle_s=0.0, idle_s=5.0)

    def wait(seconds: float) -> bool:
        clock[0] += 4.0
        if waiting:
            shutil.copy(waiting.pop(0), folder)
        return False

    monkeypatch.setattr(source._stop, "wait", wait)
    assert list(source.batches(10, 1.0)) == []
    assert not waiting  # all four came, 4 s apart, before it ended


class Pool:
    """In place of processes: what each call gives, or that the process died."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.outcomes = outcomes

    def submit(self, work: Any, *_: Any) -> Future[Any]:
        done: Future[Any] = Future()
        if work is os.getpid:
            done.set_result(None)
            return done
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
        return done

    def shutdown(self, **_: Any) -> None:
        pass


def died() -> BrokenProcessPool:
    return BrokenProcessPool("killed")


@pytest.mark.parametrize(
    ("outcomes", "reasons", "noted"),
    [
        ([_Outcome("no stars")], ["no stars"], 1),
        ([_Outcome("no room on the disk", passing=True)], ["no room on the disk"], 0),
        ([died(), _Outcome("no stars")], ["no stars"], 1),
        ([died(), died()], ["the process that worked on this frame died twice, most likely for lack of memory"], 0),
    ],
)
def test_what_is_not_the_frames_fault_is_not_noted(
    outcomes: list[Any], reasons: list[str], noted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "a.fits").write_bytes(b"no frame at all")
    monkeypatch.setattr(watch_room, "worker_pool", lambda count, deaf: Pool(outcomes))
    (tmp_path / "reference.fits").touch()
    monkeypatch.setattr("realbogus.pipeline.prepare.read_reference", lambda *_: None)
    settings = NightSettings(reference=str(tmp_path / "reference.fits"))
    source = WatchSource(folder, tmp_path / "work", settings=settings, settle_s=0.0, idle_s=0.1)
    found = []
    for batch in source.batches(8, 0.1):
        found += [entry.reason for entry in batch.failed]
        source.commit(batch.receipt)
    source.close()
    assert found == reasons and not outcomes
    notes = tmp_path / "work" / "done.jsonl"
    assert (len(notes.read_text().splitlines()) if notes.exists() else 0) == noted


def test_a_process_that_dies_while_it_ends_costs_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "a.fits").write_bytes(b"no frame at all")
    (tmp_path / "reference.fits").touch()
    monkeypatch.setattr("realbogus.pipeline.prepare.read_reference", lambda *_: None)
    settings = NightSettings(reference=str(tmp_path / "reference.fits"))
    source = WatchSource(folder, tmp_path / "work", settings=settings, settle_s=0.0)

    class Ending(Pool):
        def submit(self, work: Any, *words: Any) -> Future[Any]:
            source.stop()
            return super().submit(work, *words)

    monkeypatch.setattr(watch_room, "worker_pool", lambda count, deaf: Ending([died()]))
    assert list(source.batches(8, 0.1)) == []


def test_closing_ends_what_passes_over_signals(tmp_path: Path) -> None:
    (tmp_path / "camera").mkdir()
    source = WatchSource(tmp_path / "camera", tmp_path / "work")
    source._pool = worker_pool(1, deaf=True)
    source._child = source._pool.submit(os.getpid).result()
    os.kill(source._child, signal.SIGTERM)
    os.kill(source._child, signal.SIGINT)
    working = source._pool.submit(time.sleep, 600)
    time.sleep(0.5)
    assert not working.done()  # it was not ended by them
    source.close()
    with pytest.raises(BrokenProcessPool):
        working.result(20)


def test_signals_do_not_end_a_process_that_starts() -> None:
    known = set(active_children())
    with worker_pool(1, deaf=True) as pool:
        first = pool.submit(os.getpid)
        (child,) = set(active_children()) - known
        assert child.pid is not None
        while not first.done():
            os.kill(child.pid, signal.SIGINT)
            os.kill(child.pid, signal.SIGTERM)
            time.sleep(0.02)
        assert first.result() == child.pid
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_the_chain_tells_the_frame_from_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.fits").write_bytes(b"no frame at all")
    own = watch_room._search(tmp_path / "a.fits", NightSettings(), "none", tmp_path)
    assert "not a FITS file" in own.reason and not own.passing

    def full(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("astropy.io.fits.open", full)
    other = watch_room._search(tmp_path / "a.fits", NightSettings(), "none", tmp_path)
    assert other.reason and other.passing


@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 0), (signal.SIGTERM, 1)])
def test_a_signal_to_the_whole_group_costs_no_frame(number: int, after: int, camera: Path, tmp_path: Path) -> None:
    """Ctrl-C in a terminal and systemd's stop reach the process that works on a frame too."""
    words = [sys.executable, "-m", "realbogus", "watch", str(camera), "--to", f"sqlite:///{tmp_path / 'base.db'}"]
    words += ["--first", "4", "--telescope", "mini-sitian", "--work", str(tmp_path / "work"), "--settle", "0"]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            words, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, stdout=log, stderr=log, start_new_session=True
        )
    work, notes = tmp_path / "work" / "frames", tmp_path / "work" / "done.jsonl"
    end = time.monotonic() + 240
    while time.monotonic() < end and running.poll() is None:
        if list(work.glob("*")) if not after else notes.exists():
            break
        time.sleep(0.02)
    os.killpg(running.pid, number)
    assert running.wait(120) == 0, (tmp_path / "log").read_text()
    text = (tmp_path / "log").read_text()
    assert "not used" not in text and "Traceback" not in text
    done = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    assert len(done) < 4 and not [entry for entry in done if entry["failed"]]
    with sqlite3.connect(tmp_path / "base.db") as base:
        assert base.execute("select count(*) from failed").fetchone() == (0,)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        WatchSource(tmp_path / "absent", tmp_path / "work")
    with pytest.raises(InputError, match="first 1"):
        WatchSource(tmp_path, tmp_path / "work", first=1)
    with pytest.raises(InputError, match="idle 0 s"):
        WatchSource(tmp_path, tmp_path / "work", idle_s=0.0)


def test_a_reference_that_is_none_costs_no_frame(camera: Path, tmp_path: Path, watch) -> None:
    junk = tmp_path / "junk.fits"
    junk.write_text("no image")
    source = WatchSource(camera, tmp_path / "work", settings=NightSettings(reference=str(junk)), idle_s=1.0)
    with pytest.raises(InputError, match=r"the reference .*junk.fits cannot be used: .* not a FITS file"):
        next(source.batches(8, 0.2))
    source.close()
    assert not (tmp_path / "work" / "done.jsonl").exists()


def test_a_file_that_comes_when_all_is_read_is_no_place_for_what_never_ends(tmp_path: Path, capsys) -> None:
    from realbogus.cli import main

    assert main(["watch", str(tmp_path), "--to", str(tmp_path / "out.csv")]) == 1
    assert "this never ends" in capsys.readouterr().err.replace("\n", " ")


def test_kills_change_nothing(run_benchmark) -> None:
    assert "the same: True" in run_benchmark("watch.py", "--kills", "4", "--frames", "3", "--size", "256")
