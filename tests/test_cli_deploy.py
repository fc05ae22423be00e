"""The verbs that bring a model into use, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from realbogus.cli import deploy, main
from realbogus.errors import ParityError
from realbogus.runtimes import load_classifier
from realbogus.runtimes.certificate import Certificate
from realbogus.runtimes.tolerance import Tolerance
from realbogus.stamps import StampSet

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

RECIPE = Path(__file__).parents[1] / "configs" / "quick.toml"
TINY = ["model.options={widths = [4, 8, 8, 8]}", "training.threads=1", "training.tensorboard=false"]
TINY += ["training.batch_size=64", "training.variants=1", "training.epochs=4", "split.by=stamp"]


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture
def fails(capsys):
    def check(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 1
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return check


@pytest.fixture(scope="module")
def home(tmp_path_factory, toy_stamps: StampSet) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    catalogue = toy_stamps.catalogue.copy()
    catalogue["label"][:20] = -2
    StampSet(toy_stamps.pixels, catalogue).save(folder / "stamps")
    run("train", folder / "stamps", "-o", folder / "model", "--recipe", RECIPE, "--set", *TINY,
        "model.views=1", "split.allow_leakage=true")  # fmt: skip
    return folder


def test_from_a_model_to_scores_of_its_bundle(home, tmp_path, capsys):
    stamps = home / "stamps"
    run("export", home / "model", "-o", tmp_path / "b", "--runtime", "openvino", "--held-out", stamps)
    said = capsys.readouterr().out
    assert "verdicts that flip" in said and "220 held-out stamps" in said and f"written: {tmp_path / 'b'}" in said
    for source, name in ((home / "model", "a.csv"), (tmp_path / "b", "b.csv")):
        run("score", stamps, "-o", tmp_path / name, "--model", source)
    one, other = (Table.read(tmp_path / name)["score"] for name in ("a.csv", "b.csv"))
    np.testing.assert_allclose(other, one, atol=1e-5)
    run("bench", tmp_path / "b", "--threads", 1, "--batches", 4, "--seconds-each", 0.02, "--rounds", 1, "--starts", 1,
        "--alone", "-o", tmp_path / "bench.json", "--alerts", 1e6, "--seconds", 100)  # fmt: skip
    said = capsys.readouterr().out
    assert "1e+06 alerts in 100 s:" in said and "from a fresh process to the first score" in said
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["speeds"][0]["runtime"] == "openvino f32" and found["workers"][0]["workers"] >= 1


def test_a_bundle_behind_a_gate(home, tmp_path, capsys, fails, monkeypatch):
    monkeypatch.setattr("realbogus.runtimes.certificate.Certificate.complaints", lambda self: [])
    stamps, model = home / "stamps", home / "model"
    for name, first in (("fresh", 0), ("unseen", 1)):
        StampSet.load(stamps).select(np.arange(first, 240, 2)).save(tmp_path / name)
    words = ["export", model, "-o", tmp_path / "b", "--precision", "f32", "--held-out", tmp_path / "unseen"]
    words += ["--gate", model]
    assert "are among those held out" in fails(*words, "--gate-stamps", tmp_path / "unseen")
    run(*words, "--gate-stamps", tmp_path / "fresh")
    said = " ".join(capsys.readouterr().out.split())
    assert "keeps its score" in said and "of the held-out stamps go on to" in said and "verdicts that flip" in said
    assert load_classifier(tmp_path / "b").gate is not None
    run("score", stamps, "-o", tmp_path / "scores.csv", "--model", tmp_path / "b")
    assert len(Table.read(tmp_path / "scores.csv")) == 240
    run("bench", tmp_path / "b", "--threads", 1, "--batches", 4, "--seconds-each", 0.02, "--rounds", 1, "--starts", 1,
        "--alone", "--stamps", stamps)  # fmt: skip
    said = " ".join(capsys.readouterr().out.split())
    assert "openvino f32 gated" in said and "times as quick as openvino f32, best against best" in said
    assert f"of the stamps of {stamps} go on to the networks behind it" in said
    asked: list[str] = []
    monkeypatch.setattr(deploy, "_simulated", lambda what, _: asked.append(what) or StampSet.load(tmp_path / "fresh"))
    run(*(word if word != tmp_path / "b" else tmp_path / "c" for word in words))
    assert asked == ["gate_stamps"]
    assert "--gate-stamps are for a gate" in fails(
        "export", model, "-o", tmp_path / "d", "--precision", "f32", "--gate-stamps", stamps
    )
    assert "belong to a bundle" in fails("export", model, "-o", tmp_path / "d.onnx", "--gate", model)
    assert "there is no model at none" in fails(*words[:-1], "none", "--gate-stamps", stamps)


def test_a_parity_error_leaves_nothing(home, tmp_path, fails, monkeypatch):
    def refuse(*_: object) -> None:
        raise ParityError("toy in f32 does not reproduce its model")

    monkeypatch.setattr(Certificate, "check", refuse)
    words = ["export", home / "model", "-o", tmp_path / "b", "--precision", "f32", "--held-out", home / "stamps"]
    assert "does not reproduce its model" in fails(*words)
    assert not (tmp_path / "b").exists()


def test_what_is_given_is_opened_before_anything_is_simulated(home, tmp_path, fails, monkeypatch):
    pytest.importorskip("nncf", reason="the extra `quantise` is not installed")
    monkeypatch.setattr(deploy, "_simulated", lambda *_: pytest.fail("stamps were simulated"))
    words = ["export", home / "model", "-o", tmp_path / "b", "--precision", "int8", "--stamps", tmp_path / "none"]
    assert str(tmp_path / "none") in fails(*words)


def test_the_folder_of_a_bundle_is_left_alone(home, tmp_path, fails):
    (tmp_path / "bundle.json").write_text("{}")
    out = ["-o", tmp_path]
    assert "holds a bundle" in fails("export", home / "model", *out)
    assert "holds a bundle" in fails("train", home / "stamps", *out, "--recipe", RECIPE, "--set", *TINY)
    assert "holds a bundle" in fails("distil", home / "model", home / "stamps", *out)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.json"]


def test_stamps_are_simulated_where_none_are_given(home, tmp_path, monkeypatch, toy_stamps):
    asked: list[tuple[int, int]] = []

    def simulate(preset: str, pairs: int, *, seed: int, progress: object) -> StampSet:
        asked.append((pairs, seed))
        return toy_stamps

    monkeypatch.setattr("realbogus.dataset.assemble.simulate_stamps", simulate)
    monkeypatch.setattr("realbogus.runtimes.certificate.Certificate.complaints", lambda self: [])
    pytest.importorskip("nncf", reason="the extra `quantise` is not installed")
    run("export", home / "model", "-o", tmp_path / "b", "--precision", "int8")
    assert len(asked) == len({seed for _, seed in asked}) == 2  # never the same for both
    assert load_classifier(tmp_path / "b").precision == "int8"


def test_what_export_refuses_before_any_work(home, tmp_path, fails, monkeypatch):
    monkeypatch.setattr(deploy, "_simulated", lambda *_: pytest.fail("work was done"))
    model = home / "model"
    out = ["-o", tmp_path / "b"]
    assert "belong to a bundle" in fails("export", model, *out, "--stamps", home / "stamps")
    assert "--stamps calibrates int8, and this bundle is bf16" in fails(
        "export", model, *out, "--precision", "bf16", "--stamps", home / "stamps"
    )
    assert "a bundle is a folder" in fails("export", model, "-o", tmp_path / "b.onnx", "--precision", "f32")
    assert "unknown runtime 'tensorrt': known are onnx, openvino" in fails(
        "export", model, *out, "--runtime", "tensorrt"
    )
    assert "onnx bundles come in f32" in fails("export", model, *out, "--runtime", "onnx", "--precision", "int8")
    assert "there is no model at none" in fails("export", "none", *out, "--precision", "f32")
    assert "holds other things" in fails("export", model, "-o", model, "--precision", "f32")


def test_what_bench_refuses(home, fails, tmp_path):
    for number in (0, ".inf", ".nan"):
        assert "above zero each, and finite" in fails("bench", home / "model", "--alerts", number)
    for model in ("default", home / "model"):
        assert "device 'tpu': choose one of cpu, cuda" in fails("bench", model, "--device", "tpu")
    assert "above zero" in fails("bench", home / "model", "--batches", 0)
    assert "there is no model at none" in fails("bench", "none")
    assert "cannot write" in fails("bench", home / "model", "-o", tmp_path)


def test_a_student_and_its_certificate(home, tmp_path, capsys, fails, monkeypatch):
    sides = ["split.allow_leakage=true"]
    for limit, short in ((2.0, False), (-2.0, True)):  # what any student keeps to, and none does
        monkeypatch.setattr("realbogus.runtimes.tolerance.STUDENT", Tolerance(None, limit, 1.0, gain=True))
        run("distil", home / "model", home / "stamps", "-o", tmp_path / "s", "--set", *TINY, *sides)
        said = capsys.readouterr().out
        assert ("short of the aim: the AUC falls by" in said) == short
    assert "student, a student of compact" in said and f"written: {tmp_path / 's'}" in said
    made = Certificate.from_dict(json.loads((tmp_path / "s" / "certificate.json").read_text()))
    student = load_classifier(tmp_path / "s")
    assert made.threshold_after == student.card.threshold and 20 < made.stamps < 80
    assert made.tolerance["gain"] is True
    assert "share of the label" in fails(
        "distil", home / "model", home / "stamps", "-o", tmp_path / "x", "--labels", 2, "--set", *TINY, *sides
    )
