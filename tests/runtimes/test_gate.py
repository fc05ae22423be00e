"""A gate decides alone only what it was measured to know, is on disk with its bundle, and is timed for what it is."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realbogus.classifier import Card, Classifier
from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, InputError, ModelError, ParityError
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes import export_bundle as room
from realbogus.runtimes import load_classifier
from realbogus.runtimes.bench import bench
from realbogus.runtimes.bundle import Bundle
from realbogus.runtimes.bundle_files import write_bundle
from realbogus.runtimes.contenders import CONTENDERS, as_held_out, label_of, random_stamps, some_stamps
from realbogus.runtimes.export_bundle import export_bundle
from realbogus.runtimes.gate import Gate, choose_cut, gated_card
from realbogus.runtimes.need import ratios
from realbogus.runtimes.tolerance import Tolerance
from realbogus.stamps import StampSet

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

#: A network of a few epochs beside one of a few more: what is tested is who scores what, not how well.
LOOSE = Tolerance(None, 0.05, 0.1)


def scores_of(model: Classifier, stamps: StampSet) -> Any:
    return model.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)


@pytest.fixture(scope="module")
def made(pair: Ensemble, held_out: StampSet, toy_stamps: StampSet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    place = tmp_path_factory.mktemp("gate") / "made"
    options = {"held_out": held_out, "runtime": "onnx", "tolerance": LOOSE}
    return export_bundle(pair, place, gate=pair.members[1], gate_stamps=toy_stamps, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(made: Bundle, pair: Ensemble, held_out: StampSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a cut in the midst of the scores."""
    assert made.gate is not None
    cut = float(np.median(scores_of(pair.members[1], held_out)))
    return write_bundle(
        made.with_gate(replace(made.gate, cut=cut, passed=0.5)), tmp_path_factory.mktemp("gate") / "gated"
    )


@pytest.fixture
def gated(folder: Path) -> Bundle:
    bundle = load_classifier(folder, threads=1)
    assert isinstance(bundle, Bundle) and bundle.gate is not None
    return bundle


def test_each_scores_what_is_its_own(gated: Bundle, pair: Ensemble, held_out: StampSet) -> None:
    assert gated.gate is not None
    quick, slow, both = (scores_of(model, held_out) for model in (pair.members[1], pair, gated))
    on = quick >= np.float32(gated.gate.cut)
    assert on.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(both[on], slow[on], atol=1e-5)
    np.testing.assert_allclose(both[~on], quick[~on], atol=1e-5)
    assert np.abs(scores_of(gated.with_gate(None), held_out) - slow).max() < 1e-5
    few = held_out.select(np.flatnonzero(~on)[:3])  # none goes on
    np.testing.assert_allclose(scores_of(gated, few), quick[~on][:3], atol=1e-5)
    assert gated.predict(held_out.pixels[:0]).shape == (0,)


def test_its_certificate_is_that_of_both(
    made: Bundle, pair: Ensemble, held_out: StampSet, toy_stamps: StampSet
) -> None:
    assert made.gate is not None and made.certificate is not None
    teaching = scores_of(pair.members[1], toy_stamps), scores_of(pair, toy_stamps)
    assert made.gate.cut == pytest.approx(choose_cut(*teaching, toy_stamps.labels, threshold=0.4), abs=1e-4)
    quick, slow = scores_of(pair.members[1], held_out), scores_of(pair, held_out)
    stays = quick < np.float32(made.gate.cut)
    assert made.gate.passed == pytest.approx(1 - stays.mean(), abs=0.002) and stays.any()
    change = np.where(stays, np.abs(quick - slow), 0.0)
    assert made.certificate.largest_change == pytest.approx(change.max(), abs=1e-4)
    assert made.certificate.tolerance["score"] is None and made.certificate.stamps == len(held_out)


