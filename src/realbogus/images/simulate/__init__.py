"""Imaginary telescopes: whole nights for trying things out, pairs for training.

One scene, one optics and one detector serve all presets; a preset only draws their numbers.

Examples
--------
>>> sorted(PRESETS)
['mini-sitian', 'varied']
"""

from __future__ import annotations

from .night import simulate_night
from .pair import SimulatedPair, simulate_pair
from .presets import PRESETS

__all__ = ["PRESETS", "SimulatedPair", "simulate_night", "simulate_pair"]
