"""Recipes of the networks that work on labels: the screening network, and the quick one of audit and split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..config import Config, with_overrides
from ..errors import ConfigError, InputError

__all__ = ["NEEDS_TRAIN", "quick_recipe", "screening_recipe"]

#: What is said where the extra is not installed.
NEEDS_TRAIN = 'this trains a network, which needs torch: pip install "realbogus[train]"'

#: Shown stamps that the screening network learns from, whatever the size of its seed set.
_SEED_STEPS = 10_000
#: The same of the quick network.
_QUICK_STEPS = 24_000


def screening_recipe(
    *, network: str = "vgg13", epochs: int = 6, batch: int = 16, lr: float = 2e-4, seed: int = 0, threads: int = 0
) -> Config:
    """Return the recipe of the screening network: few stamps, few and large steps (paper, section 2.2.2).

    The benchmark's difficulty was anchored with it.

    Parameters
    ----------
    network : str
        Name in the table of architectures.
    epochs, batch, lr
        Passes, stamps in a step, highest learning rate.
    seed : int
        Of all randomness.
    threads : int
        Of torch on a CPU; 0 leaves its setting.

    Examples
    --------
    >>> screening_recipe(epochs=8).training.epochs, screening_recipe().model.architecture
    (8, 'vgg13')
    """
    return with_overrides(
        Config(),
        {
            "seed": seed,
            "model.name": "screen",
            "model.architecture": network,
            # with dropout among its convolutions VGGNet13 stays at chance for hundreds of steps
            "model.options": {"conv_dropout": 0.0, "dropout": 0.5},
            "training.epochs": epochs,
            "training.batch_size": batch,
            "training.schedule": "one_cycle",
            "training.warmup": 0.3,
            "training.lr": lr,
            "training.loss": "bce",
            "training.balance": "balanced",
            "training.augment": ["symmetry"],
            "training.augment_probability": 1.0,
            "training.threads": threads,
        },
    )


def screening_for(network: str, stamps: int, *, epochs: int | None = None, seed: int = 0) -> Config:
    """Return the recipe for a seed set of so many stamps: small ones are shown more often.

    Examples
    --------
    >>> screening_for("vgg13", 5400).training.epochs, screening_for("compact", 150).training.epochs
    (6, 20)
    """
    if epochs is not None and epochs < 1:
        raise ConfigError(f"epochs {epochs}: give at least 1")
    times = min(20, max(6, math.ceil(_SEED_STEPS / max(stamps, 1)))) if epochs is None else epochs
    # a network without VGGNet13's depth learns with larger steps
    lr = 3e-3 if network == "compact" else 2e-4
    return screening_recipe(network=network, epochs=times, lr=lr, seed=seed)


def quick_recipe(
    channels: Sequence[str], stamps: int, *, network: str = "compact", epochs: int | None = None, seed: int = 0
) -> Config:
    """Return a recipe for a network that learns in minutes on a CPU, from all channels that there are.

    Parameters
    ----------
    channels : sequence of str
        Of the stamps; `difference` must be there, `science` and `reference` are looked at where they are.
    stamps : int
        That it learns from.
    network : str
        Name in the table of architectures.
    epochs : int, optional
        By the number of stamps where absent: 3 to 15.
    seed : int
        Of all randomness.

    Raises
    ------
    InputError
        There is no difference.

    Examples
    --------
    >>> recipe = quick_recipe(("difference",), 4000)
    >>> recipe.training.epochs, recipe.preprocess["planes"]
    (6, ['psf:difference', 'wide:difference'])
    """
    if "difference" not in channels:
        raise InputError(f"the stamps have the channels {', '.join(channels)}: the channel `difference` is needed")
    if epochs is not None and epochs < 1:
        raise ConfigError(f"epochs {epochs}: give at least 1")
    seen = [name for name in ("difference", "science", "reference") if name in channels]
    planes = ["psf:difference", "wide:difference", *(f"psf:{name}" for name in seen[1:])]
    preprocess: dict[str, Any] = {
        "planes": planes, "channels": seen, "size": 32, "fwhm_px": 3.5, "scale": "noise", "orient": True,
    }  # fmt: skip
    times = min(15, max(3, math.ceil(_QUICK_STEPS / max(stamps, 1)))) if epochs is None else epochs
    return with_overrides(
        Config(),
        {
            "seed": seed,
            "model.name": "quick",
            "model.architecture": network,
            # a third of the work of the whole network; what it cannot remember it cannot learn from wrong labels
            "model.options": {"widths": [12, 16, 24, 24, 48, 48], "dropout": 0.3} if network == "compact" else {},
            "model.views": 4,
            "preprocess": preprocess,
            "training.epochs": times,
            "training.batch_size": 64,
            "training.lr": 3e-3,
            "training.lr_min": 1e-6,
            "training.weight_decay": 1e-2,
            "training.schedule": "one_cycle",
            "training.warmup": 0.2,
            "training.loss": "bce",
            "training.balance": "balanced",
            "training.augment": ["symmetry"],
            "training.augment_probability": 1.0,
            "training.ema": 0.98,
            "training.gradient_clip": 5.0,
            "training.precision": "float32",
            "training.tensorboard": False,
        },
    )
