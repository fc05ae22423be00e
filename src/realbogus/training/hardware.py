"""Which devices, which precision, how many threads."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy

from ..config import TrainingConfig
from ..errors import ConfigError

__all__ = [
    "PATIENCE",
    "Place",
    "choose_device",
    "device_count",
    "kept_memory",
    "make_fabric",
    "own_randomness",
    "seed_torch",
    "settled",
    "threads",
]

#: How long one process of a run waits for another: more than any of them is ever busy alone.
PATIENCE = timedelta(minutes=10)

#: Networks that train quicker in bfloat16 on a CPU with instructions for it, of those tried (docs/model.md).
_QUICK_IN_BFLOAT16 = (
    "resnet18", "resnet34", "resnet50", "densenet121", "densenet169", "vgg11", "vgg13", "vit_tiny", "repvgg_a0",
)  # fmt: skip
#: These only where it multiplies matrices of bfloat16.
_QUICK_WITH_AMX = ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2")

# Of glibc's malloc.h: the option, its value for a run, and its default.
_MALLOPT = {
    "M_MMAP_MAX": (-4, 0, 65536),  # no block has a mapping of its own, which would go back with its `free`
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1, 128 * 1024),  # what is free at the end of the heap stays there
    "M_TOP_PAD": (-2, 256 * 2**20, 128 * 1024),  # the heap grows by so much at a time
}


class Place(ClusterEnvironment):
    """Where one process stands among those of a run, all on this machine; Lightning need not start any.

    It is told, not guessed: Lightning would take variables of SLURM, MPI or torchrun in the
    environment for an order to be one of several processes, which we did not start.

    Parameters
    ----------
    rank, count : int
        Its number, from 0, and how many there are.
    port : int
        Of this machine, where they meet; 0 for one alone.
    """

    def __init__(self, rank: int = 0, count: int = 1, port: int = 0) -> None:
        self._rank, self._count, self._port = rank, count, port

    creates_processes_externally = True
    main_address = "127.0.0.1"

    @property
    def main_port(self) -> int:
        """Port where the processes meet."""
        return self._port

    @staticmethod
    def detect() -> bool:
        """Whether the environment says so: never."""
        return False

    def world_size(self) -> int:
        """How many processes there are."""
        return self._count

    def set_world_size(self, size: int) -> None:
        """Change nothing: the number is fixed."""

    def global_rank(self) -> int:
        """Return the number of this process."""
        return self._rank

    def set_global_rank(self, rank: int) -> None:
        """Change nothing: the place is fixed."""

    def local_rank(self) -> int:
        """Return the number of this process on this machine."""
        return self._rank

    def node_rank(self) -> int:
        """Return the number of this machine, the only one."""
        return 0


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` is a GPU where there is one.

    Raises
    ------
    ConfigError
        No such device here.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}: choose auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r}: training runs on cpu and cuda; choose one of them, or auto")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: torch sees no GPU here; choose auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r}: torch sees {torch.cuda.device_count()} GPUs here, counted from 0")
    return device


def device_count(recipe: TrainingConfig) -> int:
    """Return on how many devices a recipe trains here.

    Raises
    ------
    ConfigError
        More GPUs than there are, several where one is named, or batches too small to be shared out.

    Examples
    --------
    >>> device_count(TrainingConfig(device="cpu", devices=2))
    2
    """
    device = choose_device(recipe.device)
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1
    count = recipe.devices or gpus
    if device.type == "cuda" and count > gpus:
        have = f"{gpus} GPUs are here" if device.index is None else f"device {recipe.device!r} names one"
        raise ConfigError(f"training.devices is {count}, but {have}: lower it, or take 0 for all")
    if count > 1 and recipe.batch_size < 2 * count:
        raise ConfigError(
            f"training.batch_size {recipe.batch_size} on {count} devices: each needs at least 2 stamps of every batch"
        )
    return count


def settled(recipe: TrainingConfig, architecture: str) -> TrainingConfig:
    """Return the recipe with its precision named where it is `auto`: bfloat16 where training is quicker so.

    That is on a GPU that has it, and on a CPU with AVX-512 BF16 or AMX for ResNets, DenseNets, VGGs, RepVGG_A0 and
    ViT_Tiny, with AMX for EfficientNets too. Without instructions of their own bfloat16 numbers are slower.

    Parameters
    ----------
    recipe : TrainingConfig
        `device` and `precision`.
    architecture : str
        The network's name.

    Examples
    --------
    >>> settled(TrainingConfig(device="cpu"), "shufflenetv2_x0_5").precision
    'float32'
    """
    if recipe.precision != "auto":
        return recipe
    if choose_device(recipe.device).type == "cuda":
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        quick = architecture in _QUICK_IN_BFLOAT16 and torch.cpu._is_avx512_bf16_supported()  # AMX comes with it
        quick |= architecture in _QUICK_WITH_AMX and torch.cpu._is_amx_tile_supported()
    return replace(recipe, precision="bfloat16" if quick else "float32")


def make_fabric(recipe: TrainingConfig, place: Place | None = None) -> Fabric:
    """Return Lightning's Fabric for a recipe: the device, the precision, and DDP where it is one of several.

    Parameters
    ----------
    recipe : TrainingConfig
        `device` and `precision`, as `settled` names it; what is not named is float32.
    place : Place, optional
        Where this process stands among several; it is alone where absent.
    """
    device = choose_device(recipe.device)
    strategy: Strategy | str = "auto"
    if place is not None:
        strategy = DDPStrategy(cluster_environment=place, timeout=PATIENCE)
    alone: list[int] | int = [device.index or 0] if device.type == "cuda" else 1
    return Fabric(
        accelerator=device.type,
        devices=alone if place is None else place.world_size(),
        strategy=strategy,
        precision="bf16-mixed" if recipe.precision == "bfloat16" else "32-true",
        plugins=[Place()] if place is None else None,
    )


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's own generators of the CPU and of one device; those of other GPUs are left alone."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Seed torch inside as one likes, on the CPU and one device; outside nothing has happened."""
    used = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=used):
        yield


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside; 0 leaves its setting."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory for the next batch inside, instead of giving it back to the system; afterwards it goes back.

    A batch on a CPU takes gigabytes piece by piece and frees them again. glibc maps large pieces
    each for itself and unmaps them when they are freed, so that at the next batch the system
    must hand out empty pages again, zeroed one by one: up to a third of the time of a step. Its
    function `mallopt` says instead that everything comes from the heap and stays there. The
    settings are the whole process's. Afterwards they are glibc's defaults, but that its
    threshold for a mapping no longer grows with what is freed: no call brings that back.
    Elsewhere than with glibc nothing happens.
    """
    try:
        library = ctypes.CDLL(None)
        set_option, trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):
        yield
        return
    for option, value, _ in _MALLOPT.values():
        set_option(option, value)
    try:
        yield
    finally:
        for option, _, default in _MALLOPT.values():
            set_option(option, default)
        trim(0)
