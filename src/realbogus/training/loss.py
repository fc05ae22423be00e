"""What training makes small. Each entry of `LOSSES` gives one value a stamp, from its logit."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..config import TrainingConfig
from ..registry import Registry

__all__ = ["LOSSES", "Loss", "weighted_loss"]

#: `(logits (N,), targets in [0, 1] (N,), config) -> losses (N,)`
Loss = Callable[[Tensor, Tensor, TrainingConfig], Tensor]

LOSSES: Registry[Loss] = Registry("loss")


@LOSSES.register("focal")
def focal(logits: Tensor, targets: Tensor, config: TrainingConfig) -> Tensor:
    r"""Focal loss (Lin et al. 2017; paper, section 3).

    .. math:: \mathrm{FL} = -\alpha_t (1 - p_t)^\gamma \log p_t

    with alpha = `focal_alpha` [bogus, real] and gamma = `focal_gamma`. A target between 0
    and 1 mixes the two terms.

    Examples
    --------
    >>> config = TrainingConfig(focal_alpha=(0.1, 0.9), focal_gamma=2.0)
    >>> value = focal(torch.zeros(2), torch.tensor([0.0, 1.0]), config)   # alpha / 4 * log 2
    >>> [round(v, 4) for v in value.tolist()]
    [0.0173, 0.156]
    """
    gamma = config.focal_gamma
    p = torch.sigmoid(logits)
    real = config.focal_alpha[1] * _focus(1 - p, gamma) * -functional.logsigmoid(logits)
    bogus = config.focal_alpha[0] * _focus(p, gamma) * -functional.logsigmoid(-logits)
    return targets * real + (1 - targets) * bogus


def _focus(missed: Tensor, gamma: float) -> Tensor:
    """Raise what is missed to a power; below 1 its slope at 0 is infinite, and times nothing no number."""
    return (missed.clamp_min(torch.finfo(missed.dtype).tiny) if 0 < gamma < 1 else missed) ** gamma


@LOSSES.register("bce")
def bce(logits: Tensor, targets: Tensor, config: TrainingConfig) -> Tensor:
    """Binary cross-entropy, -log p_t.

    Examples
    --------
    >>> [round(v, 4) for v in bce(torch.zeros(2), torch.tensor([0.0, 1.0]), TrainingConfig()).tolist()]
    [0.6931, 0.6931]
    """
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def weighted_loss(logits: Tensor, labels: Tensor, weights: Tensor, config: TrainingConfig) -> Tensor:
    """Mean loss of a batch: labels smoothed, stamps weighted.

    Parameters
    ----------
    logits, labels, weights : Tensor, shape (N,)
        Labels are 0 or 1; weights are not negative.
    config : TrainingConfig
        Names the loss and the smoothing.

    Returns
    -------
    Tensor, scalar
        sum(w * loss) / sum(w).
    """
    smooth = config.label_smoothing
    targets = labels * (1 - smooth) + 0.5 * smooth
    losses = LOSSES.resolve(config.loss)(logits, targets, config)
    return (weights * losses).sum() / weights.sum().clamp_min(1e-12)
