"""The three scales of a study: how much training and resampling each affords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..registry import Registry

__all__ = ["EFFORTS", "Effort"]


@dataclass(frozen=True)
class Effort:
    """How much training and resampling a scale affords.

    Parameters
    ----------
    epochs, bag_epochs : int
        Of each of the thirteen networks, and of the bagged ones (paper: 100 both).
    screen_epochs : int
        Of the screening network, which has few stamps to learn from and a quick schedule.
    best_epochs : int
        Of the better recipe. Its computing time stands beside the trio's in `computing.csv`.
    batch_size, lr
        Of the paper's recipe (256, 1e-4). Where a hundred epochs are cut to a few, smaller batches and a higher
        rate make up for some of the steps that are missing.
    rates : mapping
        Highest rate of networks that stay at chance with `lr`.
    schedule, warmup
        Of the paper's recipe (once an epoch along half a cosine). Where the epochs are few the rate falls at every
        step instead, or the last epoch would still train at a good part of it, and rises first.
    best_batch : int
        Of the better recipe; 0 leaves its own.
    draws : int
        Bootstrap draws of an interval.
    screen_network : str
        The screening network (VGGNet13). It learns nothing in the few steps that a hundred stamps give,
        so the smallest scale takes a small network that does.
    screen_batch, screen_lr
        Its batches and highest learning rate.
    """

    epochs: int
    bag_epochs: int
    screen_epochs: int
    best_epochs: int
    batch_size: int = 256
    lr: float = 1e-4
    rates: Mapping[str, float] = field(default_factory=dict)
    schedule: str = "cosine"
    warmup: float = 0.0
    best_batch: int = 0
    draws: int = 1000
    screen_network: str = "vgg13"
    screen_batch: int = 16
    screen_lr: float = 2e-4


EFFORTS: Registry[Effort] = Registry("scale")
EFFORTS.register("smoke")(
    Effort(
        epochs=1, bag_epochs=1, screen_epochs=20, best_epochs=4, batch_size=32, best_batch=32, draws=200,
        screen_network="compact", screen_batch=16, screen_lr=3e-3,
    )
)  # fmt: skip
EFFORTS.register("small")(
    Effort(
        epochs=2, bag_epochs=14, screen_epochs=8, best_epochs=24, batch_size=32, lr=2e-3,
        rates={"vgg11": 2e-4, "vit_tiny": 3e-4}, schedule="cosine_warmup", warmup=0.1,
    )
)  # fmt: skip
EFFORTS.register("paper")(Effort(epochs=100, bag_epochs=100, screen_epochs=6, best_epochs=600))
