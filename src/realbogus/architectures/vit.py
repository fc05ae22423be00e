"""The small vision transformer (Dosovitskiy et al. 2021; size Ti of Touvron et al. 2021), from timm."""

from __future__ import annotations

from torch import nn

from .parts import check_size, from_timm, with_dropout
from .table import ARCHITECTURES

__all__ = ["vit_tiny"]

_LARGEST_PATCH = 16


@ARCHITECTURES.register("vit_tiny")
def vit_tiny(
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
    patch: int = 0,
) -> nn.Module:
    """Build ViT-Tiny with random weights: twelve blocks of width 192 over 64 patches and a class token.

    It has no convolutional stages; `conv_dropout` lies on the tokens after every third block, as
    a convolutional network of four stages would have it. Inside a block, attention and projections
    have none: the text of the paper names no such place.

    Parameters
    ----------
    in_channels, size, conv_dropout, dropout, classes
        As for `resnet`.
    patch : int
        Side of a patch, pixels; 0 is an eighth of the plane, at most 16: 8 at 64 px, and at 224 px
        the original's 16. Rows and columns that fill no patch, at the far edges, are left out.

    Returns
    -------
    torch.nn.Module
        Planes (N, C, S, S) to logits (N, classes).

    Raises
    ------
    ConfigError
        The planes are too small, or timm is missing.
    """
    check_size("vit_tiny", size)
    network = from_timm(
        "vit_tiny_patch16_224",
        in_channels,
        classes,
        img_size=size,
        patch_size=patch or min(_LARGEST_PATCH, size // 8),
    )
    stages = ("blocks.2", "blocks.5", "blocks.8", "blocks.11")
    return with_dropout(network, stages=stages, classifier="head", conv_dropout=conv_dropout, dropout=dropout)
