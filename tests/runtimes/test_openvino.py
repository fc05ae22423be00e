"""A network in OpenVINO scores as in PyTorch, whatever the batch and the threads; what is wrong is said."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from realbogus.classifier import Card, Classifier
from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, ModelError
from realbogus.preprocess import Preprocess
from realbogus.runtimes import openvino as room
from realbogus.runtimes.export import to_onnx
from realbogus.runtimes.onnx import CARD_KEY, OnnxClassifier
from realbogus.runtimes.openvino import OpenVinoClassifier, cpu_has_bf16
from realbogus.stamps import StampSet

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


@pytest.fixture(scope="module")
def graph(pair: Ensemble) -> bytes:
    return to_onnx(pair.members[0]).contents[0]


def means(card: Card, axes: list[int]) -> bytes:
    """A network that averages over some axes."""
    shape: list[Any] = [None, 2, 32, 32]
    node = onnx.helper.make_node("ReduceMean", ["planes"], ["logits"], axes=axes, keepdims=0)
    planes = onnx.helper.make_tensor_value_info("planes", onnx.TensorProto.FLOAT, shape)
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)
    inner = onnx.helper.make_graph([node], "means", [planes], [logits])
    model = onnx.helper.make_model(inner, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_it_scores_as_the_model_does(pair: Ensemble, graph: bytes, toy_stamps: StampSet, threads: int) -> None:
    model = pair.members[0]
    other = OpenVinoClassifier(model.card, graph, threads=threads)
    assert isinstance(other, Classifier) and other.card == model.card and other.arithmetic == "f32"
    facts = {"noise": toy_stamps.noise, "fwhm": toy_stamps.fwhm}
    ours, theirs = (m.predict(toy_stamps.pixels, **facts) for m in (model, other))
    assert np.ptp(ours) > 0.3
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 3, 31, 33, 70])
def test_any_number_of_stamps(pair: Ensemble, graph: bytes, count: int) -> None:
    other = OpenVinoClassifier(pair.members[0].card, graph, threads=1)
    planes = np.random.default_rng(0).standard_normal((70, 2, 32, 32)).astype(np.float32)
    whole = pair.members[0].logits(planes)
    np.testing.assert_allclose(other.logits(planes[:count]), whole[:count], atol=1e-4)


def test_several_callers_at_a_time(pair: Ensemble, graph: bytes) -> None:
    other = OpenVinoClassifier(pair.members[0].card, graph, threads=2)
    planes = np.random.default_rng(0).standard_normal((4, 40, 2, 32, 32)).astype(np.float32)
    alone = [other.logits(part) for part in planes]
    found: dict[int, list[np.ndarray]] = {}  # type: ignore[type-arg]

    def work(number: int) -> None:
        found[number] = [other.logits(planes[number]) for _ in range(5)]

    callers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for number, results in found.items():
        for result in results:
            np.testing.assert_allclose(result, alone[number], atol=1e-5)


def test_bf16_where_the_processor_has_it(pair: Ensemble, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    card = pair.members[0].card
    assert OpenVinoClassifier(card, graph, precision="bf16").arithmetic == ("bf16" if cpu_has_bf16() else "f32")
    monkeypatch.setattr(room, "cpu_has_bf16", lambda: True)
    assert OpenVinoClassifier(card, graph, precision="bf16").arithmetic == "bf16"
    with pytest.raises(ConfigError, match="precision 'fp8': choose f32 or bf16"):
        OpenVinoClassifier(card, graph, precision="fp8")


@pytest.mark.parametrize("keep", [0, 200, -500])
def test_damaged_contents(pair: Ensemble, graph: bytes, keep: int) -> None:
    with pytest.raises(ModelError, match=r"no model for OpenVINO|takes|cannot run"):
        OpenVinoClassifier(pair.members[0].card, graph[:keep])


def test_another_card(pair: Ensemble, graph: bytes) -> None:
    wrong = replace(pair.members[0].card, preprocess=Preprocess(size=16))
    with pytest.raises(ModelError, match=r"prepares planes of \[2, 16, 16\]"):
        OpenVinoClassifier(wrong, graph)


@pytest.mark.parametrize(("axes", "says"), [([0, 1, 2, 3], "1 logits for 2"), ([2, 3], "4 logits for 2")])
def test_a_network_of_another_shape_is_an_error(pair: Ensemble, axes: list[int], says: str) -> None:
    # what the runtime's own thread raises would end the process, and one value for all would be spread
    card = pair.members[0].card
    planes = np.ones((2, 2, 32, 32), np.float32)
    for other in (OpenVinoClassifier(card, means(card, axes), threads=1), OnnxClassifier(means(card, axes))):
        with pytest.raises(ModelError, match=f"{says} stamps"):
            other.logits(planes)
        if len(axes) == 4:
            assert other.logits(planes[:1]).tolist() == [1.0]  # and it still works


def test_weights_in_another_file_are_not_opened(pair: Ensemble, graph: bytes, tmp_path, monkeypatch) -> None:
    model = onnx.load_model_from_string(graph)
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    contents = (tmp_path / "m.onnx").read_bytes()
    for opened in (lambda: OpenVinoClassifier(pair.members[0].card, contents), lambda: OnnxClassifier(contents)):
        with pytest.raises(ModelError, match="weights in another file"):
            opened()


def test_without_openvino(pair: Ensemble, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r'pip install "realbogus\[openvino\]"'):
        OpenVinoClassifier(pair.members[0].card, graph)
