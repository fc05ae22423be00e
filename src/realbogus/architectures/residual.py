"""Residual networks (He et al. 2016), from timm, with the paper's dropout."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from .table import ARCHITECTURES

__all__ = ["resnet18"]

_STAGES = ("layer1", "layer2", "layer3", "layer4")


@ARCHITECTURES.register("resnet18")
def resnet18(in_channels: int, size: int, *, conv_dropout: float = 0.25, dropout: float = 0.5) -> nn.Module:
    """ResNet18 with random weights; dropout after each of its four stages and before the last layer.

    Parameters
    ----------
    in_channels : int
        Input planes.
    size : int
        Side of a plane, pixels; the network takes any.
    conv_dropout : float
        Dropout on the maps after each stage (paper, section 3: 0.25).
    dropout : float
        Dropout before the classifier (paper: 0.5).
    """
    return _resnet("resnet18", in_channels, conv_dropout, dropout)


def _resnet(name: str, in_channels: int, conv_dropout: float, dropout: float) -> nn.Module:
    # timm takes seconds to import and only these builders need it
    import timm

    create: Any = timm.create_model
    network = cast(nn.Module, create(name, pretrained=False, num_classes=1, in_chans=in_channels, drop_rate=dropout))
    if conv_dropout > 0:
        for stage in _STAGES:
            setattr(network, stage, nn.Sequential(getattr(network, stage), nn.Dropout(conv_dropout)))
    return network
