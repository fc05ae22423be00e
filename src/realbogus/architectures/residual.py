"""Residual networks (He et al. 2016), from timm, with the paper's dropout."""

from __future__ import annotations

from functools import partial

from torch import nn

from .parts import check_size, from_timm, with_dropout
from .table import ARCHITECTURES

__all__ = ["resnet"]


def resnet(
    name: str,
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build a ResNet with random weights; dropout after each of its four stages and before the last layer.

    Parameters
    ----------
    name : {"resnet18", "resnet34", "resnet50"}
        timm's name, which is ours.
    in_channels : int
        Input planes.
    size : int
        Side of a plane, pixels: 32 or more.
    conv_dropout : float
        Dropout on the maps after each stage (paper, section 3: 0.25).
    dropout : float
        Dropout before the last layer (paper: 0.5).
    classes : int
        Outputs.

    Returns
    -------
    torch.nn.Module
        Planes (N, C, S, S) to logits (N, classes).

    Raises
    ------
    ConfigError
        The planes are too small, or timm is missing.
    """
    check_size(name, size)
    network = from_timm(name, in_channels, classes)
    stages = ("layer1", "layer2", "layer3", "layer4")
    return with_dropout(network, stages=stages, classifier="fc", conv_dropout=conv_dropout, dropout=dropout)


for _name in ("resnet18", "resnet34", "resnet50"):
    ARCHITECTURES.register(_name)(partial(resnet, _name))
