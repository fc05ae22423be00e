"""What the families share: their libraries, the smallest plane, dropout in its places, the last layer."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, cast

from torch import nn

from ..errors import ConfigError

__all__ = ["LEAST_SIZE", "SMALL_START", "check_size", "from_timm", "load_library", "with_dropout"]

#: The networks of the paper halve a plane five times: below this nothing is left of it, pixels.
LEAST_SIZE = 32
#: Standard deviation at the start of convolutions that batch normalisation follows, where a low rate must turn them.
SMALL_START = 0.005


def check_size(name: str, size: int) -> None:
    """Refuse planes that a network would halve away.

    Parameters
    ----------
    name : str
        The network, for the message.
    size : int
        Side of a plane, pixels.

    Raises
    ------
    ConfigError
        The side is less than `LEAST_SIZE`.
    """
    if size < LEAST_SIZE:
        raise ConfigError(
            f"{name}: planes of {size} px are too small, it halves them five times; give {LEAST_SIZE} px or more "
            "(preprocess.size), or take `compact`"
        )


def load_library(name: str) -> Any:
    """Import timm or torchvision, which take seconds and which only the builders need.

    Raises
    ------
    ConfigError
        It is not installed, or was built for another torch. torchvision then fails with an
        error about an operator, and timm, which imports it, with the same.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"{name} cannot be loaded ({error}); install the torch, torchvision and timm that belong together "
            'with pip install "realbogus[train]" (beside a torch for CPUs only, torchvision must be the one for '
            "CPUs, from the same index), or take an architecture that needs neither, such as `compact`"
        ) from error


def from_timm(name: str, in_channels: int, classes: int, **options: Any) -> nn.Module:
    """Build timm's network of that name with random weights.

    Parameters
    ----------
    name : str
        timm's name.
    in_channels, classes : int
        Input planes and outputs.
    **options
        Handed to timm.
    """
    create = load_library("timm").create_model
    return cast(nn.Module, create(name, pretrained=False, num_classes=classes, in_chans=in_channels, **options))


def with_dropout(
    network: nn.Module,
    *,
    stages: Iterable[str],
    classifier: str,
    conv_dropout: float,
    dropout: float,
) -> nn.Module:
    """Put dropout after each stage and before the last layer, and start that layer near zero.

    Dropout is of single values, as the paper's words have it (section 3: 0.25 on convolutional,
    0.5 on fully connected layers). The modules are there even at a rate of 0, so that weights fit
    a network with other rates. A last layer of one output is started near zero: some libraries
    draw it by the number of outputs, and one output then starts at logits of tens.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    stages : iterable of str
        Dotted names of the modules that end a stage, (N, C, H, W) each.
    classifier : str
        Dotted name of the last layer, a `torch.nn.Linear`.
    conv_dropout, dropout : float
        The two rates.

    Returns
    -------
    torch.nn.Module
        The same network.

    Examples
    --------
    >>> toy = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 1))
    >>> toy = with_dropout(toy, stages=["0"], classifier="2", conv_dropout=0.25, dropout=0.5)
    >>> [module.p for module in toy.modules() if isinstance(module, nn.Dropout)]
    [0.25, 0.5]
    """
    for stage in stages:
        network.set_submodule(stage, nn.Sequential(network.get_submodule(stage), nn.Dropout(conv_dropout)))
    last = network.get_submodule(classifier)
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    network.set_submodule(classifier, nn.Sequential(nn.Dropout(dropout), last))
    return network
