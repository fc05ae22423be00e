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


def watch(used: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_Dense", "_Convolution", "_Depthwise", "_Columns"):
        kind = getattr(convolution, name)
        forward = kind.forward
        monkeypatch.setattr(kind, "forward", lambda *args, f=forward, n=name: (used.append(n), f(*args))[1])


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
        (64, 80, 9, 1, {}, "_Convolution"),
        (64, 80, 1, 1, {}, "_Convolution"),
        (64, 80, 9, 1, {"stride": 2}, None),
        (64, 80, 9, 1, {"padding": 1}, None),
        (64, 80, 9, 1, {"groups": 4}, None),
        (16, 80, 9, 1, {}, None),
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
    watch(used, monkeypatch)
    ours, theirs = (gradients(x, weight, bias, active, **options) for active in (True, False))
    assert used == ([] if form is None else [form])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize(
    ("features", "out", "side", "kernel", "options", "form"),
    [
        (128, 256, 2, 3, {"padding": 1}, "_Columns"),
        (128, 256, 4, 3, {"padding": 1}, "_Columns"),
        (128, 256, 7, 3, {"padding": 1, "stride": 2}, "_Columns"),
        (128, 256, 6, 3, {"stride": 2}, "_Columns"),
        (128, 256, 4, 1, {"stride": 2}, "_Columns"),
        (128, 256, 2, 1, {"padding": 1}, "_Columns"),
        (64, 80, 8, 1, {}, "_Columns"),
        (64, 80, 1, 1, {}, "_Columns"),
        (24, 24, 4, 5, {"padding": 2, "groups": 24}, "_Depthwise"),  # in float32
        (24, 24, 9, 5, {"padding": 2, "groups": 24}, None),  # so too, by torch
        (128, 128, 4, 3, {"padding": 1}, None),
        (128, 256, 5, 3, {"padding": 1}, None),
        (128, 256, 4, 3, {"padding": 1, "groups": 2}, None),
        (64, 80, 9, 1, {}, None),
    ],
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_in_bfloat16_it_is_nearer_to_float32_than_half_a_per_cent(
    features: int, out: int, side: int, kernel: int, options: dict[str, int], form: str | None, kind: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, features, side, side, generator=generator).contiguous(memory_format=torch.channels_last)
    x = x.to(torch.bfloat16).to(kind)
    weight = torch.randn(out, features // options.get("groups", 1), kernel, kernel, generator=generator)
    weight = weight.to(torch.bfloat16).float().contiguous(memory_format=torch.channels_last)
    bias = torch.randn(out, generator=generator)
    theirs = gradients(x.float(), weight, bias, False, **options)
    used: list[str] = []
    watch(used, monkeypatch)
    with torch.autocast("cpu", torch.bfloat16):
        ours = gradients(x, weight, bias, True, **options)
    assert used == ([] if form is None else [form])
    assert [value.dtype for value in ours] == [torch.bfloat16, kind, torch.float32, torch.float32]
    most = 0.01 if form is None else 0.005  # torch's own depends on the processor: 0.6 % with AVX2 alone
    for one, other in zip(ours, theirs, strict=True):
        assert float((one.float() - other).norm()) < most * float(other.norm())


def test_other_kinds_of_autocast_are_left_alone() -> None:
    numbers = torch.empty(256, 128, 3, 3, device="meta", requires_grad=True)
    with torch.autocast("cpu", torch.float16):
        assert convolution._Plain.of(torch.empty(20, 128, 4, 4, device="meta"), numbers, padding=1) is None


@pytest.mark.parametrize(("side", "kernel", "padding"), [(9, 1, 0), (4, 3, 1), (2, 3, 1)])
def test_maps_may_lie_in_memory_as_they_like(side: int, kernel: int, padding: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, 128, side, side, generator=generator)  # plane by plane, not channels last
    weight, bias = torch.randn(128, 128, kernel, kernel, generator=generator), torch.randn(128, generator=generator)
    ours, theirs = (gradients(x, weight, bias, active, padding=padding) for active in (True, False))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize(
    ("shape", "weight", "form"),
    [
        ((256, 256, 16, 16), (64, 256, 1, 1), "_Convolution"),  # resnet50 with planes of 64 px
        ((256, 256, 56, 56), (64, 256, 1, 1), None),  # and of 224 px: 800 MB
        ((64, 64, 56, 56), (512, 64, 1, 1), None),  # large on the other side
        ((256, 512, 2, 2), (4096, 512, 2, 2), "_Dense"),  # the head of a VGG with 64 px
        ((64, 512, 7, 7), (4096, 512, 7, 7), None),  # and with 224 px: 400 MB of weights again
        ((256, 512, 4, 4), (512, 512, 3, 3), "_Convolution"),
    ],
)
def test_no_matrix_is_larger_than_some_hundred_megabytes(
    shape: tuple[int, ...], weight: tuple[int, ...], form: str | None
) -> None:
    numbers = torch.empty(weight, device="meta", requires_grad=True)
    plain = convolution._Plain.of(torch.empty(shape, device="meta"), numbers, padding=int(weight[-1] == 3))
    assert plain is not None
    chosen = plain.form()
    assert (None if chosen is None else chosen.__name__) == form


def test_few_stamps_are_left_alone() -> None:
    numbers = torch.empty(128, 128, 1, 1, device="meta", requires_grad=True)
    for count, form in ((15, None), (16, convolution._Convolution)):
        plain = convolution._Plain.of(torch.empty(count, 128, 8, 8, device="meta"), numbers)
        assert plain is not None and plain.form() is form


def test_what_does_not_train_is_left_alone() -> None:
    x, weight = torch.randn(20, 128, 2, 2), torch.randn(128, 128, 3, 3)
    with small_maps(True):
        out = functional.conv2d(x, weight, padding=1)
    assert torch.equal(out, functional.conv2d(x, weight, padding=1))
