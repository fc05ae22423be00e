"""Counts against those that the libraries publish with their weights, and against a count by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from realbogus.architectures import ARCHITECTURES
from realbogus.architectures.facts import PAPER_NAMES, PAPER_NETWORKS, facts, multiply_adds, stamps_per_second
from realbogus.errors import ConfigError, UnknownNameError

# From the tables of torchvision and timm. RepVGG's is that of the plain network; UniRepLKNet's in its own
# test below.
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "vgg11": 132_868_840,
    "vgg13": 133_053_736,
    "vit_tiny": 5_717_416,
    "shufflenetv2_x0_5": 1_366_792,
    "repvgg_a0": 8_309_384,
}


@pytest.mark.parametrize("name", PAPER_NAMES)
def test_parameters_are_those_of_table_2(name: str) -> None:
    cost = facts(name, speed=False)
    assert cost.paper == PAPER_NAMES[name]
    assert cost.parameters <= cost.trained_parameters < cost.parameters_imagenet * 1.1
    if name in PUBLISHED:
        assert cost.parameters_imagenet == PUBLISHED[name]
    if name in PAPER_NETWORKS:
        ours = round(cost.parameters_imagenet / 1e6, 1)
        assert (ours == PAPER_NETWORKS[name].millions) == (not PAPER_NETWORKS[name].note)


def test_the_three_that_table_2_has_wrong() -> None:
    assert [name for name, network in PAPER_NETWORKS.items() if network.note] == [
        "resnet34",
        "efficientnet_b2",
        "vgg11",
    ]
    assert len(PAPER_NETWORKS) == 13
    assert set(PAPER_NAMES) | {"compact"} <= set(ARCHITECTURES)


def test_unireplknet_counted_by_hand() -> None:
    widths, depths, kernels = (40, 80, 160, 320), (2, 2, 6, 2), (3, 13, 13, 13)
    total = (3 * 9 + 1) * 20 + 2 * 20 + (20 * 9 + 1) * 40 + 2 * 40  # the stem: convolutions and norms
    for stage, (width, depth, kernel) in enumerate(zip(widths, depths, kernels, strict=True)):
        if stage:
            total += (widths[stage - 1] * 9 + 1) * width + 2 * width
        spatial = width * kernel**2 + width
        excitation = (width + 1) * (width // 4) + (width // 4 + 1) * width
        feed_forward = (width + 1) * 4 * width + 4 * width + (4 * width + 1) * width  # 4 * width gains
        total += depth * (spatial + excitation + feed_forward)
    total += 2 * 320 + 321 * 1000
    assert facts("unireplknet_a", speed=False).parameters_imagenet == total


def test_multiply_adds_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(4 * 16, 5))
    assert multiply_adds(network, 3, 8) == 16 * 4 * 27 + 64 * 5


def test_attention_is_counted_on_every_device() -> None:
    assert facts("vit_tiny", speed=False).multiply_adds == vit_by_hand()


def vit_by_hand() -> int:
    tokens, width = 65, 192
    block = tokens * width * width * (3 + 1 + 4 + 4) + 2 * tokens * tokens * width
    return 64 * 64 * width + 12 * block + width


def test_speed_is_measured_and_may_be_left_out() -> None:
    cost = facts("compact", size=32, batch=4, seconds=0.0)
    assert 0 < cost.stamps_per_s < math.inf
    assert math.isnan(facts("compact", size=32, speed=False).stamps_per_s)
    with pytest.raises(ConfigError, match="batch of 0"):
        stamps_per_second(nn.Conv2d(1, 1, 3), 1, 8, batch=0)


def test_measuring_draws_nothing_from_the_callers_generator() -> None:
    before = torch.random.get_rng_state()
    facts("compact", size=32, batch=2, seconds=0.0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_unknown_network() -> None:
    with pytest.raises(UnknownNameError, match="known are compact"):
        facts("vgg99")
