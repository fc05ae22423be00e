"""Augmentation of whole batches of planes, on the device that trains.

Each entry of `AUGMENTATIONS` takes planes (N, P, S, S), a probability and a seeded
`torch.Generator`, and returns planes of the same shape; every stamp draws for itself.
The paper's four (section 3) are `flip`, `rotate`, `scale` and `brightness`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..registry import Registry

__all__ = ["AUGMENTATIONS", "Augmentation", "augment", "mix"]

#: `(planes, probability, generator) -> planes`
Augmentation = Callable[[Tensor, float, torch.Generator], Tensor]

AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")

_RANGE = (0.8, 1.2)


def augment(
    planes: Tensor, names: Sequence[str | Augmentation], probability: float, generator: torch.Generator
) -> Tensor:
    """Apply augmentations in order.

    Parameters
    ----------
    planes : Tensor, shape (N, P, S, S)
        A batch, on the generator's device; it is not changed.
    names : sequence of str or callable
        Names in the table.
    probability : float
        With which each stamp undergoes each of them.
    generator : torch.Generator
        Source of the randomness.

    Raises
    ------
    UnknownNameError
        A name is in no line of the table.

    Examples
    --------
    >>> planes = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> sorted(augment(planes, ["flip", "rotate"], 1.0, torch.Generator().manual_seed(0)).flatten().tolist())
    [0.0, 1.0, 2.0, 3.0]
    """
    for name in names:
        planes = AUGMENTATIONS.resolve(name)(planes, probability, generator)
    return planes


@AUGMENTATIONS.register("flip")
def flip(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mirror vertically or horizontally, either with equal chance."""
    chosen = _chance(planes, probability, generator)
    vertical = _chance(planes, 0.5, generator)
    planes = _where(chosen & vertical, planes.flip(-2), planes)
    return _where(chosen & ~vertical, planes.flip(-1), planes)


@AUGMENTATIONS.register("rotate")
def rotate(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Turn by 90, 180 or 270 degrees."""
    chosen = _chance(planes, probability, generator)
    turns = torch.randint(1, 4, (len(planes),), generator=generator, device=planes.device)
    out = planes
    for number in (1, 2, 3):
        out = _where(chosen & (turns == number), torch.rot90(planes, number, (-2, -1)), out)
    return out


@AUGMENTATIONS.register("symmetry")
def symmetry(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """One of the eight symmetries of the square, all equally likely."""
    chosen = _chance(planes, probability, generator)
    for axes in ((-1,), (-2,)):
        planes = _where(chosen & _chance(planes, 0.5, generator), planes.flip(axes), planes)
    return _where(chosen & _chance(planes, 0.5, generator), planes.transpose(-1, -2), planes)


@AUGMENTATIONS.register("scale")
def scale(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Enlarge or shrink about the centre by 80 to 120 per cent, bilinear; what enters is zero."""
    chosen = _chance(planes, probability, generator)
    factor = _uniform(planes, generator)
    factor = torch.where(chosen, factor, torch.ones_like(factor))
    theta = torch.zeros(len(planes), 2, 3, device=planes.device, dtype=planes.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = 1.0 / factor
    grid = functional.affine_grid(theta, list(planes.shape), align_corners=False)
    scaled = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _where(chosen, scaled, planes)


@AUGMENTATIONS.register("brightness")
def brightness(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Multiply by 80 to 120 per cent."""
    chosen = _chance(planes, probability, generator)
    return _where(chosen, planes * _uniform(planes, generator)[:, None, None, None], planes)


def mix(
    planes: Tensor, labels: Tensor, weights: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix every stamp of a batch with another one, and their labels alike (mixup; Zhang et al. 2018).

    Parameters
    ----------
    planes : Tensor, shape (N, P, S, S)
        A batch, on the generator's device.
    labels, weights : Tensor, shape (N,)
        Of its stamps.
    share : float
        In 0 to 1; the larger of it and its complement is what stays of each stamp.
    generator : torch.Generator
        Source of the pairs.

    Returns
    -------
    tuple of Tensor
        Planes, labels (now between 0 and 1) and weights, mixed.

    Examples
    --------
    >>> planes, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0.0, 1.0])
    >>> mix(planes, labels, torch.ones(2), 0.25, torch.Generator().manual_seed(1))[1].tolist()
    [0.25, 0.75]
    """
    share = max(share, 1 - share)
    other = torch.randperm(len(planes), generator=generator, device=planes.device)
    planes = torch.lerp(planes[other], planes, share)
    mixed = torch.lerp(weights[other], weights, share)
    # the loss of the pair is the weighted sum of both: a stamp that weighs nothing brings no label either
    labels = torch.lerp((weights * labels)[other], weights * labels, share) / mixed.clamp_min(1e-12)
    return planes, labels, mixed


def _chance(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(len(planes), generator=generator, device=planes.device) < probability


def _uniform(planes: Tensor, generator: torch.Generator) -> Tensor:
    low, high = _RANGE
    return low + (high - low) * torch.rand(len(planes), generator=generator, device=planes.device)


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen[:, None, None, None], new, old)
