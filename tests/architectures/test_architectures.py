"""What is true of single networks; what is true of all lies in tests/conformance."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from realbogus.architectures import ARCHITECTURES, build_network
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


def dropouts(network: nn.Module) -> list[float]:
    return [module.p for module in network.modules() if isinstance(module, nn.Dropout) and module.p]


@pytest.mark.parametrize(
    ("name", "stages"),
    [("resnet18", 4), ("efficientnet_b0", 5), ("densenet121", 4), ("repvgg_a0", 4), ("shufflenetv2_x0_5", 3)],
)
def test_dropout_of_the_families(name: str, stages: int) -> None:
    with torch.device("meta"):
        assert dropouts(build_network(name, 1, 64)) == [0.25] * stages + [0.5]
        assert dropouts(build_network(name, 1, 64, conv_dropout=0.1, dropout=0.2)) == [0.1] * stages + [0.2]


def test_weights_fit_a_network_with_other_dropout() -> None:
    trained = build_network("shufflenetv2_x0_5", 1, 32)
    build_network("shufflenetv2_x0_5", 1, 32, conv_dropout=0.0, dropout=0.0).load_state_dict(trained.state_dict())


def test_vgg_reads_the_map_it_has() -> None:
    with torch.device("meta"):
        for size, side in ((32, 1), (64, 2), (100, 3), (224, 7), (300, 7)):
            network = build_network("vgg11", 1, size)
            assert network.get_submodule("pre_logits.fc1").kernel_size == (side, side)  # type: ignore[union-attr]
            assert network(torch.zeros(2, 1, size, size)).shape == (2, 1)
        assert dropouts(network) == [0.25] * 5 + [0.5] * 2  # its head has two hidden layers


def test_vgg_at_224_is_the_original() -> None:
    import timm

    with torch.device("meta"):
        ours = [value.shape for value in build_network("vgg11", 3, 224, classes=1000).state_dict().values()]
        assert ours == [value.shape for value in timm.create_model("vgg11_bn").state_dict().values()]


def test_vit_always_sees_64_patches_or_more() -> None:
    with torch.device("meta"):
        for size, patch in ((32, 4), (64, 8), (70, 8), (224, 16)):
            network = build_network("vit_tiny", 1, size)
            assert network.get_submodule("patch_embed.proj").kernel_size == (patch, patch)  # type: ignore[union-attr]
        assert build_network("vit_tiny", 1, 64, patch=16)(torch.zeros(2, 1, 64, 64)).shape == (2, 1)


def test_batch_normalisation_of_repvgg_starts_at_one() -> None:
    norms = [m for m in build_network("repvgg_a0", 1, 32).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) > 40
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_weights_of_shufflenet_start_small() -> None:
    for module in build_network("shufflenetv2_x0_5", 1, 64).modules():
        if isinstance(module, nn.Conv2d):
            assert 0.0035 < module.weight.std() < 0.0065


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "compact"])
def test_planes_that_would_be_halved_away(name: str) -> None:
    with pytest.raises(ConfigError, match=r"31 px are too small.*give 32 px or more"):
        build_network(name, 1, 31)


@pytest.mark.parametrize("error", [ImportError("no timm"), RuntimeError("operator torchvision::nms does not exist")])
def test_a_library_that_cannot_be_loaded(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr("realbogus.architectures.parts.importlib.import_module", fail)
    for name in ("shufflenetv2_x0_5", "resnet18"):
        with pytest.raises(ConfigError, match=r"cannot be loaded .*belong together"):
            build_network(name, 1, 64)


def test_unknown_names_and_options() -> None:
    with pytest.raises(UnknownNameError, match="known are compact"):
        build_network("vgg99", 1, 32)
    with pytest.raises(ConfigError, match="does not take the options"):
        build_network("resnet18", 1, 32, depth=3)
    with pytest.raises(ConfigError, match="at least one"):
        build_network("compact", 0, 32)
