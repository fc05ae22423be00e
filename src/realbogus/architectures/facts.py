"""What a network costs: its parameters, multiply-adds and speed; and what the paper calls it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..errors import ConfigError
from . import build_network
from .reparameterise import reparameterise

__all__ = [
    "PAPER_NAMES",
    "PAPER_NETWORKS",
    "Facts",
    "PaperNetwork",
    "count_parameters",
    "facts",
    "multiply_adds",
    "stamps_per_second",
]


@dataclass(frozen=True)
class PaperNetwork:
    """A line of table 2.

    Parameters
    ----------
    name : str
        The paper's name of a network.
    millions : float
        Its parameters as printed there.
    note : str
        Why the network does not have so many, where it has not.
    """

    name: str
    millions: float
    note: str = ""


#: The thirteen networks of table 2 by our names, in its order.
PAPER_NETWORKS: Mapping[str, PaperNetwork] = MappingProxyType(
    {
        "resnet50": PaperNetwork("ResNet50", 25.6),
        "resnet18": PaperNetwork("ResNet18", 11.7),
        "resnet34": PaperNetwork("ResNet34", 21.7, "it is 21.80 M, cut there and not rounded"),
        "efficientnet_b0": PaperNetwork("EfficientNet_B0", 5.3),
        "efficientnet_b2": PaperNetwork("EfficientNet_B2", 9.2, "the EfficientNet paper prints 9.2 M; it is 9.11 M"),
        "densenet121": PaperNetwork("DenseNet121", 8.0),
        "efficientnet_b1": PaperNetwork("EfficientNet_B1", 7.8),
        "densenet169": PaperNetwork("DenseNet169", 14.1),
        "vgg11": PaperNetwork("VGGNet11", 138.0, "that is the size of VGG16; VGG11 has 132.9 M"),
        "unireplknet_a": PaperNetwork("UniRepLKNet_A", 4.4),
        "vit_tiny": PaperNetwork("ViT_Tiny", 5.7),
        "shufflenetv2_x0_5": PaperNetwork("ShuffleNetV2_x0_5", 1.4),
        "repvgg_a0": PaperNetwork("RepVGG_A0", 8.3),
    }
)

#: The paper's names of all its networks, VGGNet13 of section 2.2 among them.
PAPER_NAMES: Mapping[str, str] = MappingProxyType(
    {ours: network.name for ours, network in PAPER_NETWORKS.items()} | {"vgg13": "VGGNet13"}
)


@dataclass(frozen=True)
class Facts:
    """What one network costs when it is used, that is, made plain.

    Parameters
    ----------
    name : str
        Our name.
    paper : str
        The paper's name; empty if it has none.
    parameters_imagenet : int
        Parameters with 1000 classes, 3 channels and planes of 224 px, as table 2 counts them.
    parameters : int
        Parameters of the network measured.
    trained_parameters : int
        The same before it is made plain, with the branches it is trained with.
    multiply_adds : int
        Multiplications with addition for one stamp: of convolutions, linear layers, attention.
    stamps_per_s : float
        Stamps scored in a second; nan if not measured.
    """

    name: str
    paper: str
    parameters_imagenet: int
    parameters: int
    trained_parameters: int
    multiply_adds: int
    stamps_per_s: float


def facts(
    name: str, *, in_channels: int = 1, size: int = 64, speed: bool = True, batch: int = 128, seconds: float = 1.0
) -> Facts:
    """Measure the network called `name`.

    Parameters
    ----------
    name : str
        Name in the table of architectures.
    in_channels, size : int
        Input planes and their side, pixels.
    speed : bool
        Whether to time it as well.
    batch, seconds
        As for `stamps_per_second`.

    Returns
    -------
    Facts

    Raises
    ------
    UnknownNameError, ConfigError
        No such network, or it does not take such planes.

    Examples
    --------
    >>> cost = facts("compact", in_channels=2, size=32, speed=False)
    >>> cost.parameters, cost.multiply_adds
    (172337, 19771456)
    """
    with torch.device("meta"):  # shapes without numbers: VGG with 1000 classes would take half a gigabyte
        imagenet = count_parameters(reparameterise(build_network(name, 3, 224, classes=1000)))
        trained = build_network(name, in_channels, size)
        plain = reparameterise(trained)
        adds = multiply_adds(plain, in_channels, size)
    rate = math.nan
    if speed:
        with torch.random.fork_rng(devices=[]):
            network = reparameterise(build_network(name, in_channels, size))
        rate = stamps_per_second(network, in_channels, size, batch=batch, seconds=seconds)
    return Facts(
        name, PAPER_NAMES.get(name, ""), imagenet, count_parameters(plain), count_parameters(trained), adds, rate
    )


def count_parameters(network: nn.Module) -> int:
    """Count the trained numbers of a network; running statistics are none.

    Examples
    --------
    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, in_channels: int, size: int) -> int:
    """Count the multiplications, each with an addition, for one stamp.

    Those of convolutions, linear layers and attention; normalisations and the like are left out,
    as everywhere.

    Parameters
    ----------
    network : torch.nn.Module
        On any device, also the one called `meta`, where nothing is computed.
    in_channels, size : int
        Input planes and their side, pixels.

    Examples
    --------
    >>> multiply_adds(nn.Conv2d(2, 3, 3, padding=1), 2, 10)
    5400
    """
    device = next(network.parameters()).device
    # the counter gives operations, two a multiply-add
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, in_channels, size, size, device=device))
    return int(counter.get_total_flops()) // 2


def stamps_per_second(
    network: nn.Module, in_channels: int, size: int, *, batch: int = 128, seconds: float = 1.0
) -> float:
    """Time a network in use, where its weights lie: batches until `seconds` are over, the quickest counts.

    Parameters
    ----------
    network : torch.nn.Module
        It is put into evaluation mode and the channels-last layout.
    in_channels, size : int
        Input planes and their side, pixels.
    batch : int
        Stamps at a time.
    seconds : float
        Least time to spend; one batch is timed in any case, after one of warming up.

    Returns
    -------
    float
        Stamps a second.

    Raises
    ------
    ConfigError
        The batch is empty.
    """
    if batch < 1:
        raise ConfigError(f"a batch of {batch} stamps cannot be timed: give 1 or more")
    device = next(network.parameters()).device
    network = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(batch, in_channels, size, size, generator=generator).to(device)
    planes = planes.contiguous(memory_format=torch.channels_last)
    best, spent = math.inf, 0.0
    with torch.inference_mode():
        network(planes)
        while spent < seconds or best == math.inf:
            start = time.perf_counter()
            network(planes).cpu()  # waits for an accelerator
            took = time.perf_counter() - start
            best, spent = min(best, took), spent + took
    return batch / best
