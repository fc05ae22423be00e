"""UniRepLKNet (Ding et al. 2024), ours, written from its paper: few layers of large kernels.

A block is a depthwise convolution, a squeeze-and-excitation and a feed-forward part of two 1 x 1
convolutions, added to what came in. The depthwise convolution of the last three stages is 13 x 13,
trained with dilated ones of fewer weights beside it, which `fuse` sums into one kernel (section 3.1,
"Dilated Reparam Block"); those of the first stage are 3 x 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .parts import check_size, with_dropout
from .reparameterise import fused, widened
from .table import ARCHITECTURES

__all__ = ["DepthwiseBranches", "UniRepLKNet", "unireplknet_a"]

#: Sides and dilations of the kernels beside one of 13 x 13 (table 1 of the paper).
_BESIDE = ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5))
_KERNELS = (3, 13, 13, 13)
#: A kernel as small as this has none beside it.
_PLAIN = 3


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel of (N, C, H, W)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of zero mean and unit variance over the channels, scaled and shifted."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResponseNorm(nn.Module):
    """Global response normalisation (Woo et al. 2023): channels compete by their norm over the map.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.shift: nn.Parameter | None = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (N, C, H, W) times one plus a gain by relative norm, plus a shift."""
        norm = torch.linalg.vector_norm(maps, dim=(2, 3), keepdim=True)
        maps = maps * (1 + self.gain * (norm / (norm.mean(dim=1, keepdim=True) + 1e-6)))
        return maps if self.shift is None else maps + self.shift


class Excitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018) with a quarter of the channels inside.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(width, width // 4, 1)
        self.up = nn.Conv2d(width // 4, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (N, C, H, W), each channel times a factor in 0 to 1."""
        factors = self.up(functional.relu(self.down(maps.mean(dim=(2, 3), keepdim=True))))
        return maps * torch.sigmoid(factors)


class DepthwiseBranches(nn.Module):
    """A depthwise convolution and, beside it, dilated ones of fewer weights; the sum is normalised.

    A weight whose pixel lies outside the map wherever the kernel stands only ever meets the zeros
    of the margin. Maps of side `side` need offsets up to `side - 1`: what lies beyond is left out,
    which changes no output. Of a kernel of 13 x 13 at least 7 x 7 pixels use all of it.

    Parameters
    ----------
    width : int
        Channels.
    kernel : int, odd
        Side of the large kernel.
    side : int
        Side of the maps.
    """

    def __init__(self, width: int, kernel: int, side: int) -> None:
        super().__init__()
        reach = min(kernel // 2, side - 1)
        sizes = [(2 * reach + 1, 1)]
        for small, dilation in _BESIDE if kernel > _PLAIN else ():
            steps = min(small // 2, (side - 1) // dilation)
            if steps:
                sizes.append((2 * steps + 1, dilation))
        self.convolutions = nn.ModuleList(_depthwise(width, *size) for size in sizes)
        # one branch needs no normalisation but that of the sum
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) if len(sizes) > 1 else nn.Identity() for _ in sizes)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (N, C, H, W) of the same shape."""
        branches = [norm(convolve(maps)) for convolve, norm in zip(self.convolutions, self.norms, strict=True)]
        return cast(Tensor, self.norm(torch.stack(branches).sum(0) if len(branches) > 2 else sum(branches)))

    def fuse(self) -> nn.Module:
        """Return the one convolution that does the same (after training: with the running statistics)."""
        convolutions = [cast(nn.Conv2d, module) for module in self.convolutions]
        main = convolutions[0]
        kernel, bias = torch.zeros_like(main.weight), torch.zeros_like(main.weight[:, 0, 0, 0])
        for convolution, norm in zip(convolutions, self.norms, strict=True):
            weight, offset = fused(convolution.weight, None, norm)
            kernel = kernel + widened(weight, convolution.dilation[0], main.kernel_size[0])
            bias = bias + offset
        plain = _depthwise(main.out_channels, main.kernel_size[0], 1, bias=True).to(kernel.device)
        weight, offset = fused(kernel, bias, self.norm)
        plain.weight, plain.bias = nn.Parameter(weight), nn.Parameter(offset)
        return plain


class Block(nn.Module):
    """Depthwise convolution, squeeze-and-excitation, feed-forward part; added to its input.

    The factor of the last batch normalisation is the layer scale of the paper as well: there they
    stand one behind the other. It starts at one, where the paper has 1e-6 for 300 epochs of a
    million images: at a rate of 1e-4 such a block would not wake within thousands of steps.

    Parameters
    ----------
    width : int
        Channels.
    kernel : int
        Side of the depthwise kernel.
    side : int
        Side of the maps.
    """

    def __init__(self, width: int, kernel: int, side: int) -> None:
        super().__init__()
        self.spatial: nn.Module = DepthwiseBranches(width, kernel, side)
        self.excite = Excitation(width)
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.compete = ResponseNorm(4 * width)
        self.reduce = nn.Conv2d(4 * width, width, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (N, C, H, W) of the same shape."""
        inside = self.expand(self.excite(self.spatial(maps)))
        return maps + cast(Tensor, self.norm(self.reduce(self.compete(functional.gelu(inside)))))

    def reparameterize(self) -> None:
        """Put the shift inside and the normalisation behind it into the last convolution.

        The name is the one that timm looks for.
        """
        if self.compete.shift is None:
            return
        kernel = self.reduce.weight
        bias = (kernel[:, :, 0, 0] @ self.compete.shift.reshape(-1, 1)).reshape(-1)
        weight, offset = fused(kernel, bias, self.norm)
        self.reduce.weight, self.reduce.bias = nn.Parameter(weight), nn.Parameter(offset)
        self.compete.shift = None
        self.norm = nn.Identity()


