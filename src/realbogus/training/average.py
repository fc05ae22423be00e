"""Weight averaging: a network that follows the trained one, and is the one kept."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["follow"]


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, steps: int) -> None:
    """Move averaged weights towards a network's: the share `decay` of them stays (exponential average).

    A young average forgets faster, so that it does not stay at the random start.

    Parameters
    ----------
    average, network : torch.nn.Module
        Of one architecture.
    decay : float
        In 0 to 1.
    steps : int
        Steps of the optimizer so far; the decay is at most (1 + steps) / (10 + steps).
    """
    now = network.state_dict()
    pairs = [(value, now[name]) for name, value in average.state_dict().items()]
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    share = 1 - min(decay, (1 + steps) / (10 + steps))
    torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], share)
    for old, new in pairs:
        if not old.is_floating_point():
            old.copy_(new)
