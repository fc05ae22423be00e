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
from realbogus.metrics import roc_auc
from realbogus.model import Model
from realbogus.pipeline.settings import model_identity
from realbogus.preprocess import Preprocess
from realbogus.runtimes import export_bundle as room
from realbogus.runtimes import load_classifier
from realbogus.runtimes.bench import bench
from realbogus.runtimes.bundle import Bundle
from realbogus.runtimes.bundle_files import write_bundle
from realbogus.runtimes.certificate import Certificate, certify
from realbogus.runtimes.contenders import CONTENDERS, label_of
from realbogus.runtimes.export import to_onnx
from realbogus.runtimes.export_bundle import export_bundle
from realbogus.runtimes.gate import FLIPPED, LOST, Gate, choose_cut, gated_card
from realbogus.runtimes.need import ratios
from realbogus.runtimes.node import Node
from realbogus.runtimes.timed import gate_scores, random_stamps, some_stamps, spread, through_all
from realbogus.runtimes.tolerance import GATED, Tolerance
from realbogus.stamps import StampSet


def scores_of(model: Classifier, stamps: StampSet) -> Any:
    return model.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)


@pytest.fixture(scope="module")
def fresh(held_out: StampSet) -> StampSet:
    """Stamps to choose a cut on."""
    return held_out.select(np.arange(0, len(held_out), 2))


@pytest.fixture(scope="module")
def judges(held_out: StampSet) -> StampSet:
    return held_out.select(np.arange(1, len(held_out), 2))


@pytest.fixture(scope="module")
def keen(pair: Ensemble) -> Ensemble:
    """The pair, which calls no bogus real at this threshold."""
    return pair.with_threshold(0.45)


