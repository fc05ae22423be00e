"""int8 keeps what the network knows; bf16 worked out in f32 is what bf16 does."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, InputError
from realbogus.runtimes.bf16 import rounded, rounded_graph
from realbogus.runtimes.export import to_onnx
from realbogus.runtimes.onnx import OnnxClassifier
from realbogus.runtimes.openvino import OpenVinoClassifier
from realbogus.runtimes.quantise import calibration_sample, quantise
from realbogus.stamps import StampSet


def test_rounding_is_that_of_torch() -> None:
    values = np.random.default_rng(0).standard_normal(10000).astype(np.float32) * 10.0 ** np.arange(-5, 5).repeat(1000)
    values = values.astype(np.float32)
    truth = torch.from_numpy(values).bfloat16().float().numpy()
    np.testing.assert_array_equal(rounded(values), truth)


def test_bf16_worked_out_is_near_that_of_torch(pair: Ensemble, toy_stamps: StampSet) -> None:
    model = pair.members[0]
    planes = model.card.preprocess(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm)
    exact = model.logits(planes)
    found = OnnxClassifier(rounded_graph(to_onnx(model).contents[0])).logits(planes)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        truth = model.network(torch.from_numpy(planes)).float().reshape(-1).numpy()
    spread = np.std(found - exact), np.std(truth - exact)
    assert 0 < spread[0] < 0.05 * np.ptp(exact)
    assert 0.3 < spread[0] / spread[1] < 3  # the same rounding, not at the same places


def test_int8_keeps_what_the_network_knows(pair: Ensemble, toy_stamps: StampSet, capfd) -> None:
    pytest.importorskip("nncf", reason="the extra `quantise` is not installed")
    model = pair.members[0]
    planes = model.card.preprocess(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm)
    graph, weights = quantise(to_onnx(model).contents[0], planes[:100])
    assert b"FakeQuantize" in graph and capfd.readouterr().out == ""
    for trace in (b"site-packages", b"/work", b"/tmp"):
        assert trace not in graph
    found = OpenVinoClassifier(model.card, graph, weights, threads=1).logits(planes)
    exact = model.logits(planes)
    assert 0 < np.abs(found - exact).max() < 0.2 * np.ptp(exact)
    assert np.corrcoef(found, exact)[0, 1] > 0.99
    with pytest.raises(InputError, match="19 calibration stamps: int8 needs 20"):
        quantise(to_onnx(model).contents[0], planes[:19])


def test_without_nncf(pair: Ensemble, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ConfigError, match=r'NNCF.*pip install "realbogus\[quantise\]"'):
        quantise(b"", np.zeros((20, 2, 32, 32), np.float32))


def test_the_sample_has_both_kinds() -> None:
    labels = np.array([0] * 900 + [1] * 30 + [-2] * 70)
    chosen = calibration_sample(np.arange(1000), labels, 100)
    assert len(chosen) == len(np.unique(chosen)) == 100 and (labels[chosen] == 1).sum() == 30
    assert len(calibration_sample(np.arange(1000), np.full(1000, -2), 100)) == 100
    assert len(calibration_sample(np.arange(1000), np.ones(1000), 100)) == 100
    assert calibration_sample(np.arange(5), labels, 100).tolist() == [0, 1, 2, 3, 4]
