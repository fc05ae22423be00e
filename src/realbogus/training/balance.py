"""Which rows an epoch shows, in which order: the answers to 59 bogus for every real.

Each entry of `BALANCES` takes the labels of the training rows, the configuration and a
generator, and returns the positions to show, in order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..config import TrainingConfig
from ..registry import Registry

__all__ = ["BALANCES", "Balance"]

#: `(labels, config, rng) -> positions`
Balance = Callable[[NDArray[np.int64], TrainingConfig, np.random.Generator], NDArray[np.int64]]

BALANCES: Registry[Balance] = Registry("balance")


@BALANCES.register("repeat")
def repeat(labels: NDArray[np.int64], config: TrainingConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every bogus once and every real `repeat_reals` times, shuffled (paper, section 3).

    Examples
    --------
    >>> rows = repeat(np.array([0, 1, 0]), TrainingConfig(repeat_reals=5), np.random.default_rng(0))
    >>> np.bincount(rows).tolist()
    [1, 5, 1]
    """
    times = np.where(labels == 1, config.repeat_reals, 1)
    return rng.permutation(np.repeat(np.arange(len(labels)), times))


@BALANCES.register("balanced")
def balanced(labels: NDArray[np.int64], config: TrainingConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """Alternate real and bogus, so that every batch is half and half.

    The epoch has `rows_per_epoch` rows (0: as many as there are labels). A class is gone
    through wholly, in random order, before any of it is shown again.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 0, 0])
    >>> labels[balanced(labels, TrainingConfig(), np.random.default_rng(0))].tolist()
    [1, 0, 1, 0, 1, 0]
    """
    wanted = config.rows_per_epoch or len(labels)
    half = (wanted + 1) // 2
    both = np.empty(2 * half, dtype=np.int64)
    for offset, value in enumerate((1, 0)):
        rows = np.flatnonzero(labels == value)
        rounds = -(-half // len(rows))
        both[offset::2] = np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:half]
    return both[:wanted]
