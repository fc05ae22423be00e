"""A bundle scores as its model, is on disk whole or not at all, and says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realbogus.classifier import Classifier
from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, InputError, ModelError, OutputError, ParityError, UnknownNameError
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes import bundle_files, export_bundle, load_classifier, openvino
from realbogus.runtimes.bundle import Bundle
from realbogus.runtimes.bundle_files import write_bundle
from realbogus.runtimes.contenders import label_of
from realbogus.runtimes.export_ensemble import export_ensemble
from realbogus.runtimes.quantise import quantise
from realbogus.runtimes.tolerance import Tolerance
from realbogus.stamps import StampSet

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
pytest.importorskip("nncf", reason="the extra `quantise` is not installed")

WAYS = [("onnx", "f32"), ("openvino", "f32"), ("openvino", "bf16"), ("openvino", "int8")]
LOOSE = Tolerance(None, 0.01, 0.05)


@pytest.fixture(scope="module")
def bundles(pair: Ensemble, held_out: StampSet, toy_stamps: StampSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bundles")
    for runtime, precision in WAYS:
        export_bundle.export_bundle(
            pair, home / f"{runtime}-{precision}",
            held_out=held_out, runtime=runtime, precision=precision, stamps=toy_stamps,
            tolerance=LOOSE if precision == "int8" else None,
        )  # fmt: skip
    return home


@pytest.fixture
def copied(bundles: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles / "onnx-f32", tmp_path / "copied"))


def scores_of(model: Classifier, stamps: StampSet) -> Any:
    return model.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)


@pytest.mark.parametrize(("runtime", "precision"), WAYS)
def test_it_scores_as_its_certificate_says(bundles, pair, held_out, runtime, precision) -> None:
    bundle = load_classifier(bundles / f"{runtime}-{precision}", threads=1)
    assert isinstance(bundle, Bundle) and isinstance(bundle, Classifier)
    assert bundle.card == pair.card and bundle.card.threshold == 0.4 and bundle.card.calibration is not None
    assert (bundle.runtime, bundle.precision) == (runtime, precision)
    before, after = scores_of(pair, held_out), scores_of(bundle, held_out)
    made = bundle.certificate
    assert made is not None and made.stamps == len(held_out) and made.threshold == 0.4
    if precision != "bf16":  # which a processor without it works out elsewhere
        assert np.abs(after - before).max() == pytest.approx(made.largest_change, abs=1e-5)
    assert {"f32": 0 <= made.largest_change < 1e-5}.get(precision, made.largest_change > 1e-5)
    assert bundle.with_threshold(0.7).card.threshold == 0.7 and bundle.with_threshold(0.7).certificate is None


def test_it_is_the_ensemble_to_the_last_bit(bundles, pair, held_out, tmp_path) -> None:
    """Stamps are prepared once for all networks and in parts, which must change nothing."""
    bundle = load_classifier(bundles / "onnx-f32", threads=1)
    members = list(bundle.root.networks())
    part = held_out.select(np.arange(600))
    np.testing.assert_array_equal(scores_of(bundle, part), scores_of(Ensemble(members, bundle.card), part))
    assert bundle.predict(part.pixels[:0]).shape == (0,)
    with pytest.raises(InputError, match="expected \\(N, 1, S, S\\)"):
        bundle.predict(np.zeros((2, 3, 64, 64)))
    with pytest.raises(InputError, match="hand in `fwhm`"):
        bundle.predict(part.pixels)
    broken = part.pixels.copy()
    broken[500, 0, 3, 3] = np.nan  # in a part that is prepared aside
    with pytest.raises(InputError, match="NaN"):
        bundle.predict(broken, noise=1.0, fwhm=3.0)


def test_members_may_differ_nest_and_be_calibrated(pair, held_out, tmp_path) -> None:
    wide = Preprocess(planes=("wide:science",), channels=("science",))
    other = Model.create(replace(pair.members[0].card, name="other", preprocess=wide, views=1), seed=5)
    calibrated = Ensemble.of(pair.members, name="inner", calibrated=True)
    whole = Ensemble.of([calibrated, other], name="whole")
    channels = ("science", "difference")
    pixels = np.concatenate([held_out.pixels[:, :1] * 0.5, held_out.pixels], axis=1)
    stamps = StampSet(pixels, held_out.catalogue, channels)
    loose = Tolerance(1e-4, 1e-3, 0.01)
    made = export_bundle.export_bundle(whole, tmp_path / "b", held_out=stamps, runtime="onnx", tolerance=loose)
    again = load_classifier(tmp_path / "b")
    facts = {"noise": stamps.noise[:50], "fwhm": stamps.fwhm[:50]}
    taken = pixels[:50][:, [list(channels).index(name) for name in whole.card.channels]]
    np.testing.assert_allclose(again.predict(taken, **facts), whole.predict(taken, **facts), atol=1e-5)
    assert len(list(again.root.networks())) == 3 and made.card == whole.card


def test_a_single_model_and_an_onnx_file(pair, held_out, tmp_path) -> None:
    made = export_bundle.export_bundle(pair.members[0], tmp_path / "one", held_out=held_out, runtime="onnx")
    (file,) = (tmp_path / "one" / "members").iterdir()
    assert file.suffix == ".onnx" and made.card == pair.members[0].card
    again = export_bundle.export_bundle(load_classifier(file), tmp_path / "two", held_out=held_out, runtime="openvino")
    np.testing.assert_allclose(scores_of(again, held_out), scores_of(made, held_out), atol=1e-5)
    with pytest.raises(ModelError, match="export the model or ensemble that it came from"):
        export_bundle.export_bundle(made, tmp_path / "three", held_out=held_out)


def test_out_of_tolerance_is_an_error_and_leaves_nothing(pair, held_out, toy_stamps, tmp_path) -> None:
    tight = Tolerance(1e-9, 0.0, 0.0)
    with pytest.raises(ParityError, match="pair in int8 does not reproduce its model: a score changes by"):
        export_bundle.export_bundle(
            pair, tmp_path / "b", held_out=held_out, precision="int8", stamps=toy_stamps, tolerance=tight
        )
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_bears_int8_badly_stays_in_bf16(pair, held_out, toy_stamps, tmp_path, monkeypatch) -> None:
    second = pair.members[1].card.name

    def spoilt(graph: bytes, planes: Any, *, name: str) -> tuple[bytes, bytes]:
        return quantise(graph, planes if name != second else planes * 1e-3, name=name)  # ranges far too small

    monkeypatch.setattr(export_bundle, "quantise", spoilt)
    options = {"held_out": held_out, "precision": "int8", "stamps": toy_stamps, "tolerance": LOOSE}
    made = export_bundle.export_bundle(pair, tmp_path / "b", **options, most=0.03)
    again = load_classifier(tmp_path / "b")
    for bundle in (made, again):
        assert [leaf.quantised for leaf in bundle.root.leaves()] == [True, False]
        assert [leaf.arithmetic for leaf in bundle.root.leaves()] == ["f32", "bf16"]
    assert made.certificate.arithmetic.startswith(f"int8, but {second} in bf16")
    with pytest.raises(ParityError, match="no network of pair bears int8"):
        export_bundle.export_bundle(pair, tmp_path / "none", **options, most=0.0)
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_exported(pair, held_out, toy_stamps, tmp_path) -> None:
    def export(**options: Any) -> None:
        export_bundle.export_bundle(pair, tmp_path / "b", **{"held_out": held_out, **options})

    with pytest.raises(UnknownNameError, match="unknown runtime 'tensorrt': known are onnx, openvino"):
        export(runtime="tensorrt")
    with pytest.raises(ConfigError, match=r"onnx bundles come in f32, not in 'int8'.*runtime openvino"):
        export(runtime="onnx", precision="int8")
    with pytest.raises(InputError, match="int8 needs calibration stamps"):
        export(precision="int8")
    unlabelled = toy_stamps.select(np.arange(5))
    unlabelled.catalogue["label"] = -2
    with pytest.raises(InputError, match="held-out stamps are labelled"):
        export(held_out=unlabelled)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other things"):
        export()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        export_bundle.export_bundle(pair, tmp_path / "file", held_out=held_out)
    with pytest.raises(OutputError, match="cannot write"):
        write_bundle(
            export_bundle.export_bundle(pair, tmp_path / "fine", held_out=held_out, runtime="onnx"),
            tmp_path / "file" / "deep",
        )


def test_a_write_that_is_cut_off_leaves_the_old_bundle(copied, bundles, monkeypatch) -> None:
    new = load_classifier(bundles / "openvino-int8")
    old = json.loads((copied / "bundle.json").read_text())

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bundle_files, "write_text", cut)
        with pytest.raises(KeyboardInterrupt):
            write_bundle(new, copied)
    assert load_classifier(copied).runtime == "onnx"  # the old one, whole, beside files of the new
    write_bundle(new, copied)
    assert load_classifier(copied).precision == "int8"
    left = {f"members/{path.name}" for path in (copied / "members").iterdir()}
    assert not left & set(old["files"]) and len(left) == 4


def test_a_folder_of_other_things_is_left_alone(copied, bundles, pair) -> None:
    new = load_classifier(bundles / "openvino-f32")
    for name in ("members/mine.onnx", "members/00-toy.onnx", "members/notes.bin", "members/deep/a.onnx"):
        path = copied / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
        with pytest.raises(OutputError, match="holds other things"):
            write_bundle(new, copied)
        assert path.read_bytes() == b"mine" and load_classifier(copied).runtime == "onnx"
        path.unlink()
        if path.parent.name == "deep":
            path.parent.rmdir()
    (copied / "members" / "00-toy-1-0123abcd.part.onnx").write_bytes(b"")  # ours, cut off
    write_bundle(new, copied)
    assert len(list((copied / "members").iterdir())) == 2


def test_one_folder_is_one_model(copied, pair) -> None:
    with pytest.raises(OutputError, match="holds a bundle"):
        export_ensemble(pair, copied)
    assert load_classifier(copied).runtime == "onnx"
    pair.members[0].save(copied)
    with pytest.raises(ModelError, match=r"a bundle and another model \(card.json\)"):
        load_classifier(copied)


def test_a_bundle_that_is_replaced_while_it_is_read_is_the_new_one(copied, bundles, monkeypatch) -> None:
    new, read = load_classifier(bundles / "openvino-int8"), bundle_files._values
    done: list[int] = []

    def replaced(folder: Path, text: bytes) -> Any:
        if not done:
            done.append(1)
            write_bundle(new, folder)
        return read(folder, text)

    monkeypatch.setattr(bundle_files, "_values", replaced)
    assert load_classifier(copied).precision == "int8"


def test_a_bundle_runs_where_its_runtime_does(bundles) -> None:
    with pytest.raises(ConfigError, match=r"is for openvino, which we run on cpu, not on 'cuda'.*--runtime onnx"):
        load_classifier(bundles / "openvino-f32", device="cuda")


def test_its_label_is_the_arithmetic_that_is_used(bundles, monkeypatch) -> None:
    for has, name in ((False, "openvino f32"), (True, "openvino bf16")):
        monkeypatch.setattr(openvino, "cpu_has_bf16", lambda has=has: has)
        assert label_of(load_classifier(bundles / "openvino-bf16")) == name
    assert label_of(load_classifier(bundles / "openvino-int8")) == "openvino int8"
    assert label_of(load_classifier(bundles / "onnx-f32")) == "onnxruntime f32"


def test_a_crowd_is_opened_by_a_few(copied, monkeypatch) -> None:
    _rewrite(copied, lambda v: v["classifier"].update(members=v["classifier"]["members"] * 6))
    crews: list[int] = []

    def crew(count: int) -> ThreadPoolExecutor:
        crews.append(count)
        return ThreadPoolExecutor(count)

    monkeypatch.setattr(bundle_files, "ThreadPoolExecutor", crew)
    assert len(load_classifier(copied).root.members) == 12 and crews == [8]


def test_a_bundle_of_the_release_before_opens(copied) -> None:
    _rewrite(copied, lambda v: v.update(threshold=0.4))  # said twice then, and never read
    assert load_classifier(copied).card.threshold == 0.4


def _rewrite(folder: Path, change: Any) -> None:
    """Change `bundle.json` as one would who can work out hashes."""
    values = json.loads((folder / "bundle.json").read_text())
    values.pop("sha256")
    change(values)
    values["sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(values))


def _calibrated_by_none(values: Any) -> None:
    values["classifier"]["card"]["architecture_options"]["calibrated"] = True
    values["classifier"]["members"][1]["card"]["calibration"] = None


def test_every_file_is_checked(copied) -> None:
    for path in sorted((copied / "members").iterdir()):
        whole = path.read_bytes()
        for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
            path.write_bytes(damaged)
            with pytest.raises(ModelError, match="is not the file that was written"):
                load_classifier(copied)
        path.unlink()
        with pytest.raises(ModelError, match="lacks its member"):
            load_classifier(copied)
        path.write_bytes(whole)
    load_classifier(copied)


def test_the_description_is_checked(copied) -> None:
    path = copied / "bundle.json"
    text = path.read_text()
    path.write_text(text.replace('"threshold": 0.4', '"threshold": 0.1'))
    with pytest.raises(ModelError, match="is not as it was written"):
        load_classifier(copied)
    for junk in ("", "[1]", "{}", text[:500], "[" * 100000, '{"format": 1}'):
        path.write_text(junk)
        with pytest.raises(ModelError, match=r"cannot be read|says nothing of its format|is not as it was written"):
            load_classifier(copied)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.update(format=3, realbogus="9.0"), r"format 3 \(written by realbogus 9.0\).*reads 1 and 2"),
        (lambda v: v.update(runtime="tensorrt"), "unknown runtime 'tensorrt'.*update realbogus"),
        (lambda v: v.update(precision="int8"), "has the precision 'int8'"),
        (lambda v: v.pop("classifier"), "does not say what it should"),
        (lambda v: v["classifier"].update(members=[]), "no members"),
        (lambda v: v["classifier"]["members"][0].update(graph="../../etc/passwd"), "lies outside"),
        (lambda v: v["classifier"]["members"][0].update(graph="/etc/passwd"), "lies outside"),
        (lambda v: v["classifier"]["members"][0].update(graph="members/none.onnx"), "lacks its member"),
        (lambda v: v["classifier"]["members"][0]["card"].update(card_version=7), "version 7"),
        (lambda v: v["certificate"].pop("flips"), "certificate cannot be read"),
        (lambda v: v["classifier"]["members"][1]["card"]["preprocess"].update(size=16), "prepare stamps differently"),
        (lambda v: v["classifier"]["card"]["architecture_options"].update(calibrated="no"), "says calibrated 'no'"),
        (_calibrated_by_none, "has no calibration in its card"),
        (lambda v: v["classifier"]["members"][0].update(arithmetic="fp8"), "run in 'fp8'"),
        (lambda v: v["classifier"]["members"][0].update(arithmetic="bf16"), "run in 'bf16'"),
        (lambda v: v["classifier"]["members"][0].update(arithmetic=["f32"]), "to be run in"),
        (lambda v: v["classifier"]["members"][0].update(graph=7), "does not say what it should"),
    ],
)
def test_a_description_that_lies(copied, change, says) -> None:
    _rewrite(copied, change)
    with pytest.raises(ModelError, match=says):
        load_classifier(copied)


def test_nothing_but_data_is_in_it(bundles) -> None:
    for path in bundles.rglob("*"):
        assert path.is_dir() or path.suffix in (".json", ".onnx", ".xml", ".bin")


def test_it_needs_no_torch_and_says_when_openvino_is_absent(bundles) -> None:
    code = """
import sys, numpy as np
absent, folder = sys.argv[1].split(","), sys.argv[2]
for name in absent: sys.modules[name] = None
from realbogus.errors import RealbogusError
from realbogus.runtimes import load_classifier
try:
    print(load_classifier(folder).predict(np.zeros((2, 1, 64, 64), "float32"), noise=1.0, fwhm=3.0).shape)
except RealbogusError as error:
    print(error)
"""
    heavy = "torch,onnx,safetensors,nncf,sklearn,timm"

    def said(absent: str, folder: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, absent, str(bundles / folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said(f"{heavy},openvino", "onnx-f32") == "(2,)\n"
    assert said(heavy, "openvino-int8") == "(2,)\n"
    assert 'pip install "realbogus[openvino]"' in said(f"{heavy},openvino", "openvino-int8")
