"""Losses, schedules and balances against independent truth."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from realbogus.config import TrainingConfig
from realbogus.training.average import follow
from realbogus.training.balance import BALANCES
from realbogus.training.loss import LOSSES, weighted_loss
from realbogus.training.schedule import SCHEDULES


def test_focal_is_torchvisions() -> None:
    logits, labels = torch.linspace(-8, 8, 33), torch.arange(33.0) % 2
    ours = LOSSES.resolve("focal")(logits, labels, TrainingConfig())
    theirs = sigmoid_focal_loss(logits, labels, alpha=0.9, gamma=2.0)
    torch.testing.assert_close(ours, theirs)


def test_focal_without_focus_is_weighted_bce() -> None:
    config = TrainingConfig(focal_gamma=0.0, focal_alpha=(1.0, 1.0))
    logits, labels = torch.linspace(-4, 4, 9), torch.arange(9.0) % 2
    torch.testing.assert_close(
        LOSSES.resolve("focal")(logits, labels, config), LOSSES.resolve("bce")(logits, labels, config)
    )


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 5.0])
def test_focal_has_a_slope_everywhere(gamma: float) -> None:
    config, focal = TrainingConfig(focal_gamma=gamma), LOSSES.resolve("focal")
    for label in (0.0, 0.25, 1.0):
        logits = torch.tensor([-200.0, -30.0, -18.0, -1.0, 0.0, 2.0, 18.0, 30.0, 200.0], requires_grad=True)
        targets = torch.full_like(logits, label)
        loss = focal(logits, targets, config)
        (slope,) = torch.autograd.grad(loss.sum(), logits)
        assert torch.isfinite(loss).all() and torch.isfinite(slope).all()
        # against the difference quotient in double precision, where nothing saturates
        inner = torch.tensor([-5.0, -1.0, 0.0, 2.0, 5.0], dtype=torch.float64)
        ends = [focal(inner + step, torch.full_like(inner, label), config) for step in (1e-6, -1e-6)]
        inner.requires_grad_()
        (slope,) = torch.autograd.grad(focal(inner, torch.full_like(inner, label), config).sum(), inner)
        torch.testing.assert_close(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", list(LOSSES))
def test_losses_stay_finite_at_great_logits(name: str) -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = LOSSES.resolve(name)(logits, torch.tensor([1.0, 0.0]), TrainingConfig())
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_weights_and_smoothing() -> None:
    config = TrainingConfig(loss="bce", label_smoothing=0.1)
    logits, labels = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 0.0, 0.0])
    weights = torch.tensor([1.0, 3.0, 0.0])
    p = 1 / (1 + np.exp(-logits.numpy()))
    targets = np.array([0.95, 0.05])
    each = -targets * np.log(p[:2]) - (1 - targets) * np.log(1 - p[:2])
    expected = (1 * each[0] + 3 * each[1]) / 4
    assert weighted_loss(logits, labels, weights, config).item() == pytest.approx(expected, rel=1e-5)


def test_cosine_is_torchs() -> None:
    config = TrainingConfig(epochs=10)
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=config.lr)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=config.lr_min)
    for epoch in range(10):
        for batch in range(3):
            ours = SCHEDULES.resolve("cosine")(3 * epoch + batch, 3, config)
            assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch wants an optimizer step before
            theirs.step()


def test_the_papers_schedule_runs_from_1e_4_to_1e_7() -> None:
    config = TrainingConfig()
    cosine = SCHEDULES.resolve("cosine")
    steps = 800
    rates = [cosine(epoch * steps, steps, config) for epoch in range(config.epochs + 1)]
    assert rates[0] == 1e-4
    assert rates[-1] == 1e-7  # after the last step
    assert rates[-2] == cosine(config.epochs * steps - 1, steps, config) == pytest.approx(1.2465e-7, rel=1e-4)
    assert all(a > b for a, b in itertools.pairwise(rates))


def test_averaged_weights_follow() -> None:
    average, network = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    network.weight.data.fill_(3.0)
    network.num_batches_tracked.fill_(7)
    follow(average, network, 0.9, steps=1000)
    torch.testing.assert_close(average.weight.data, torch.full((2,), 1.2))
    assert int(average.num_batches_tracked) == 7
    follow(average, network, 0.9, steps=1)  # young: 2 / 11 of it stay
    torch.testing.assert_close(average.weight.data, torch.full((2,), 1.2 * 2 / 11 + 3 * 9 / 11))


def test_one_cycle_is_torchs() -> None:
    config = TrainingConfig(epochs=5, lr=0.1, lr_min=0.0001, warmup=0.3, schedule="one_cycle")
    ours = [SCHEDULES.resolve("one_cycle")(step, 20, config) for step in range(100)]
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=0.1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=101, pct_start=31 / 101, div_factor=25, final_div_factor=40,
    )  # fmt: skip
    theirs = []
    for _ in range(100):
        theirs.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cycle.step()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_stay_between_nothing_and_lr(name: str) -> None:
    config = TrainingConfig(epochs=4, lr=0.1, lr_min=0.001, warmup=0.25)
    rates = [SCHEDULES.resolve(name)(step, 10, config) for step in range(40)]
    assert min(rates) > 0
    assert max(rates) <= 0.1
    assert max(rates) > 0.09
    if "warmup" in name or "cycle" in name:
        assert np.argmax(rates) in (9, 10)
        assert rates[0] < 0.02


def test_reals_are_repeated() -> None:
    labels = np.array([0] * 50 + [1] * 4)
    rows = BALANCES.resolve("repeat")(labels, TrainingConfig(), np.random.default_rng(0))
    assert np.bincount(rows).tolist() == [1] * 50 + [5] * 4
    assert (np.diff(rows) < 0).any()


@pytest.mark.parametrize("wanted", [0, 31, 400])
def test_every_batch_is_half_and_half(wanted: int) -> None:
    labels = np.array([0] * 90 + [1] * 10)
    config = TrainingConfig(rows_per_epoch=wanted)
    rows = BALANCES.resolve("balanced")(labels, config, np.random.default_rng(0))
    assert len(rows) == (wanted or 100)
    for start in range(0, len(rows) - 7, 8):
        assert labels[rows[start : start + 8]].sum() == 4
    counts = np.bincount(rows, minlength=100)
    for part in (counts[:90], counts[90:]):  # gone through wholly before it is repeated
        assert part.max() - part.min() <= 1
