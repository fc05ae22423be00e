"""One file that is the whole model: it scores alike, and says what is wrong when it does not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from realbogus import runtimes
from realbogus.classifier import Card, Classifier
from realbogus.errors import ConfigError, InputError, ModelError, OutputError, ParityError
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes import default_model, load_classifier
from realbogus.runtimes import onnx as room
from realbogus.runtimes.export import export_onnx, parity
from realbogus.runtimes.onnx import CARD_KEY, OnnxClassifier
from realbogus.stamps import StampSet

CARD = Card(name="toy", architecture="compact", architecture_options={"widths": [4, 8, 8, 8]}, views=4, threshold=0.3)


@pytest.fixture(scope="module")
def model(toy_stamps: StampSet) -> Model:
    made = Model.create(CARD, seed=2)
    made.network.train()  # so that batch normalisation has something to fold
    with torch.no_grad():
        planes = CARD.preprocess(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm)
        made.network(torch.from_numpy(planes))
    return made


@pytest.fixture(scope="module")
def exported(model: Model, toy_stamps: StampSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "deep" / "toy.onnx", stamps=toy_stamps)


def test_it_scores_as_the_model_does(model: Model, exported: Path, toy_stamps: StampSet) -> None:
    assert sorted(path.name for path in exported.parent.iterdir()) == ["toy.onnx"]
    other = load_classifier(exported, threads=1)
    assert isinstance(other, Classifier)
    assert other.card == CARD
    arguments = {"noise": toy_stamps.noise, "fwhm": toy_stamps.fwhm}
    ours, theirs = (
        model.predict(toy_stamps.pixels, **arguments),
        other.predict(toy_stamps.pixels, **arguments),
    )
    assert np.ptp(ours) > 0.01
    assert np.abs(ours - theirs).max() <= 1e-4
    np.testing.assert_array_equal(other.predict(toy_stamps.pixels, **arguments), theirs)
    assert other.predict(toy_stamps.pixels[:0]).shape == (0,)


def test_it_runs_on_a_hundred_or_so_at_a_time(exported: Path) -> None:
    other = OnnxClassifier(exported, threads=1)
    session, sizes = other._session, []

    class Watched:
        def run(self, names: None, inputs: dict[str, np.ndarray]) -> object:  # type: ignore[type-arg]
            sizes.append(len(inputs["planes"]))
            return session.run(names, inputs)

    other._session = Watched()
    planes = np.random.default_rng(1).standard_normal((300, 2, 32, 32)).astype(np.float32)
    whole = session.run(None, {"planes": planes})[0].reshape(-1)
    np.testing.assert_allclose(other.logits(planes), whole, atol=1e-5)
    assert sizes == [128, 128, 44]
    assert other.logits(planes[:0]).shape == (0,)


def test_bytes_do_for_a_path(exported: Path, toy_stamps: StampSet) -> None:
    arguments = {"noise": toy_stamps.noise[:3], "fwhm": toy_stamps.fwhm[:3]}
    one, two = OnnxClassifier(exported), OnnxClassifier(exported.read_bytes(), threads=2)
    np.testing.assert_allclose(
        one.predict(toy_stamps.pixels[:3], **arguments),
        two.predict(toy_stamps.pixels[:3], **arguments),
        atol=1e-6,
    )
    with pytest.raises(InputError, match="hand in `fwhm`"):
        one.predict(toy_stamps.pixels)


@pytest.mark.parametrize("channels", [("difference",), ("science", "reference", "difference")])
def test_more_planes_and_channels(channels: tuple[str, ...], tmp_path: Path) -> None:
    planes = tuple(f"{view}:{name}" for name in channels for view in ("psf", "wide"))
    prepare = Preprocess(planes=planes, channels=channels)
    made = Model.create(replace(CARD, preprocess=prepare), seed=1)
    assert OnnxClassifier(export_onnx(made, tmp_path / "m.onnx")).card.channels == channels


def test_a_stranger_is_not_reproduced(model: Model, exported: Path) -> None:
    assert parity(model, OnnxClassifier(exported)) <= 1e-4
    assert parity(Model.create(CARD, seed=5), OnnxClassifier(exported)) > 1e-3


class Moody(nn.Module):
    """Tracing freezes the branch of a Python `if`, so the export is wrong."""

    def forward(self, planes: Tensor) -> Tensor:
        total = planes.mean(dim=(1, 2, 3))
        return total * (3.0 if len(planes) == 2 else -3.0)


def test_a_false_export_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="nothing was written"):
        export_onnx(Model(Moody(), CARD), tmp_path / "moody.onnx")
    assert list(tmp_path.iterdir()) == []


def test_parity_looks_at_usable_stamps_alone(model: Model, exported: Path, toy_stamps: StampSet) -> None:
    stamps = StampSet(toy_stamps.pixels.copy(), toy_stamps.catalogue.copy())
    stamps.pixels[:7] = np.nan
    stamps.catalogue["usable"] = np.arange(len(stamps)) >= 7
    assert parity(model, OnnxClassifier(exported), stamps) <= 1e-4
    stamps.catalogue["usable"] = np.zeros(len(stamps), dtype=bool)
    assert parity(model, OnnxClassifier(exported), stamps) <= 1e-4


class Elsewhere:
    """A session that was asked for a GPU and fell back."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


