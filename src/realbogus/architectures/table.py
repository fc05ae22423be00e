"""The table itself, apart from the builders so that they can enter themselves."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..registry import Registry

__all__ = ["ARCHITECTURES", "Builder"]

#: `(in_channels, size, **options) -> module`
Builder = Callable[..., nn.Module]

ARCHITECTURES: Registry[Builder] = Registry("architecture")
