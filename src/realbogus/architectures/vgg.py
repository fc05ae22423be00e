"""VGG networks (Simonyan & Zisserman 2014), from timm, with batch normalisation and the paper's dropout."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import nn

from .parts import SMALL_START, check_size, from_timm, with_dropout
from .table import ARCHITECTURES

__all__ = ["vgg"]


def vgg(
    name: str,
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build a VGG with random weights; dropout after each of its five stages and in its head.

    With batch normalisation: without it, eleven layers of random weights hardly leave chance in
    the few epochs a survey can afford. The head has two hidden layers of 4096, and dropout after
    both. Its first layer looks at the whole last map, 7 x 7 for planes of 224 px. Planes of 64 px
    leave 2 x 2, which timm would stretch to 7 x 7 and read with 102.8 million weights. Stretching
    is linear: the same functions are written here with 2 x 2 weights, in a third of the time. At
    224 px it is the original.

    With dropout among its convolutions they start small, as those of `shufflenetv2_x0_5` do and for
    its reason: the head does not bear a rate of 1e-3, and 2e-4 hardly turns weights of the usual
    size. After 156 steps of 32 stamps, same data and seed, the AUC in training is 0.50 from the usual
    weights and 0.61 from small ones (0.004), in validation 0.66 and 0.85. Without dropout there (the
    screening network) the usual ones will do.

    Parameters
    ----------
    name : {"vgg11", "vgg13"}
        Number of layers with weights.
    in_channels, size, conv_dropout, dropout, classes
        As for `resnet`; `dropout` holds for both places in the head.

    Returns
    -------
    torch.nn.Module
        Planes (N, C, S, S) to logits (N, classes).

    Raises
    ------
    ConfigError
        The planes are too small, or timm is missing.

    Notes
    -----
    Table 2 gives VGGNet11 138.0 M parameters; that is VGG16's size, VGG11 has 132.9 M.
    """
    check_size(name, size)
    device = torch.get_default_device()
    with torch.device("meta"):  # numbers are drawn once the head has its size: 102.8 million of them take seconds
        network = from_timm(f"{name}_bn", in_channels, classes, drop_rate=dropout)
        head = network.get_submodule("pre_logits")
        first = cast(nn.Conv2d, head.get_submodule("fc1"))
        side = min(first.kernel_size[0], size // 32)
        head.set_submodule("fc1", nn.Conv2d(first.in_channels, first.out_channels, side))
        head.input_kernel_size = side  # type: ignore[assignment]
    network.to_empty(device=device).apply(_draw)
    if conv_dropout > 0:
        for layer in network.get_submodule("features"):  # type: ignore[attr-defined]
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=SMALL_START)
    network.set_submodule("head.drop", nn.Identity())  # its place is taken by the one before the last layer
    layers = network.get_submodule("features").named_children()
    pools = [f"features.{index}" for index, layer in layers if isinstance(layer, nn.MaxPool2d)]
    return with_dropout(network, stages=pools, classifier="head.fc", conv_dropout=conv_dropout, dropout=dropout)


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(cast(nn.Parameter, module.bias))
    elif isinstance(module, nn.BatchNorm2d):
        module.reset_parameters()


for _name in ("vgg11", "vgg13"):
    ARCHITECTURES.register(_name)(partial(vgg, _name))
