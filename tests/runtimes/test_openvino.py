"""A network in OpenVINO scores as in PyTorch, whatever the batch and the threads; what is wrong is said."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from realbogus.classifier import Classifier
from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, ModelError
from realbogus.preprocess import Preprocess
from realbogus.runtimes import openvino as room
from realbogus.runtimes.export import to_onnx
from realbogus.runtimes.openvino import OpenVinoClassifier, cpu_has_bf16
from realbogus.stamps import StampSet

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


@pytest.fixture(scope="module")
def graph(pair: Ensemble) -> bytes:
    return to_onnx(pair.members[0]).contents[0]


@pytest.mark.parametrize("hint", ["throughput", "latency"])
@pytest.mark.parametrize("threads", [0, 1, 2])
def test_it_scores_as_the_model_does(pair: Ensemble, graph: bytes, toy_stamps: StampSet, threads: int, hint) -> None:
    model = pair.members[0]
    other = OpenVinoClassifier(model.card, graph, threads=threads, hint=hint)
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
    with pytest.raises(ConfigError, match="hint 'fast'"):
        OpenVinoClassifier(card, graph, hint="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("keep", [0, 200, -500])
def test_damaged_contents(pair: Ensemble, graph: bytes, keep: int) -> None:
    with pytest.raises(ModelError, match=r"no model for OpenVINO|takes|cannot run"):
        OpenVinoClassifier(pair.members[0].card, graph[:keep])


def test_another_card(pair: Ensemble, graph: bytes) -> None:
    wrong = replace(pair.members[0].card, preprocess=Preprocess(size=16))
    with pytest.raises(ModelError, match=r"prepares planes of \[2, 16, 16\]"):
        OpenVinoClassifier(wrong, graph)


def test_without_openvino(pair: Ensemble, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r'pip install "realbogus\[openvino\]"'):
        OpenVinoClassifier(pair.members[0].card, graph)
