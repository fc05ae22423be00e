"""What a process takes from its surroundings, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch

from realbogus.config import Config, TrainingConfig, with_overrides
from realbogus.stamps import StampSet
from realbogus.training.hardware import Place, make_fabric, own_randomness, seed_torch, settled
from realbogus.training.train import train

SLURM = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "12", "SLURM_PROCID": "3",
         "SLURM_LOCALID": "3", "SLURM_NODEID": "0", "SLURM_NODELIST": "node[1-2]",
         "SLURM_NTASKS_PER_NODE": "4"}  # fmt: skip
TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0", "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}  # fmt: skip


@pytest.mark.parametrize("variables", [SLURM, TORCHRUN], ids=["slurm", "torchrun"])
def test_the_environment_gives_no_orders(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    recipe = TrainingConfig(device="cpu")
    alone = make_fabric(recipe)
    assert (alone.world_size, alone.global_rank, alone.device.type) == (1, 0, "cpu")
    assert isinstance(alone._connector.cluster_environment, Place)
    second = make_fabric(recipe, Place(1, 2, 12345))
    assert (second.world_size, second.global_rank) == (2, 1)
    assert isinstance(second._connector.cluster_environment, Place)


@pytest.mark.parametrize(
    ("bf16", "amx", "network", "asked", "expected"),
    [
        (True, False, "resnet18", "auto", "bfloat16"),
        (True, True, "densenet121", "auto", "bfloat16"),
        (True, False, "efficientnet_b0", "auto", "float32"),  # quicker in float32 even there
        (True, True, "efficientnet_b0", "auto", "bfloat16"),
        (True, True, "compact", "auto", "float32"),
        (True, True, "resnet18", "float32", "float32"),
        (False, False, "resnet18", "auto", "float32"),
        (False, False, "efficientnet_b2", "auto", "float32"),
        (False, False, "resnet18", "bfloat16", "bfloat16"),
    ],
)
def test_precision_of_a_cpu(
    bf16: bool, amx: bool, network: str, asked: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    recipe = settled(TrainingConfig(device="cpu", precision=asked), network)  # type: ignore[arg-type]
    assert recipe.precision == expected
    assert make_fabric(recipe)._precision.precision == ("bf16-mixed" if expected == "bfloat16" else "32-true")


def test_training_takes_the_precision_of_its_network(toy_stamps: StampSet, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def several(recipe: TrainingConfig, *_: object) -> None:
        taken.append(recipe.precision)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr("realbogus.training.train.several", several)
    for network in ("resnet18", "efficientnet_b0"):
        config = with_overrides(Config(), {"model.architecture": network, "training.device": "cpu"})
        with pytest.raises(KeyboardInterrupt):
            train(toy_stamps, config)
    assert taken == ["bfloat16", "float32"]


def test_randomness_inside_is_its_own() -> None:
    before = torch.random.get_rng_state()
    device = torch.device("cpu")
    drawn = []
    for _ in range(2):
        with own_randomness(device):
            seed_torch(5, device)
            drawn.append(torch.rand(3))
    assert torch.equal(*drawn)
    assert torch.equal(torch.random.get_rng_state(), before)
    with own_randomness(device):
        torch.manual_seed(5)  # the same numbers
        assert torch.equal(torch.rand(3), drawn[0])


def test_only_the_gpu_in_use_is_forked_and_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Nothing:
        def __init__(self, *arguments: object, **options: object) -> None:
            asked.append(options.get("devices", arguments))

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.random, "fork_rng", Nothing)
    monkeypatch.setattr(torch.cuda, "device", Nothing)
    monkeypatch.setattr(torch.cuda, "manual_seed", asked.append)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the other GPUs were seeded"))
    state = torch.random.get_rng_state()
    device = torch.device("cuda", 1)
    with own_randomness(device):
        seed_torch(3, device)
    torch.random.set_rng_state(state)
    assert asked == [[1], (device,), 3]
