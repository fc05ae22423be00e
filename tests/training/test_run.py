"""One step of training worked by hand, on a network of one layer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from realbogus.classifier import Card
from realbogus.config import Config, with_overrides
from realbogus.preprocess import Preprocess
from realbogus.training.hardware import make_fabric
from realbogus.training.part import Part
from realbogus.training.run import Run

X = np.array([[1.0, 2.0], [3.0, -1.0]])
LABELS, WEIGHTS = np.array([0.0, 1.0]), np.array([1.0, 3.0])
START = np.array([0.5, -0.25, 0.3])  # two weights and the offset
LR, DECAY, BETAS = 0.1, 0.01, (0.9, 0.999)


@pytest.fixture
def make_run(toy_network: str) -> Any:
    def make(**changes: Any) -> Run:
        values = {
            "lr": LR,
            "weight_decay": DECAY,
            "betas": BETAS,
            "loss": "bce",
            "device": "cpu",
            "augment": [],
            **changes,
        }
        config = with_overrides(Config(), {f"training.{key}": value for key, value in values.items()})
        card = Card("toy", toy_network, preprocess=Preprocess(size=1), config=config.to_dict())
        run = Run(config, 0, card, make_fabric(config.training))
        with torch.no_grad():
            run.network[1].weight[:] = torch.tensor(START[:2])  # type: ignore[index]
            run.network[1].bias[:] = torch.tensor(START[2])  # type: ignore[index]
        return run

    return make


def gradient(parameters: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Of the weighted mean of the cross-entropies: the logit's is p - y."""
    total = np.zeros(3)
    for x, label, weight in zip(X, LABELS, WEIGHTS, strict=True):
        p = 1 / (1 + math.exp(-(parameters[0] * x[0] + parameters[1] * x[1] + parameters[2])))
        total += weight * (p - label) * np.array([x[0], x[1], 1.0])
    return total / WEIGHTS.sum()


def step(run: Run, scale: float | None = None) -> tuple[np.ndarray, np.ndarray, float]:  # type: ignore[type-arg]
    planes = torch.tensor(X, dtype=torch.float32).reshape(2, 2, 1, 1)
    given = [torch.tensor(values, dtype=torch.float32) for values in (LABELS, WEIGHTS)]
    loss, _ = run._step(planes, given[0], given[1], LR, None if scale is None else torch.tensor(scale))
    layer: Any = run.network[1]  # type: ignore[index]
    slope = torch.cat([layer.weight.grad.reshape(-1), layer.bias.grad]).numpy()
    return slope, torch.cat([layer.weight.data.reshape(-1), layer.bias.data]).numpy(), float(loss)


@pytest.mark.parametrize("clip", [0.0, 0.05, 100.0])
def test_two_steps_of_adamw_by_hand(make_run: Any, clip: float) -> None:
    run = make_run(gradient_clip=clip)
    parameters, mean, square = START.copy(), np.zeros(3), np.zeros(3)
    for number in (1, 2):
        expected = gradient(parameters)
        norm = float(np.sqrt((expected**2).sum()))
        assert 0.05 < norm < 100
        if 0 < clip < norm:
            expected = expected * clip / norm
        mean = BETAS[0] * mean + (1 - BETAS[0]) * expected
        square = BETAS[1] * square + (1 - BETAS[1]) * expected**2
        moved = (mean / (1 - BETAS[0] ** number)) / (np.sqrt(square / (1 - BETAS[1] ** number)) + 1e-8)
        parameters = parameters * (1 - LR * DECAY) - LR * moved
        slope, ours, _ = step(run)
        np.testing.assert_allclose(slope, expected, rtol=1e-5)
        np.testing.assert_allclose(ours, parameters, rtol=1e-5, atol=1e-6)


def test_the_loss_and_its_scale_by_hand(make_run: Any) -> None:
    p = 1 / (1 + np.exp(-(X @ START[:2] + START[2])))
    expected = -(WEIGHTS * np.where(LABELS == 1, np.log(p), np.log(1 - p))).sum() / WEIGHTS.sum()
    slope, _, loss = step(make_run())
    assert loss == pytest.approx(expected, rel=1e-6)
    larger, _, twice = step(make_run(), scale=2.0)
    assert twice == pytest.approx(2 * expected, rel=1e-6)
    np.testing.assert_allclose(larger, 2 * slope, rtol=1e-6)


def test_an_epoch_with_mixup_trains_on_mixtures(make_run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []
    original = Run._step

    def look(self: Run, *arguments: Any) -> Any:
        seen.append(arguments[:3])
        return original(self, *arguments)

    monkeypatch.setattr(Run, "_step", look)
    planes = torch.tensor([[[[10.0]], [[0.0]]], [[[0.0]], [[1.0]]]], dtype=torch.float16)[None]
    part = Part(planes, torch.arange(2), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]))
    run = make_run(mixup=0.7, batch_size=2, balance="balanced", epochs=6)
    for _ in range(6):
        run.one_epoch(part, None, None)
    mixed = 0
    for batch, labels, weights in seen:
        for (bogus, real), label, weight in zip(
            batch.reshape(2, 2).tolist(), labels.tolist(), weights.tolist(), strict=True
        ):
            share = real  # of the second stamp, as its own plane says
            assert bogus == pytest.approx(10 * (1 - share), abs=1e-5)
            assert weight == pytest.approx((1 - share) * 1 + share * 3, rel=1e-5)
            # of the pair's loss, the part of the second stamp weighs three times as much
            assert label == pytest.approx(3 * share / weight, rel=1e-5, abs=1e-6)
            mixed += 0.01 < share < 0.99
    assert mixed >= 2
