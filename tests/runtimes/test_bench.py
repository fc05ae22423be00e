"""The benchmark times what it says, leaves out what cannot run, and its arithmetic is right."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, ModelError, UnknownNameError
from realbogus.files import plain
from realbogus.runtimes import bench as room
from realbogus.runtimes.bench import bench, cold_start
from realbogus.runtimes.contenders import CONTENDERS, label_of
from realbogus.runtimes.export import export_onnx
from realbogus.runtimes.need import needs, ratios, workers_needed
from realbogus.runtimes.onnx import CARD_KEY, OnnxClassifier
from realbogus.runtimes.rivals import _serve
from realbogus.runtimes.timed import random_stamps
from realbogus.stamps import StampSet


@pytest.fixture(scope="module")
def file(pair: Ensemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(pair.members[0], tmp_path_factory.mktemp("bench") / "toy.onnx")


def test_it_times_each_in_turn(file: Path) -> None:
    said: list[tuple[str, int, int]] = []
    found = bench(
        file, threads=[1], batches=[1, 8], seconds=0.02, rounds=2, starts=1, say=lambda *step: said.append(step)
    )
    rows = {(row["runtime"], row["batch"]): row for row in found["speeds"]}
    assert set(rows) == {(name, size) for name in ("onnxruntime f32", "pytorch f32") for size in (1, 8)}
    for row in rows.values():
        assert row["rate"] > 10 and 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert 50 < row["memory_mb"] < 5000
    assert found["left_out"] == {} and 0.1 < found["cold_start_s"][0] < 60
    assert said[-1][1] == said[-1][2]
    json.dumps(plain(found), allow_nan=False)
    assert ratios(found).keys() == {"pytorch f32"}
    assert needs(found, 1e6, 100.0)[0]["workers"] >= 1


def test_what_cannot_run_is_left_out_with_its_reason(file: Path, tmp_path: Path) -> None:
    graph = onnx.load(file)
    card = OnnxClassifier(file).card
    onnx.helper.set_model_props(graph, {CARD_KEY: replace(card, architecture="of the future").to_json()})
    onnx.save(graph, tmp_path / "new.onnx")
    found = bench(tmp_path / "new.onnx", threads=[1], batches=[4], seconds=0.01, rounds=1, starts=0)
    assert {row["contender"] for row in found["speeds"]} == {"itself"} and list(found["left_out"]) == ["pytorch"]
    assert "unknown architecture 'of the future'" in found["left_out"]["pytorch"]


def played(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, int], Any]) -> None:
    """Let contenders answer what is written for them."""

    class Line:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            pass

    @contextmanager
    def rivals(names: Sequence[str], *_: Any) -> Iterator[dict[str, Line]]:
        yield {name: Line(name) for name in names}

    monkeypatch.setattr(room, "rivals", rivals)
    monkeypatch.setattr(room, "ask", lambda line, what: answer(line.name, what[0]))


def test_the_numbers_are_those_of_the_calls(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = iter([100.0, 200.0, 300.0, 300.0])
    calls = iter([[0.2, 0.2], [0.5], [0.1, 0.1], [0.6]])
    played(monkeypatch, lambda name, size: ("onnxruntime f32", next(calls), next(memory)))
    options = {"threads": [1], "seconds": 1.0, "rounds": 2, "starts": 0, "contenders": ["itself"]}
    one, eight = bench(file, batches=[1, 8], **options)["speeds"]
    assert one["rate"] == pytest.approx(1 / 0.1) and eight["rate"] == pytest.approx(8 / 0.5)  # the best round
    assert one["p50_ms"] == pytest.approx(150) and eight["p50_ms"] == pytest.approx(550)  # of all rounds
    assert (one["memory_mb"], eight["memory_mb"]) == (100.0, 200.0)  # the larger batch has no part in the smaller


def test_one_that_ends_on_the_way_is_left_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(name: str, size: int) -> Any:
        if name == "pytorch" and size == 8:
            raise ModelError("its process ended (out of memory?)")
        return f"{name} f32", [0.1], 100.0

    played(monkeypatch, answer)
    options = {"threads": [1], "batches": [1, 8], "seconds": 1.0, "rounds": 2, "starts": 0}
    found = bench(file, **options)
    assert {row["contender"] for row in found["speeds"]} == {"itself"} and len(found["speeds"]) == 2
    assert found["left_out"] == {"pytorch": "with 1 threads and batches of 8: its process ended (out of memory?)"}
    assert ratios(found) == {}
    played(monkeypatch, lambda name, size: answer("pytorch", size))
    with pytest.raises(ModelError, match="cannot be timed: with 1 threads"):
        bench(file, **options, contenders=["itself"])


def test_what_ends_a_contender_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    class Line:
        def send(self, what: Any) -> None:
            said.append(what)

    def broken(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    monkeypatch.setitem(CONTENDERS._entries, "itself", broken)
    _serve(Line(), "itself", file, 1, 4, "cpu")  # type: ignore[arg-type]
    assert said == ["RuntimeError: CUDA out of memory"]


def test_what_bench_refuses(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model"):
        bench(tmp_path / "none.onnx")
    with pytest.raises(UnknownNameError, match="known are itself, onnxruntime, pytorch"):
        bench(file, contenders=["magic"])
    for wrong in ({"threads": [0]}, {"batches": [0]}, {"rounds": 0}, {"seconds": 0.0}, {"batches": []}):
        with pytest.raises(ConfigError, match="above zero"):
            bench(file, **wrong)


def test_the_contenders_score_alike(file: Path, pair: Ensemble, toy_stamps: StampSet, tmp_path: Path) -> None:
    folder = pair.save(tmp_path / "pair")
    one = CONTENDERS.resolve("onnxruntime")(folder, 1)
    assert label_of(one) == "onnxruntime f32" and label_of(CONTENDERS.resolve("itself")(folder, 1)) == "pytorch f32"
    assert label_of(CONTENDERS.resolve("pytorch")(file, 1)) == "pytorch f32"
    pixels, noise, fwhm = random_stamps(pair.card, 5)
    before, after = (model.predict(pixels, noise=noise, fwhm=fwhm) for model in (pair, one))
    assert after == pytest.approx(before, abs=1e-5)


def test_the_benchmark_never_calibrates_on_what_it_certifies_on(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    place = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(place)
    words = ["runtimes.py", "--precision", "int8", "--trio", "t", "--held-out", "h"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(place / "runtimes.py"), run_name="__main__")
    assert "int8 with --held-out or --sky needs --stamps" in capsys.readouterr().err


def test_a_night_of_sitian() -> None:
    assert workers_needed(1e8, 36000, rate=2777.7, threads=2).workers == 2
    assert workers_needed(1e8, 36000, rate=2778, threads=2).workers == 1
    for wrong in ((0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), (float("inf"), 1, 1, 1)):
        with pytest.raises(ConfigError, match="above zero each"):
            workers_needed(*wrong)


def test_what_a_library_says_on_the_way_is_no_score(file: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('a library says hello')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert 0 < cold_start(file) < 60


def test_a_fresh_process_that_gives_no_score(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gave no score"):
        cold_start(tmp_path)
