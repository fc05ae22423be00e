"""What every architecture must do; a new line in the table is tested before anyone writes a test for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from realbogus.architectures import ARCHITECTURES, build_network, reparameterise
from realbogus.classifier import Card
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes.export import export_onnx
from realbogus.runtimes.onnx import OnnxClassifier

#: With branches in training that must be gone in use.
BRANCHED = {"repvgg_a0", "unireplknet_a"}


@pytest.fixture(params=list(ARCHITECTURES))
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield str(request.param)


def randomise(network: nn.Module) -> None:
    """Give batch normalisation, and what starts at zero, values that a wrong sum would not survive."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.normal_(0.5, 0.3)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)


@pytest.mark.parametrize(("planes", "size"), [(1, 64), (3, 64), (2, 32)])
def test_one_logit_a_stamp_and_each_on_its_own(name: str, planes: int, size: int) -> None:
    network = build_network(name, planes, size).eval()
    stamps = torch.randn(3, planes, size, size)
    with torch.no_grad():
        logits = network(stamps)
        assert tuple(logits.shape) in {(3,), (3, 1)}
        assert torch.isfinite(logits).all()
        assert torch.equal(logits, network(stamps))
        alone = network(stamps[1:2])
    assert tuple(alone.shape) in {(1,), (1, 1)}
    torch.testing.assert_close(logits[1:2], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [33, 45, 100])
def test_any_size_and_number_of_classes(name: str, size: int) -> None:
    with torch.device("meta"):  # shapes only
        network = build_network(name, 1, size, classes=3).eval()
        assert tuple(network(torch.randn(2, 1, size, size)).shape) == (2, 3)


def test_every_weight_learns(name: str) -> None:
    network = build_network(name, 2, 32).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0)
    before = {key: value.detach().clone() for key, value in network.named_parameters()}
    # twice, because a residual branch may start with a factor of zero
    for _ in range(2):
        optimizer.zero_grad()
        logits = network(torch.randn(4, 2, 32, 32)).reshape(-1)
        torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.arange(4.0) % 2).backward()
        optimizer.step()
    still = [key for key, value in network.named_parameters() if torch.equal(value, before[key])]
    assert not still


def test_dropout_is_in_place_and_works_in_training_only(name: str) -> None:
    network = build_network(name, 1, 32, conv_dropout=0.25, dropout=0.5)
    met: list[tuple[float, int]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        met.append((module.p, out.ndim))  # type: ignore[arg-type]

    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.register_forward_hook(note)
    stamps = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        first = network.train()(stamps)
        assert first.abs().mean() < 1.5  # undecided: a last layer drawn for a thousand classes starts at tens
        order = [entry for entry in met if entry[0] > 0]
        assert [rate for rate, axes in order if axes > 2].count(0.25) >= 3  # maps, or tokens of a transformer
        assert order[-1] == (0.5, 2)  # features, just before the last layer
        assert not torch.equal(first, network(stamps))
        assert torch.equal(network.eval()(stamps), network(stamps))


def test_made_plain_it_gives_the_same(name: str) -> None:
    if name not in BRANCHED:
        with torch.device("meta"):
            network = build_network(name, 1, 48)
        assert reparameterise(network) is network
        return
    network = build_network(name, 1, 48).eval()
    randomise(network)
    network.double()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    plain = reparameterise(network)
    stamps = torch.randn(3, 1, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(plain(stamps), network(stamps), rtol=1e-9, atol=1e-9)
    # one convolution a block is left, all normalisation of batches is in it
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    assert sum(map(Tensor.numel, plain.parameters())) < sum(map(Tensor.numel, network.parameters()))
    # twice is once, and the one handed in is as it was
    assert all(map(torch.equal, reparameterise(plain).parameters(), plain.parameters()))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_saved_loaded_and_exported_it_scores_alike(name: str, tmp_path: Path) -> None:
    card = Card(name="c", architecture=name, preprocess=Preprocess())
    model = Model.create(card, seed=4)
    with torch.no_grad():  # statistics of its own in every normalisation
        model.network.train()(torch.randn(8, 2, 32, 32))
    model.network.eval()
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 30, (6, 1, 64, 64)).astype(np.float32)
    scores = model.predict(pixels, noise=10.0, fwhm=3.0)
    again = Model.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(pixels, noise=10.0, fwhm=3.0), scores)
    exported = OnnxClassifier(export_onnx(model, tmp_path / "model.onnx"), threads=1)
    np.testing.assert_allclose(exported.predict(pixels, noise=10.0, fwhm=3.0), scores, atol=1e-4)