class UniRepLKNet(nn.Module):
    """Four stages of blocks; a stem that makes planes four times smaller, and halvings between stages.

    Parameters
    ----------
    in_channels, size : int
        Input planes and their side, pixels.
    depths : sequence of 4 int
        Blocks in each stage.
    widths : sequence of 4 int
        Channels of each stage.
    classes : int
        Outputs.
    """

    def __init__(
        self,
        in_channels: int,
        size: int,
        *,
        depths: Sequence[int] = (2, 2, 6, 2),
        widths: Sequence[int] = (40, 80, 160, 320),
        classes: int = 1,
    ) -> None:
        super().__init__()
        first = widths[0] // 2
        self.stem = nn.Sequential(_halve(in_channels, first), nn.GELU(), _halve(first, widths[0]))
        side, stages, before = _halved(_halved(size)), [], 0
        for depth, width, kernel in zip(depths, widths, _KERNELS, strict=True):
            layers: list[nn.Module] = []
            if before:
                layers.append(_halve(before, width))
                side = _halved(side)
            layers += [Block(width, kernel, side) for _ in range(depth)]
            stages.append(nn.Sequential(*layers))
            before = width
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(before)
        self.head = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, planes: Tensor) -> Tensor:
        """Planes (N, C, S, S) to logits (N, classes)."""
        maps = self.stages(self.stem(planes))
        return cast(Tensor, self.head(self.norm(maps.mean(dim=(2, 3)))))


@ARCHITECTURES.register("unireplknet_a")
def unireplknet_a(
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build UniRepLKNet-A with random weights; dropout after each of its four stages and before the last layer.

    No stochastic depth. `reparameterise` makes it plain; the paper's 4.4 M parameters are those
    of the plain network.

    Parameters
    ----------
    in_channels, size, conv_dropout, dropout, classes
        As for `resnet`.

    Returns
    -------
    torch.nn.Module
        Planes (N, C, S, S) to logits (N, classes).

    Raises
    ------
    ConfigError
        The planes are too small.
    """
    check_size("unireplknet_a", size)
    network = UniRepLKNet(in_channels, size, classes=classes)
    stages = ("stages.0", "stages.1", "stages.2", "stages.3")
    return with_dropout(network, stages=stages, classifier="head", conv_dropout=conv_dropout, dropout=dropout)


def _depthwise(width: int, kernel: int, dilation: int, *, bias: bool = False) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(width, width, kernel, padding=padding, dilation=dilation, groups=width, bias=bias)


def _halve(before: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, width, 3, stride=2, padding=1), ChannelNorm(width, eps=1e-6))


def _halved(side: int) -> int:
    return (side + 1) // 2
