"""The benchmark times what it says, leaves out what cannot run, and its arithmetic is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, ModelError, UnknownNameError
from realbogus.files import plain
from realbogus.runtimes.bench import bench, cold_start
from realbogus.runtimes.contenders import CONTENDERS, label_of, random_stamps
from realbogus.runtimes.export import export_onnx
from realbogus.runtimes.need import needs, ratios, workers_needed
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
        assert row["rate"] == pytest.approx(1e3 * row["batch"] / row["p50_ms"], rel=0.9)
    assert found["left_out"] == {} and 0.1 < found["cold_start_s"][0] < 60
    assert said[-1][1] == said[-1][2]
    json.dumps(plain(found), allow_nan=False)
    assert ratios(found).keys() == {"pytorch f32"}
    assert needs(found, 1e6, 100.0)[0]["workers"] >= 1


def test_what_cannot_run_is_left_out_with_its_reason(file: Path, tmp_path: Path) -> None:
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


def test_a_night_of_sitian() -> None:
    assert workers_needed(1e8, 36000, rate=2777.7, threads=2).workers == 2
    assert workers_needed(1e8, 36000, rate=2778, threads=2).workers == 1
    for wrong in ((0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)):
        with pytest.raises(ConfigError, match="above zero each"):
            workers_needed(*wrong)


def test_a_fresh_process_that_gives_no_score(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gave no score"):
        cold_start(tmp_path)