def test_a_gpu_is_never_left_out_unsaid(model: Model, exported: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(room.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match="onnxruntime-gpu"):
        load_classifier(exported, device="cuda")
    with pytest.raises(ConfigError, match="device 'tpu': choose one of cpu, cuda"):
        load_classifier(exported, device="tpu")  # type: ignore[arg-type]
    monkeypatch.setattr(room.ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(room.ort, "InferenceSession", Elsewhere)
    with pytest.raises(ConfigError, match="cannot use cuda here"):
        load_classifier(exported, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        load_classifier(model.save(tmp_path / "m"), device="cuda")


def test_a_place_that_cannot_be_written(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        export_onnx(model, tmp_path / "file" / "m.onnx")


@pytest.mark.parametrize("keep", [0, 50, -200])
def test_damaged_files(exported: Path, keep: int) -> None:
    with pytest.raises(ModelError, match="damaged"):
        OnnxClassifier(exported.read_bytes()[:keep])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model"):
        load_classifier(tmp_path / "none.onnx")


def test_no_card_or_another_ones(exported: Path) -> None:
    graph = onnx.load_model_from_string(exported.read_bytes())
    del graph.metadata_props[:]
    with pytest.raises(ModelError, match="carries no card"):
        OnnxClassifier(graph.SerializeToString())
    wrong = replace(CARD, preprocess=Preprocess(size=16))
    onnx.helper.set_model_props(graph, {CARD_KEY: wrong.to_json()})
    with pytest.raises(ModelError, match=r"prepares planes of \[2, 16, 16\]"):
        OnnxClassifier(graph.SerializeToString())
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {CARD_KEY: CARD.to_json().replace('"card_version": 1', '"card_version": 7')})
    with pytest.raises(ModelError, match="version 7"):
        OnnxClassifier(graph.SerializeToString())


def test_no_trace_of_the_machine(exported: Path) -> None:
    assert b"site-packages" not in exported.read_bytes()
    assert b"/work" not in exported.read_bytes()


def test_a_folder_opens_as_well(model: Model, tmp_path: Path) -> None:
    assert isinstance(load_classifier(model.save(tmp_path / "m")), Model)
    with pytest.raises(ModelError, match="is no model"):
        load_classifier(tmp_path)


def test_an_onnx_file_needs_no_torch(exported: Path) -> None:
    code = f"""
import sys, numpy as np
for name in ("torch", "onnx", "safetensors"): sys.modules[name] = None
from realbogus.errors import ModelError
from realbogus.runtimes import load_classifier
scores = load_classifier({str(exported)!r}).predict(np.zeros((2, 1, 64, 64), "float32"), noise=1.0, fwhm=3.0)
assert scores.shape == (2,)
try:
    load_classifier({str(exported.parent)!r})
except ModelError as error:
    assert "needs torch" in str(error), error
else:
    raise SystemExit("a folder opened without torch")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_default_model_is_found_or_its_absence_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "realbogus" / "runtimes"
    home.mkdir(parents=True)
    monkeypatch.setattr(runtimes, "__file__", str(home / "__init__.py"))
    with pytest.raises(ModelError, match=r"default model .* is missing"):
        default_model()
    (tmp_path / "realbogus" / "models").mkdir()
    (tmp_path / "realbogus" / "models" / "default.onnx").write_bytes(b"")
    assert default_model().name == "default.onnx"
