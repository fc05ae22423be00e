"""The table of imaginary telescopes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...registry import Registry
from .mini_sitian import mini_sitian
from .varied import varied
from .world import World

__all__ = ["PRESETS", "Preset"]


class Preset(Protocol):
    """Anything that draws a `World` of a given shape."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, int]) -> World:
        """Draw a telescope and a field."""
        ...


#: Name -> function that draws a world: "mini-sitian", "varied".
PRESETS: Registry[Preset] = Registry("simulation preset")
PRESETS.register("mini-sitian")(mini_sitian)
PRESETS.register("varied")(varied)
