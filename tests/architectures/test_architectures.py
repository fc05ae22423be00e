"""What is true of single networks; what is true of all lies in tests/conformance."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from realbogus.architectures import build_network
from realbogus.architectures.compact import Compact
from realbogus.errors import ConfigError, UnknownNameError


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_compact_has_the_size_of_the_prototype() -> None:
    assert 171_000 < count(build_network("compact", 2, 32)) < 174_000


def test_compact_takes_widths() -> None:
    narrow = build_network("compact", 1, 16, widths=(4, 4, 8, 8), hidden=8)
    assert count(narrow) < 3000
    assert narrow.eval()(torch.zeros(2, 1, 16, 16)).shape == (2,)


@pytest.mark.parametrize("widths", [(), (4, 4, 4)])
def test_compact_needs_pairs(widths: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="even number"):
        build_network("compact", 1, 32, widths=widths)


def test_compact_refuses_planes_too_small() -> None:
    with pytest.raises(ConfigError, match="too small for 3 stages"):
        build_network("compact", 1, 6)


def test_the_centre_is_symmetric_and_holds_the_source() -> None:
    network = build_network("compact", 1, 32)
    assert isinstance(network, Compact)
    assert network.first + network.last == 8  # of the 8 x 8 map
    for pixel in (15, 16):  # where the source lies in a flipped plane, and in one as it is
        assert network.first <= pixel // 4 < network.last


def test_resnet18_is_the_papers() -> None:
    # 11.7 M in table 2 is with 1000 classes and 3 colours
    full = 11_689_512
    swapped = (1000 - 1) * (512 + 1) + (3 - 1) * 64 * 49
    assert count(build_network("resnet18", 1, 64)) == full - swapped


def test_resnet_has_the_papers_dropout() -> None:
    network = build_network("resnet18", 1, 64)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.25] * 4
    assert getattr(network, "drop_rate") == 0.5  # noqa: B009 - timm's attribute, unknown to types
    network.train()
    planes = torch.randn(4, 1, 64, 64)
    assert not torch.equal(network(planes), network(planes))


def test_unknown_names_and_options() -> None:
    with pytest.raises(UnknownNameError, match="known are compact"):
        build_network("vgg99", 1, 32)
    with pytest.raises(ConfigError, match="does not take the options"):
        build_network("resnet18", 1, 32, depth=3)
    with pytest.raises(ConfigError, match="at least one"):
        build_network("compact", 0, 32)