def test_stamps_need_what_both_need(pair: Ensemble, held_out: StampSet, toy_stamps: StampSet, tmp_path: Path) -> None:
    prepare = Preprocess(planes=("wide:science",), channels=("science",))
    gate = Model.create(Card("gate", "compact", {"widths": [4, 8, 8, 8]}, preprocess=prepare), seed=5)

    def wide(stamps: StampSet) -> StampSet:
        pixels = np.concatenate([stamps.pixels[:, :1] * 0.5, stamps.pixels], axis=1)
        return StampSet(pixels, stamps.catalogue, ("science", "difference"))

    anything = Tolerance(None, 1.0, 1.0)
    export_bundle(
        pair, tmp_path / "b", held_out=wide(held_out), runtime="onnx", gate=gate, gate_stamps=wide(toy_stamps),
        tolerance=anything,
    )  # fmt: skip
    again = load_classifier(tmp_path / "b")
    assert isinstance(again, Bundle) and again.gate is not None
    assert again.card.channels == ("difference", "science") and again.root.card == pair.card
    some = wide(held_out).select(np.arange(40))
    pixels = some.pixels[:, ::-1]  # the channels in the card's order
    quick = gate.predict(pixels[:, 1:], noise=some.noise, fwhm=some.fwhm)
    slow = pair.predict(pixels[:, :1], noise=some.noise, fwhm=some.fwhm)
    want = np.where(quick < np.float32(again.gate.cut), quick, slow)
    np.testing.assert_allclose(again.predict(pixels, noise=some.noise, fwhm=some.fwhm), want, atol=1e-5)
    assert again.with_threshold(0.7).card.threshold == 0.7 and again.with_threshold(0.7).gate == again.gate
    with pytest.raises(InputError, match=r"expected \(N, 2, S, S\)"):
        again.predict(held_out.pixels[:2], noise=1.0, fwhm=3.0)
    with pytest.raises(InputError, match="science"):  # stamps without what the gate looks at
        export_bundle(pair, tmp_path / "c", held_out=held_out, runtime="onnx", gate=gate, gate_stamps=toy_stamps)
    assert not (tmp_path / "c").exists()


def test_what_changes_too_much_is_refused(
    pair: Ensemble, held_out: StampSet, toy_stamps: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess = Model.create(replace(pair.members[1].card, name="guess"), seed=99)
    with monkeypatch.context() as patch:
        patch.setattr(room, "choose_cut", lambda *_, **__: 1.0)
        with pytest.raises(ParityError, match="pair in f32 does not reproduce its model: the AUC changes by"):
            export_bundle(pair, tmp_path / "b", held_out=held_out, runtime="onnx", gate=guess, gate_stamps=toy_stamps)
    assert not (tmp_path / "b").exists()
    for half in ({"gate": pair.members[1]}, {"gate_stamps": toy_stamps}):
        with pytest.raises(InputError, match="hand in both or neither"):
            export_bundle(pair, tmp_path / "b", held_out=held_out, runtime="onnx", **half)


def test_where_it_cuts() -> None:
    rng = np.random.default_rng(3)
    gate = rng.random(10_000)
    model = np.clip(gate + rng.normal(0, 0.1, 10_000), 0, 1)
    labels = (model > 0.8).astype(int)
    cuts = [choose_cut(gate, model, labels, threshold=0.5, lost=lost) for lost in (0.0, 1e-3, 1e-2)]
    assert cuts == sorted(cuts) and cuts[0] < cuts[-1]
    for lost, cut in zip((0.0, 1e-3, 1e-2), cuts, strict=True):
        must = gate[(model >= 0.5) | (labels == 1)]
        assert (must < cut).sum() <= lost * 10_000
        kept = np.sort(must)[int(lost * 10_000)]
        assert cut / (1 - cut) == pytest.approx(0.5 * kept / (1 - kept))
    assert choose_cut([0.9, 0.95], [0.1, 0.9], [0, 1], threshold=0.3) == 0.3  # never above the threshold
    assert choose_cut([0.2, 1.0], [0.1, 0.2], [0, 1], threshold=1.0) == pytest.approx(1.0)  # a label is enough
    with pytest.raises(InputError, match="none of 2 stamps real"):
        choose_cut([0.1, 0.2], [0.1, 0.2], [0, -1], threshold=0.5)
    with pytest.raises(InputError, match="not finite"):
        choose_cut([0.1, np.nan], [0.1, 0.2], [0, 1], threshold=0.5)
    with pytest.raises(InputError, match="shapes"):
        choose_cut([0.1], [0.1, 0.2], [0, 1], threshold=0.5)


def _rewrite(folder: Path, change: Callable[[Any], Any]) -> None:
    values = json.loads((folder / "bundle.json").read_text())
    values.pop("sha256")
    change(values)
    values["sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.pop("gate"), "format 2 and has no gate"),
        (lambda v: v.update(format=3), "reads 1 and 2"),
        (lambda v: v.update(format=1), "format 1 and has a gate"),
        (lambda v: v["gate"].update(cut=1.5), "the gate's cut is 1.5"),
        (lambda v: v["gate"].update(cut="low"), "the gate's cut is 'low'"),
        (lambda v: v["gate"].update(passed=None), "share that goes on is None"),
        (lambda v: v["gate"].pop("cut"), "does not say what it should"),
        (lambda v: v["gate"].update(graph="../../etc/passwd"), "lies outside"),
    ],
)
def test_a_gate_that_lies(folder: Path, tmp_path: Path, change: Callable[[Any], Any], says: str) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))
    _rewrite(copied, change)
    with pytest.raises(ModelError, match=says):
        load_classifier(copied)


