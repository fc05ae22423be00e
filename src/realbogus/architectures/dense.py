"""Densely connected networks (Huang et al. 2017), from timm, with the paper's dropout."""

from __future__ import annotations

from functools import partial

from torch import nn

from .parts import check_size, from_timm, with_dropout
from .table import ARCHITECTURES

__all__ = ["densenet"]

#: Each block ends with its transition, the last one with the normalisation.
_STAGES = ("features.transition1", "features.transition2", "features.transition3", "features.norm5")


def densenet(
    name: str,
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build a DenseNet with random weights; dropout after each of its four stages and before the last layer.

    Parameters
    ----------
    name : {"densenet121", "densenet169"}
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


for _name in ("densenet121", "densenet169"):
    ARCHITECTURES.register(_name)(partial(densenet, _name))
