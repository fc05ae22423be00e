"""The table of networks: a name, the number of input planes and their side give a module.

Every builder takes `(in_channels, size, **options)` and returns a module that turns planes
(N, C, S, S) into one logit each, (N,) or (N, 1). The options that all of them take are
`conv_dropout`, `dropout` and `classes`, the number of logits.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import ConfigError
from . import compact as _compact
from . import dense as _dense
from . import efficient as _efficient
from . import repvgg as _repvgg
from . import residual as _residual
from . import shuffle as _shuffle
from . import unireplknet as _unireplknet
from . import vgg as _vgg
from . import vit as _vit
from .reparameterise import reparameterise
from .table import ARCHITECTURES, Builder

__all__ = ["ARCHITECTURES", "Builder", "build_network", "reparameterise"]

_FAMILIES = (_compact, _dense, _efficient, _repvgg, _residual, _shuffle, _unireplknet, _vgg, _vit)


def build_network(name: str | Builder, in_channels: int, size: int, /, **options: Any) -> nn.Module:
    """Build the network called `name`, with random weights.

    Parameters
    ----------
    name : str or callable
        Name in the table, or a builder.
    in_channels : int
        Number of input planes.
    size : int
        Side of a plane, pixels.
    **options
        Options of the builder.

    Raises
    ------
    UnknownNameError
        No such architecture.
    ConfigError
        The builder does not know an option, or a value it cannot build with; or the plane is
        too small for it.

    Examples
    --------
    >>> import torch
    >>> network = build_network("compact", 2, 32).eval()
    >>> network(torch.zeros(3, 2, 32, 32)).shape
    torch.Size([3])
    """
    builder = ARCHITECTURES.resolve(name)
    if in_channels < 1:
        raise ConfigError(f"a network of {in_channels} input planes: it needs at least one")
    try:
        return builder(in_channels, size, **options)
    except ConfigError:
        raise
    # what torch, timm and torchvision raise for values that cannot be
    except (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError, LookupError) as error:
        given = ", ".join(f"{key} = {value!r}" for key, value in sorted(options.items()))
        raise ConfigError(
            f"architecture {name!r} does not take the options {given or 'none'} (model.options) with "
            f"planes {in_channels} x {size} x {size}: {error}"
        ) from error
