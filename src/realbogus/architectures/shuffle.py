"""ShuffleNetV2 (Ma et al. 2018), from torchvision, with the paper's dropout."""

from __future__ import annotations

from typing import cast

from torch import nn

from .parts import SMALL_START, check_size, load_library, with_dropout
from .table import ARCHITECTURES

__all__ = ["shufflenetv2_x0_5"]


@ARCHITECTURES.register("shufflenetv2_x0_5")
def shufflenetv2_x0_5(
    in_channels: int,
    size: int,
    *,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build ShuffleNetV2 of half width with random weights; dropout after its three stages and before the last layer.

    Its convolutions start small, at a standard deviation of 0.005. Each is followed by batch
    normalisation, so the size changes no output; but AdamW moves a weight by about its rate a step,
    1e-4 in the paper's recipe, and weights of the usual 0.2 hardly turn in a thousand steps. With
    dropout on so few channels that leaves the network at chance, where the paper's (AUC 0.7597) was
    not far from: after 240 steps of 32 stamps, same data and seed, the AUC is 0.56 from the usual
    weights and 0.94 from small ones, after 480 steps 0.96.

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
        The planes are too small, or torchvision is missing.
    """
    check_size("shufflenetv2_x0_5", size)
    network: nn.Module = load_library("torchvision.models").shufflenet_v2_x0_5(weights=None, num_classes=classes)
    # torchvision knows three colours only
    colours = cast(nn.Conv2d, network.get_submodule("conv1.0"))
    network.set_submodule("conv1.0", nn.Conv2d(in_channels, colours.out_channels, 3, 2, 1, bias=False))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=SMALL_START)
    stages = ("stage2", "stage3", "stage4")
    return with_dropout(network, stages=stages, classifier="fc", conv_dropout=conv_dropout, dropout=dropout)
