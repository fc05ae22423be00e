"""The optimizer sees weights as they lie in memory, and takes torch's steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from realbogus.training.checkpoint import restore_optimizer, tensors_of_optimizer
from realbogus.training.optimizer import AdamW

SHAPES = [(8, 4, 3, 3), (8, 4, 1, 1), (1, 1, 3, 3), (8,), (5, 7)]


def weights(layout: torch.memory_format) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    values = [torch.randn(shape, generator=generator) for shape in SHAPES]
    return [nn.Parameter(x.contiguous(memory_format=layout) if x.dim() == 4 else x) for x in values]


def slopes(step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(10 + step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


@pytest.mark.parametrize("slope_layout", [torch.channels_last, torch.contiguous_format])
def test_it_takes_torchs_steps(slope_layout: torch.memory_format) -> None:
    ours, theirs = weights(torch.channels_last), weights(torch.contiguous_format)
    one, other = AdamW(ours, lr=0.1), torch.optim.AdamW(theirs, lr=0.1, fused=True)
    for step in range(3):
        for weight, slope in zip(ours, slopes(step), strict=True):
            weight.grad = slope.contiguous(memory_format=slope_layout) if slope.dim() == 4 else slope
        for weight, slope in zip(theirs, slopes(step), strict=True):
            weight.grad = slope
        one.step()
        other.step()
    for shape, mine, plain in zip(SHAPES, ours, theirs, strict=True):
        assert mine.shape == shape and mine.grad is not None and mine.grad.shape == shape
        assert torch.equal(mine, plain), shape
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's step gets lies plane by plane in memory, moments too, from the first step and after a restart."""
    met: list[bool] = []
    plain = torch.optim.AdamW.step

    def step(self: torch.optim.Optimizer, closure: None = None) -> None:
        held = [value for entry in self.state.values() for value in entry.values()]
        for weight in self.param_groups[0]["params"]:
            assert weight.grad.shape == weight.shape
            met.extend(value.is_contiguous() for value in (weight, weight.grad, *held))
        plain(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    held: dict[str, Tensor] = {}
    for _ in range(2):
        ours = weights(torch.channels_last)
        optimizer = AdamW(ours, lr=0.1)
        if held:
            restore_optimizer(optimizer, held)
        for number in range(2):
            for weight, slope in zip(ours, slopes(number), strict=True):
                weight.grad = torch.empty_like(weight).copy_(slope)
            optimizer.step()
        held = tensors_of_optimizer(optimizer)
        assert [tuple(held[f"optimizer.{k}.exp_avg"].shape) for k in range(len(SHAPES))] == SHAPES
    assert met and all(met)


def test_a_closure_meets_the_weights_as_they_are() -> None:
    weight = nn.Parameter(torch.ones(8, 4, 3, 3).contiguous(memory_format=torch.channels_last))
    optimizer = AdamW([weight], lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        assert weight.shape == (8, 4, 3, 3)
        loss = (weight**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    assert optimizer.step(closure) == 8 * 4 * 9
    assert float(weight.detach().max()) < 1


def test_a_failed_step_leaves_the_weights_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: torch.optim.Optimizer, closure: None = None) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    weight = nn.Parameter(torch.ones(8, 4, 3, 3).contiguous(memory_format=torch.channels_last))
    weight.grad = torch.ones_like(weight)
    with pytest.raises(RuntimeError, match="no memory"):
        AdamW([weight], lr=0.1).step()
    assert weight.shape == weight.grad.shape == (8, 4, 3, 3)
