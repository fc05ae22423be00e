"""What every architecture must do; a new line in the table is tested before anyone writes a test for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from realbogus.architectures import ARCHITECTURES, build_network
from realbogus.classifier import Card
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes.export import export_onnx
from realbogus.runtimes.onnx import OnnxClassifier


@pytest.fixture(params=list(ARCHITECTURES))
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield str(request.param)


@pytest.mark.parametrize(("planes", "size"), [(1, 64), (2, 32), (8, 32)])
def test_one_logit_a_stamp(name: str, planes: int, size: int) -> None:
    network = build_network(name, planes, size).eval()
    with torch.no_grad():
        for count in (1, 3):
            logits = network(torch.randn(count, planes, size, size))
            assert tuple(logits.shape) in {(count,), (count, 1)}
            assert torch.isfinite(logits).all()


def test_a_stamp_is_scored_on_its_own(name: str) -> None:
    network = build_network(name, 1, 32).eval()
    planes = torch.randn(5, 1, 32, 32)
    with torch.no_grad():
        whole, alone = network(planes).reshape(-1), network(planes[2:3]).reshape(-1)
    torch.testing.assert_close(whole[2:3], alone, atol=1e-4, rtol=1e-4)


def test_every_weight_learns(name: str) -> None:
    network = build_network(name, 2, 32).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    before = {key: value.detach().clone() for key, value in network.named_parameters()}
    # twice, because a residual branch may start with a factor of zero
    for _ in range(2):
        optimizer.zero_grad()
        logits = network(torch.randn(8, 2, 32, 32)).reshape(-1)
        torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.arange(8.0) % 2).backward()
        optimizer.step()
    still = [key for key, value in network.named_parameters() if torch.equal(value, before[key])]
    assert not still


def test_dropout_works_in_training_only(name: str) -> None:
    network = build_network(name, 1, 32)
    planes = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        assert not torch.equal(network.train()(planes), network(planes))
        assert torch.equal(network.eval()(planes), network(planes))


def test_saved_loaded_and_exported_it_scores_alike(name: str, tmp_path: Path) -> None:
    card = Card(name="c", architecture=name, preprocess=Preprocess(), views=2)
    model = Model.create(card, seed=4)
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 30, (6, 1, 64, 64)).astype(np.float32)
    scores = model.predict(pixels, noise=10.0, fwhm=3.0)
    again = Model.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(pixels, noise=10.0, fwhm=3.0), scores)
    exported = OnnxClassifier(export_onnx(model, tmp_path / "model.onnx"), threads=1)
    np.testing.assert_allclose(exported.predict(pixels, noise=10.0, fwhm=3.0), scores, atol=1e-4)
