"""EfficientNets (Tan & Le 2019), from timm, with the paper's dropout."""

from __future__ import annotations

from functools import partial

from torch import nn

from .parts import check_size, from_timm, with_dropout
from .table import ARCHITECTURES

__all__ = ["efficientnet"]

#: The last of timm's seven groups of blocks at each resolution: 1/2, 1/4, 1/8, 1/16, 1/32.
_GROUPS = (0, 1, 2, 4, 6)


def efficientnet(
    name: str,
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build an EfficientNet with random weights; dropout at each resolution and before the last layer.

    A block ends in a bottleneck of few values (16 at the first resolution) without an activation. With a
    quarter of those dropped the network hardly learns: dropout lies on the wide values before it, after the
    last activation of the resolution's last block.

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
    stages = [_last_activation(network, group) for group in _GROUPS]
    return with_dropout(network, stages=stages, classifier="classifier", conv_dropout=conv_dropout, dropout=dropout)


def _last_activation(network: nn.Module, group: int) -> str:
    """Return the name of the last module with an activation in a group of blocks: of its depthwise convolution."""
    blocks = network.get_submodule(f"blocks.{group}")
    name = f"blocks.{group}.{len(list(blocks.children())) - 1}"
    # the first group's blocks do not widen: their first convolution is the depthwise one
    return f"{name}.bn1" if isinstance(network.get_submodule(f"{name}.bn2.act"), nn.Identity) else f"{name}.bn2"


for _name in ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2"):
    ARCHITECTURES.register(_name)(partial(efficientnet, _name))