def test_it_is_timed_beside_itself_without_a_gate(folder: Path, held_out: StampSet, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"threads": [1], "batches": [1, 64], "seconds": 0.02, "rounds": 1, "starts": 1}
    found = bench(folder, **quick)
    assert {row["contender"] for row in found["speeds"]} == {"itself", "ungated", "pytorch", "onnxruntime"}
    assert found["model"]["runtime"] == "onnxruntime f32 gated" and 0 < found["model"]["passed"] < 1
    assert set(ratios(found)) == {"onnxruntime f32", "pytorch f32"} and found["left_out"] == {}
    held_out.save(tmp_path / "held-out")
    found = bench(folder, contenders=["itself"], stamps=tmp_path / "held-out", **quick)
    assert {row["contender"] for row in found["speeds"]} == {"itself", "ungated"}
    with pytest.raises(ModelError, match="fewer than a batch of 2000"):
        bench(folder, stamps=tmp_path / "held-out", **(quick | {"batches": [2000]}))
    with pytest.raises(ConfigError, match="has no gate"):
        CONTENDERS.resolve("ungated")(next((folder / "members").iterdir()), 1)


def test_random_stamps_go_on_as_those_held_out(gated: Bundle, pair: Ensemble) -> None:
    assert gated.gate is not None
    stamps = random_stamps(gated.card, 400)
    for share in (0.0, 0.05, 0.5, 1.0):
        model = as_held_out(gated.with_gate(replace(gated.gate, passed=share)), stamps)
        assert isinstance(model, Bundle) and model.gate is not None
        pixels, noise, fwhm = stamps
        went = model.gate.goes_on(pair.members[1].predict(pixels, noise=noise, fwhm=fwhm))
        assert went.mean() == pytest.approx(share, abs=0.01)
    assert as_held_out(pair, stamps) is pair
    assert label_of(gated) == "onnxruntime f32 gated"


def test_stamps_that_are_timed_are_drawn(held_out: StampSet, tmp_path: Path) -> None:
    catalogue = held_out.catalogue.copy()
    held_out.save(tmp_path / "set")
    card = Card("toy", "compact")
    pixels, noise, fwhm = some_stamps(card, tmp_path / "set", 100)
    assert pixels.shape == (100, 1, 64, 64) and len(noise) == len(fwhm) == 100
    found = [int(np.flatnonzero(held_out.pixels[:, 0, 5, 5] == value)[0]) for value in pixels[:, 0, 5, 5]]
    assert len(set(found)) == 100 and found != sorted(found)
    np.testing.assert_array_equal(noise, held_out.noise[found])
    assert len(some_stamps(card, tmp_path / "set", 10**6)[0]) == len(catalogue)


def test_numbers_that_cannot_be(gated: Bundle) -> None:
    assert gated.gate is not None
    for cut in (-0.1, 1.1, float("nan"), True, "low"):
        with pytest.raises(ModelError, match="the gate's cut is"):
            Gate(gated.gate.node, cut, 0.5)  # type: ignore[arg-type]
    assert gated_card(gated.root.card, gated.gate.node.card).channels == ("difference",)
