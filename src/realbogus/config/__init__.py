"""Configuration: dataclasses that read TOML or JSON, and refuse what they do not know.

`Config()` is the recipe of the paper (table 1); `configs/*.toml` change what they name.
The preprocessing is a plain mapping here and becomes a `Preprocess` where it is used.
"""

from __future__ import annotations

from .reading import build, load_config, parse_overrides, with_overrides
from .schema import Config, ModelConfig, SplitConfig, TrainingConfig

__all__ = [
    "Config",
    "ModelConfig",
    "SplitConfig",
    "TrainingConfig",
    "build",
    "load_config",
    "parse_overrides",
    "with_overrides",
]
