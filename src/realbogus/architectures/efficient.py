"""EfficientNets (Tan & Le 2019), from timm, with the paper's dropout."""

from __future__ import annotations

from functools import partial

from torch import nn

from .parts import check_size, from_timm, with_dropout
from .table import ARCHITECTURES

__all__ = ["efficientnet"]

#: The last of timm's seven groups of blocks at each resolution: 1/2, 1/4, 1/8, 1/16, 1/32.
_STAGES = ("blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6")


def efficientnet(
    name: str,
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build an EfficientNet with random weights; dropout after each resolution and before the last layer.

    No stochastic depth, no resolution of its own: B1 and B2 differ from B0 in depth and width only.
    timm draws the last layer by its number of outputs, which suits a thousand; here it starts near zero.

    Parameters
    ----------
    name : {"efficientnet_b0", "efficientnet_b1", "efficientnet_b2"}
        timm's name, which is ours.
    in_channels, size, conv_dropout, dropout, classes
        As for `resnet`.

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
    return with_dropout(network, stages=_STAGES, classifier="classifier", conv_dropout=conv_dropout, dropout=dropout)


for _name in ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2"):
    ARCHITECTURES.register(_name)(partial(efficientnet, _name))