@pytest.fixture(scope="module")
def made(keen: Ensemble, fresh: StampSet, judges: StampSet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    place = tmp_path_factory.mktemp("gate") / "gated"
    return export_bundle(keen, place, held_out=judges, runtime="onnx", gate=keen.members[1], gate_stamps=fresh)


@pytest.fixture(scope="module")
def folder(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(made, tmp_path_factory.mktemp("gate") / "written")


@pytest.fixture
def gated(folder: Path) -> Bundle:
    bundle = load_classifier(folder, threads=1)
    assert isinstance(bundle, Bundle) and bundle.gate is not None
    return bundle


def test_each_scores_what_is_its_own(gated: Bundle, pair: Ensemble, held_out: StampSet) -> None:
    assert gated.gate is not None
    quick, slow, both = (scores_of(model, held_out) for model in (pair.members[1], pair, gated))
    on = quick >= np.float32(gated.gate.cut)
    assert 0.2 < on.mean() < 0.8  # some stay behind and some go on
    np.testing.assert_allclose(both[on], slow[on], atol=1e-5)
    np.testing.assert_allclose(both[~on], quick[~on], atol=1e-5)
    assert np.abs(scores_of(gated.with_gate(None), held_out) - slow).max() < 1e-5
    few = held_out.select(np.flatnonzero(~on)[:3])  # none goes on
    np.testing.assert_allclose(scores_of(gated, few), quick[~on][:3], atol=1e-5)
    assert gated.predict(held_out.pixels[:0]).shape == (0,)


def test_its_certificate_is_that_of_both(made: Bundle, keen: Ensemble, fresh: StampSet, judges: StampSet) -> None:
    bundle = made
    assert bundle.gate is not None and bundle.certificate is not None
    teaching = scores_of(keen.members[1], fresh), scores_of(keen, fresh)
    assert bundle.gate.cut == pytest.approx(choose_cut(*teaching, fresh.labels, threshold=0.45), rel=1e-4)
    quick, slow = scores_of(keen.members[1], judges), scores_of(keen, judges)
    stays = quick < np.float32(bundle.gate.cut)
    assert bundle.gate.passed == pytest.approx(1 - stays.mean(), abs=0.002) and 0.2 < stays.mean() < 0.8
    both = np.where(stays, quick, slow)
    seen = bundle.certificate
    assert seen.largest_change == pytest.approx(np.abs(both - slow).max(), abs=1e-4) and seen.largest_change > 0.01
    real = judges.labels == 1
    assert seen.missed_before == (slow[real] < np.float32(0.45)).sum()
    assert seen.missed_after == (both[real] < np.float32(0.45)).sum()
    assert seen.auc_after == pytest.approx(roc_auc(both, real), abs=1e-4)
    assert seen.tolerance["missed"] == 0.005 and seen.stamps == len(judges) and seen.arithmetic == "f32"


def test_its_scores_tell_that_there_is_a_gate(made: Bundle, keen: Ensemble) -> None:
    bundle = made
    assert bundle.gate is not None
    assert bundle.card.version == "1+toy 2-1" and bundle.card.name == keen.card.name
    assert bundle.card.config["gate"] == {"name": "toy 2", "version": "1", "cut": bundle.gate.cut}
    assert bundle.root.card == keen.card and bundle.with_gate(None).card == keen.card


def test_what_is_wrong_does_not_depend_on_who_goes_on(gated: Bundle, held_out: StampSet) -> None:
    """A gate that sends all away, looks at another channel, and asks less of stamps than what lies behind it."""
    assert gated.gate is not None
    prepare = Preprocess(planes=("native:science",), channels=("science",), size=16, scale="stamp")
    card = Card("gate", "compact", {"widths": [4, 8, 8, 8]}, preprocess=prepare)
    (leaf,) = gated.gate.node.leaves()
    assert leaf.network is not None
    network = to_onnx(Model.create(card, seed=1))
    bundle = gated.with_gate(Gate(Node(card, network), 1.0, 0.0))
    assert bundle.card.channels == ("difference", "science")
    stamps = np.ones((3, 2, 64, 64))
    assert (bundle.predict(stamps, noise=1.0, fwhm=3.0) < 1).all()  # none goes on
    spoilt = stamps.copy()
    spoilt[2, 0, 5, 5] = np.nan
    with pytest.raises(InputError, match="NaN"):
        bundle.predict(spoilt, noise=1.0, fwhm=3.0)
    spoilt[2, 0, 5, 5] = 1e300  # beyond float32
    with np.errstate(over="ignore"), pytest.raises(InputError, match="NaN"):
        bundle.predict(spoilt, noise=1.0, fwhm=3.0)
    with pytest.raises(InputError, match="hand in `fwhm`"):
        bundle.predict(stamps, noise=1.0)
    with pytest.raises(InputError, match="does not divide stamps of 50 px"):
        bundle.predict(stamps[..., :50, :50], noise=1.0, fwhm=3.0)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_it_comes_in_every_precision(
    pair: Ensemble, fresh: StampSet, judges: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    if precision == "int8":
        pytest.importorskip("nncf", reason="the extra `quantise` is not installed")
    monkeypatch.setattr(Certificate, "complaints", lambda self: [])
    options: dict[str, Any] = {"held_out": judges, "precision": precision, "stamps": fresh, "most": 0.3}
    bundle = export_bundle(pair, tmp_path / "b", gate=pair.members[1], gate_stamps=fresh, **options)
    again = load_classifier(tmp_path / "b")
    assert isinstance(again, Bundle) and again.gate is not None and bundle.gate is not None
    assert again.gate.cut == bundle.gate.cut and bundle.certificate is not None
    assert bundle.certificate.arithmetic.startswith(precision)
    (leaf,) = again.gate.node.leaves()
    assert leaf.quantised == (precision == "int8") and leaf.arithmetic == ("bf16" if precision == "bf16" else "f32")
    np.testing.assert_allclose(scores_of(again, judges), scores_of(bundle, judges), atol=1e-5)


def test_the_networks_behind_it_must_prove_themselves(
    pair: Ensemble, fresh: StampSet, judges: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = room._exported

    def shifted(model: Any) -> Any:
        if isinstance(model, Ensemble):  # other members than those of the model
            return Ensemble([exported(model.members[0])] * 2, model.card)
        return exported(model)

    monkeypatch.setattr(room, "_exported", shifted)
    with pytest.raises(ParityError, match="a score changes by"):
        export_bundle(pair, tmp_path / "b", held_out=judges, runtime="onnx", gate=pair.members[1], gate_stamps=fresh)
    assert not (tmp_path / "b").exists()


def test_onnx_needs_no_openvino(
    pair: Ensemble, fresh: StampSet, judges: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise ConfigError("not here")

    monkeypatch.setattr("realbogus.runtimes.openvino.load_openvino", absent)
    monkeypatch.setattr(Certificate, "complaints", lambda self: [])
    export_bundle(pair, tmp_path / "b", held_out=judges, runtime="onnx", gate=pair.members[1], gate_stamps=fresh)
    assert scores_of(load_classifier(tmp_path / "b"), judges).shape == (len(judges),)


def test_stamps_need_what_both_need(pair: Ensemble, held_out: StampSet, toy_stamps: StampSet, tmp_path: Path) -> None:
    prepare = Preprocess(planes=("wide:science",), channels=("science",))
    gate = Model.create(Card("gate", "compact", {"widths": [4, 8, 8, 8]}, preprocess=prepare), seed=5)

    def wide(stamps: StampSet) -> StampSet:
        pixels = np.concatenate([stamps.pixels[:, :1] * 0.5, stamps.pixels], axis=1)
        return StampSet(pixels, stamps.catalogue, ("science", "difference"))

    anything = Tolerance(None, 1.0, 1.0)
    assert gated_card(pair.card, Gate(Node(gate.card), 0.1, 0.5)).preprocess.planes == (
        "psf:difference", "wide:difference", "wide:science",
    )  # fmt: skip
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
    renamed = held_out.select(np.arange(40)[::-1])
    renamed.catalogue["id"] = [f"other-{row}" for row in range(40)]
    renamed.catalogue["label"] = 1 - renamed.labels
    with pytest.raises(InputError, match="40 of the stamps to choose the gate's cut on are among those held out"):
        export_bundle(pair, tmp_path / "b", held_out=held_out, runtime="onnx", gate=guess, gate_stamps=renamed)
    for half in ({"gate": pair.members[1]}, {"gate_stamps": toy_stamps}):
        with pytest.raises(InputError, match="hand in both or neither"):
            export_bundle(pair, tmp_path / "b", held_out=held_out, runtime="onnx", **half)


def test_where_it_cuts() -> None:
    rng = np.random.default_rng(3)
    gate = rng.random(10_000)
    model = np.clip(gate + rng.normal(0, 0.1, 10_000), 0, 1)
    for labels in (np.where(model > 0.8, 1, 0), np.where(model > 0.8, 1, -1), np.full(10_000, -1)):
        called = model.astype(np.float32) >= np.float32(0.5)
        for lost, flipped in ((0.0, 0.0), (1e-3, 5e-4), (1e-2, 1e-3)):
            cut = choose_cut(gate, model, labels, threshold=0.5, lost=lost, flipped=flipped)
            ends = [0.5]
            for must in (labels == 1, called & (labels == -1)):
                if must.any():
                    kept = np.sort(gate[must])[int(lost * must.sum())]
                    ends.append(0.5 * kept / (1 - 0.5 * kept))  # half the odds
            fooled = called & (labels == 0)
            if fooled.any():
                ends.append(np.sort(gate[fooled])[int(flipped * 10_000)])
            assert cut == pytest.approx(min(ends))
            assert (fooled & (gate < cut)).sum() <= flipped * 10_000
    assert choose_cut(gate, model, labels, threshold=0.5) == choose_cut(
        gate, model, labels, threshold=0.5, lost=LOST, flipped=FLIPPED
    )


@pytest.mark.parametrize("fooled", [0, 5000])
def test_rare_reals_are_not_lost(fooled: int) -> None:
    """Of a hundred thousand stamps with sixty reals none may stay behind, whatever bogus the model calls real."""
    rng = np.random.default_rng(5)
    labels = (np.arange(100_000) < 60).astype(int)
    gate = 1 / (1 + np.exp(-np.where(labels == 1, rng.normal(3, 3, 100_000), rng.normal(-9, 1.5, 100_000))))
    model = np.where(labels == 1, 0.95, 0.05)
    called = slice(60, 60 + fooled)
    model[called], gate[called] = 0.7, 0.5
    cut = choose_cut(gate, model, labels, threshold=0.5)
    assert not (gate[labels == 1] < cut).any() and (gate < cut).mean() > 0.5
    assert (gate[called] < cut).sum() <= FLIPPED * 100_000
    if fooled:
        unlabelled = np.where(labels == 1, -1, labels)  # real that only the model knows are as safe
        assert not (gate[labels == 1] < choose_cut(gate, model, unlabelled, threshold=0.5)).any()
        return
    both = np.where(gate < 0.97, gate * 1e-3, model)  # a cut by which reals are lost
    lost = int((both[labels == 1] < 0.5).sum())
    seen = certify(model, both, labels, threshold=0.5, precision="f32", tolerance=GATED)
    assert 10 < lost < 60 and seen.flips == lost < 100
    assert any(f"{lost} more of 60 real are missed, more than 0.5%" in reason for reason in seen.complaints())
    assert "missed" not in certify(model, both, labels, threshold=0.5, precision="bf16").tolerance
    few = certify(model, np.where(np.arange(100_000) < 1, 0.1, model), labels, threshold=0.5, precision="f32",
                  tolerance=replace(GATED, missed=0.02))  # fmt: skip
    assert few.complaints() == [] and ("+1 (limit 1)" in row[3] for row in few.rows())


def test_where_it_cannot_know() -> None:
    """At the threshold is real, in float32 as everywhere."""
    assert choose_cut([0.5, 0.2], [np.float32(0.9), 0.1], [-1, 0], threshold=0.9) == pytest.approx(1 / 3)
    assert choose_cut([0.9, 0.95], [0.1, 0.9], [0, 1], threshold=0.3) == 0.3  # never above the threshold
    assert choose_cut([0.2, 1.0], [0.1, 0.2], [0, 1], threshold=1.0) == pytest.approx(1.0)  # a label is enough
    with pytest.raises(InputError, match="none of 2 stamps is labelled real"):
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
    assert {row["contender"] for row in found["speeds"]} == {"itself", "ungated", "pytorch"}
    assert found["model"]["runtime"] == "onnxruntime f32 gated" and found["left_out"] == {}
    assert set(ratios(found)) == {"onnxruntime f32", "pytorch f32"}
    bundle = load_classifier(folder)
    assert isinstance(bundle, Bundle) and bundle.gate is not None
    assert found["model"]["passed"] == bundle.gate.passed
    held_out.save(tmp_path / "held-out")
    found = bench(folder, contenders=["itself"], stamps=tmp_path / "held-out", **quick)
    assert {row["contender"] for row in found["speeds"]} == {"itself", "ungated"}
    again = bench(folder, contenders=["itself", "ungated"], **quick)
    assert len(again["speeds"]) == 4
    went = bundle.gate.goes_on(gate_scores(bundle, (held_out.pixels, held_out.noise, held_out.fwhm)))
    assert found["model"]["passed"] == pytest.approx(went.mean(), abs=1e-3)
    with pytest.raises(ModelError, match="fewer than a batch of 2000"):
        bench(folder, stamps=tmp_path / "held-out", **(quick | {"batches": [2000]}))
    with pytest.raises(ConfigError, match="has no gate"):
        CONTENDERS.resolve("ungated")(next((folder / "members").iterdir()), 1)


def test_every_part_that_is_timed_has_its_share(gated: Bundle, pair: Ensemble, held_out: StampSet) -> None:
    assert gated.gate is not None
    stamps = random_stamps(gated.card, 400)
    for share in (0.0, 0.05, 0.5, 1.0):
        model, timed = spread(gated, stamps, share)
        assert isinstance(model, Bundle) and model.gate is not None
        went = model.gate.goes_on(gate_scores(model, timed))
        assert went.mean() == pytest.approx(share, abs=0.01)
        assert np.abs(went.reshape(-1, 40).sum(axis=1) - 40 * share).max() <= 1
        assert sorted(timed[0][:, 0, 0, 0]) == sorted(stamps[0][:, 0, 0, 0])
    some = (held_out.pixels[:400], held_out.noise[:400], held_out.fwhm[:400])
    model, timed = spread(gated, some)
    assert model is gated
    went = gated.gate.goes_on(gate_scores(gated, timed))
    assert np.abs(went.reshape(-1, 40).sum(axis=1) - 40 * went.mean()).max() <= 1
    at = [int(np.flatnonzero(held_out.pixels[:400, 0, 5, 5] == value)[0]) for value in timed[0][:, 0, 5, 5]]
    np.testing.assert_array_equal(timed[1], held_out.noise[at])
    assert spread(pair, some) == (pair, some)
    assert label_of(gated) == "onnxruntime f32 gated"
    everything = through_all(gated)
    assert isinstance(everything, Bundle)
    np.testing.assert_allclose(everything.predict(*some[:1], noise=some[1], fwhm=some[2]),
                               gated.with_gate(None).predict(*some[:1], noise=some[1], fwhm=some[2]))  # fmt: skip
    assert through_all(pair) is pair
    alike = (np.repeat(stamps[0][:1], 50, axis=0), stamps[1][:1].repeat(50), stamps[2][:1].repeat(50))
    with pytest.raises(InputError, match=r"100% of random stamps go on .* where 15% should"):
        spread(gated, alike, 0.15)
    with pytest.raises(ModelError, match="no gate to ask"):
        gate_scores(gated.with_gate(None), some)


def test_stamps_that_are_timed_are_drawn(held_out: StampSet, tmp_path: Path) -> None:
    held_out.save(tmp_path / "set")
    card = Card("toy", "compact")
    pixels, noise, fwhm = some_stamps(card, tmp_path / "set", 100)
    assert pixels.shape == (100, 1, 64, 64) and len(noise) == len(fwhm) == 100
    found = [int(np.flatnonzero(held_out.pixels[:, 0, 5, 5] == value)[0]) for value in pixels[:, 0, 5, 5]]
    assert len(set(found)) == 100 and max(found) > 1000
    np.testing.assert_array_equal(noise, held_out.noise[found])
    assert len(some_stamps(card, tmp_path / "set", 10**6)[0]) == len(held_out)
    spoilt = held_out.select(np.arange(5))
    spoilt.catalogue["usable"] = False
    spoilt.save(tmp_path / "bad")
    with pytest.raises(InputError, match="none of 5 stamps"):
        some_stamps(card, tmp_path / "bad", 3)


def test_a_night_does_not_go_on_with_another_gate(folder: Path, made: Bundle, tmp_path: Path) -> None:
    bundle = made
    assert bundle.gate is not None
    other = write_bundle(bundle.with_gate(replace(bundle.gate, cut=0.01)), tmp_path / "other")
    plain = write_bundle(bundle.with_gate(None), tmp_path / "plain")
    names = {model_identity(path, "the same card") for path in (folder, other, plain)}
    assert len(names) == 3


def test_nor_with_members_that_are_calibrated_otherwise(pair: Ensemble, tmp_path: Path) -> None:
    one = Ensemble.of(pair.members, calibrated=True)
    other = [member.with_card(replace(member.card, views=1)) for member in pair.members]  # type: ignore[attr-defined]
    places = [model.save(tmp_path / name) for name, model in (("a", one), ("b", Ensemble.of(other, calibrated=True)))]
    assert len({model_identity(place, one.card.to_json()) for place in places}) == 2


def test_numbers_that_cannot_be(gated: Bundle) -> None:
    assert gated.gate is not None
    for cut in (-0.1, 1.1, float("nan"), True, "low"):
        with pytest.raises(ModelError, match="the gate's cut is"):
            Gate(gated.gate.node, cut, 0.5)  # type: ignore[arg-type]
