"""Learning rates. Each entry of `SCHEDULES` is a pure function of the step, so resuming needs no state."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..config import TrainingConfig
from ..registry import Registry

__all__ = ["SCHEDULES", "Schedule"]

#: `(step, steps_per_epoch, config) -> learning rate`; the first step is 0
Schedule = Callable[[int, int, TrainingConfig], float]

SCHEDULES: Registry[Schedule] = Registry("schedule")


@SCHEDULES.register("constant")
def constant(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """`lr`, always."""
    return config.lr


@SCHEDULES.register("cosine")
def cosine(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Half a cosine from `lr` to `lr_min`, one value an epoch: torch's CosineAnnealingLR (paper, table 1).

    The first epoch trains at `lr`; `lr_min` is where the schedule stands after the last step. The
    last epoch still trains a little above it, at 1.25e-7 in the paper's 100 epochs from 1e-4 to 1e-7.

    Examples
    --------
    >>> config = TrainingConfig(epochs=2, lr=1.0, lr_min=0.0)
    >>> [cosine(step, 2, config) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    >>> paper = TrainingConfig()
    >>> cosine(0, 700, paper), cosine(700 * paper.epochs, 700, paper)
    (0.0001, 1e-07)
    """
    return _fall((step // steps_per_epoch) / config.epochs, config.lr, config.lr_min)


@SCHEDULES.register("cosine_warmup")
def cosine_warmup(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Rise in a line to `lr` within the share `warmup` of all steps, then half a cosine, step by step."""
    total = steps_per_epoch * config.epochs
    rise = config.warmup * total
    if step < rise:
        return config.lr * (step + 1) / (rise + 1)
    return _fall((step - rise) / max(total - rise, 1), config.lr, config.lr_min)


@SCHEDULES.register("one_cycle")
def one_cycle(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """From `lr` / 25 up to `lr` and down to `lr_min`, both along half a cosine (Smith & Topin 2019)."""
    total = steps_per_epoch * config.epochs
    rise = config.warmup * total
    if step < rise:
        return _fall(1 - step / rise, config.lr, config.lr / 25)
    return _fall((step - rise) / max(total - rise, 1), config.lr, config.lr_min)


def _fall(share: float, high: float, low: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
