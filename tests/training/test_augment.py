"""Augmentations: what each may do to a stamp, and how often."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from realbogus.errors import UnknownNameError
from realbogus.training.augment import augment, mix


def symmetries(plane: np.ndarray) -> list[bytes]:  # type: ignore[type-arg]
    every = [np.rot90(plane, k, axes=(-2, -1)) for k in range(4)]
    return [np.ascontiguousarray(view).tobytes() for one in every for view in (one, one[..., ::-1])]


def apply(planes: Tensor, name: str, probability: float, seed: int = 0) -> Tensor:
    return augment(planes, [name], probability, torch.Generator().manual_seed(seed))


@pytest.fixture
def planes() -> Tensor:
    return torch.randn(400, 2, 8, 8, generator=torch.Generator().manual_seed(1))


# in the order of `symmetries`: 2 k is k quarter turns, 2 k + 1 the same mirrored left to right
@pytest.mark.parametrize(("name", "expected"), [("flip", {1, 5}), ("rotate", {2, 4, 6}), ("symmetry", set(range(8)))])
def test_turns_and_mirrors_are_symmetries(planes: Tensor, name: str, expected: set[int]) -> None:
    out = apply(planes, name, 1.0)
    seen = [
        symmetries(before.numpy()).index(after.numpy().tobytes()) for before, after in zip(planes, out, strict=True)
    ]
    assert set(seen) == expected
    shares = np.bincount(seen, minlength=8)[sorted(expected)] / len(seen)
    np.testing.assert_allclose(shares, 1 / len(expected), atol=0.08)


@pytest.mark.parametrize("name", ["flip", "rotate", "scale", "brightness"])
def test_half_the_stamps_change_with_probability_half(planes: Tensor, name: str) -> None:
    changed = (apply(planes, name, 0.5) != planes).flatten(1).any(1).float().mean()
    assert 0.42 < changed < 0.58
    assert torch.equal(apply(planes, name, 0.0), planes)


def test_brightness_multiplies_by_80_to_120_per_cent(planes: Tensor) -> None:
    ratio = (apply(planes, "brightness", 1.0) / planes).flatten(1)
    assert (ratio.std(1) < 1e-4).all()
    assert 0.8 <= ratio.min() < 0.81
    assert 1.19 < ratio.max() <= 1.2001


def test_scale_widens_a_gaussian_by_80_to_120_per_cent() -> None:
    axis = torch.arange(64.0) - 31.5
    profile = torch.exp(-0.5 * (axis / 5.0) ** 2)
    star = (profile[:, None] * profile[None, :]).expand(200, 1, 64, 64)
    out = apply(star, "scale", 1.0)
    weight = out.sum((1, 2))
    width = torch.sqrt((weight * axis**2).sum(1) / weight.sum(1)) / 5.0
    assert 0.79 < width.min() < 0.83
    assert 1.17 < width.max() < 1.21
    centre = (weight * axis).sum(1) / weight.sum(1)
    assert centre.abs().max() < 0.05


def test_one_seed_one_outcome(planes: Tensor) -> None:
    names = ["flip", "rotate", "scale", "brightness"]
    twice = [augment(planes, names, 0.5, torch.Generator().manual_seed(4)) for _ in range(2)]
    assert torch.equal(*twice)
    assert not torch.equal(twice[0], augment(planes, names, 0.5, torch.Generator().manual_seed(5)))


def test_a_function_does_for_a_name(planes: Tensor) -> None:
    out = augment(planes, [lambda p, probability, generator: -p], 1.0, torch.Generator())
    assert torch.equal(out, -planes)
    with pytest.raises(UnknownNameError, match="known are brightness, flip"):
        augment(planes, ["melt"], 1.0, torch.Generator())


def test_mixing_two_stamps_by_hand() -> None:
    planes = torch.tensor([8.0, 4.0]).reshape(2, 1, 1, 1)
    labels, weights = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0])
    mixed, soft, weighed = mix(planes, labels, weights, 0.25, torch.Generator().manual_seed(1))  # which swaps the two
    assert mixed.flatten().tolist() == [7.0, 5.0]
    assert weighed.tolist() == [1.5, 2.5]
    # of 1.5 the real stamp brings 0.25 * 3, of 2.5 it brings 0.75 * 3
    assert soft.tolist() == pytest.approx([0.5, 0.9])
    # a stamp without weight brings no label
    soft = mix(planes, labels, torch.tensor([1.0, 0.0]), 0.25, torch.Generator().manual_seed(1))[1]
    assert soft.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_mixing_keeps_the_larger_share_of_every_stamp(planes: Tensor, share: float) -> None:
    labels, weights = torch.rand(400), torch.rand(400)
    mixed, soft, weighed = mix(planes, labels, weights, share, torch.Generator().manual_seed(2))
    other = torch.randperm(400, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(mixed, 0.9 * planes + 0.1 * planes[other])
    torch.testing.assert_close(weighed, 0.9 * weights + 0.1 * weights[other])
    # a loss linear in the label is then the weighted sum of both stamps' losses
    torch.testing.assert_close(weighed * soft, 0.9 * weights * labels + 0.1 * weights[other] * labels[other])
