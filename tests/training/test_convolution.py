"""Convolutions of small maps give what torch gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from realbogus.training import convolution
from realbogus.training.convolution import small_maps


def gradients(x: Tensor, weight: Tensor, bias: Tensor, active: bool, **options: int) -> list[Tensor]:
    leaves = [value.clone().requires_grad_() for value in (x, weight, bias)]
    with small_maps(active):
        out = functional.conv2d(*leaves, **options)  # type: ignore[arg-type]
    (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()  # type: ignore[no-untyped-call]
    return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize(
    ("features", "out", "side", "kernel", "options", "form"),
    [
        (128, 128, 2, 3, {"padding": 1}, "_Dense"),
        (128, 128, 3, 3, {"padding": 1, "stride": 2}, "_Dense"),
        (128, 130, 3, 3, {}, "_Dense"),
        (128, 128, 4, 3, {"padding": 1}, "_Convolution"),
        (128, 256, 4, 3, {"padding": 1, "stride": 2}, "_Convolution"),
        (128, 128, 7, 5, {"stride": 2}, "_Convolution"),
        (24, 24, 2, 5, {"padding": 2, "groups": 24}, "_Depthwise"),
        (24, 24, 4, 5, {"padding": 2, "groups": 24, "stride": 2}, "_Depthwise"),
        (24, 24, 4, 13, {"padding": 6, "groups": 24}, "_Depthwise"),
        (24, 24, 2, 3, {"padding": 1, "groups": 24}, "_Depthwise"),
        (16, 16, 4, 3, {"padding": 1}, None),
        (24, 24, 9, 5, {"padding": 2, "groups": 24}, None),
        (128, 128, 4, 3, {"padding": 1, "dilation": 2}, None),
        (128, 128, 4, 3, {"padding": 1, "groups": 2}, None),
        (128, 128, 4, 1, {}, None),
    ],
)
def test_it_is_torchs_convolution(
    features: int, out: int, side: int, kernel: int, options: dict[str, int], form: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, features, side, side, generator=generator).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(out, features // options.get("groups", 1), kernel, kernel, generator=generator)
    bias = torch.randn(out, generator=generator)
    used: list[str] = []
    for name in ("_Dense", "_Convolution", "_Depthwise"):
        kind = getattr(convolution, name)
        forward = kind.forward
        monkeypatch.setattr(kind, "forward", lambda *args, f=forward, n=name: (used.append(n), f(*args))[1])
    ours, theirs = (gradients(x, weight, bias, active, **options) for active in (True, False))
    assert used == ([] if form is None else [form])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_what_does_not_train_is_left_alone() -> None:
    x, weight = torch.randn(20, 128, 2, 2), torch.randn(128, 128, 3, 3)
    with small_maps(True):
        out = functional.conv2d(x, weight, padding=1)
    assert torch.equal(out, functional.conv2d(x, weight, padding=1))
