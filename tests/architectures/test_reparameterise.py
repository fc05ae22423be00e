"""The two steps of making plain, each against the operations it replaces."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from realbogus.architectures.reparameterise import fused, widened
from realbogus.architectures.unireplknet import DepthwiseBranches, ResponseNorm


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
def test_fused_is_convolution_then_normalisation(bias: bool) -> None:
    convolution, norm = nn.Conv2d(2, 3, 3, bias=bias).double(), nn.BatchNorm2d(3).double().eval()
    with torch.no_grad():
        norm.running_mean.normal_()  # type: ignore[union-attr]
        norm.running_var.uniform_(0.1, 3)  # type: ignore[union-attr]
        norm.weight.normal_()
        norm.bias.normal_()
        maps = torch.randn(2, 2, 6, 6, dtype=torch.float64)
        weight, offset = fused(convolution.weight, convolution.bias, norm)
        torch.testing.assert_close(nn.functional.conv2d(maps, weight, offset), norm(convolution(maps)))


@pytest.mark.parametrize(("kernel", "dilation"), [(5, 1), (7, 2), (3, 3), (3, 4), (3, 5)])
def test_widened_is_the_dilated_convolution(kernel: int, dilation: int) -> None:
    maps, weight = torch.randn(1, 1, 15, 15), torch.randn(1, 1, kernel, kernel)
    dilated = nn.functional.conv2d(maps, weight, padding=dilation * (kernel // 2), dilation=dilation)
    torch.testing.assert_close(nn.functional.conv2d(maps, widened(weight, dilation, 13), padding=6), dilated)


@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (7, [(13, 1), (5, 1), (7, 2), (3, 3), (3, 4), (3, 5)]),  # planes of 224 px: the paper's
        (4, [(7, 1), (5, 1), (3, 2), (3, 3)]),
        (2, [(3, 1), (3, 1)]),
        (1, [(1, 1)]),
    ],
)
def test_kernels_reach_no_further_than_the_map(side: int, sizes: list[tuple[int, int]]) -> None:
    branches = DepthwiseBranches(2, 13, side)
    assert [(c.kernel_size[0], c.dilation[0]) for c in branches.convolutions] == sizes  # type: ignore[index, union-attr]


def test_no_weight_of_a_kernel_is_idle() -> None:
    branches = DepthwiseBranches(1, 13, 4)
    branches(torch.randn(3, 1, 4, 4)).square().sum().backward()
    for convolution in branches.convolutions:
        assert (convolution.weight.grad != 0).all()  # type: ignore[union-attr]


def test_what_is_left_out_changes_no_output() -> None:
    """A large kernel and its middle give the same on a small map."""
    maps, weight = torch.randn(1, 1, 4, 4), torch.randn(1, 1, 13, 13)
    whole = nn.functional.conv2d(maps, weight, padding=6)
    torch.testing.assert_close(nn.functional.conv2d(maps, weight[:, :, 3:10, 3:10], padding=3), whole)


def test_response_norm_by_hand() -> None:
    norm = ResponseNorm(2)
    with torch.no_grad():
        norm.gain[:] = 2.0
        norm.shift[:] = 1.0  # type: ignore[index]
    maps = torch.tensor([[[[3.0, 4.0]], [[0.0, 1.0]]]])  # norms 5 and 1, mean 3
    wanted = torch.tensor([[[[3.0, 4.0]], [[0.0, 1.0]]]]) * torch.tensor([1 + 10 / 3, 1 + 2 / 3]).view(1, 2, 1, 1) + 1
    torch.testing.assert_close(norm(maps), wanted)
