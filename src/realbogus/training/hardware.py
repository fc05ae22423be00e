"""Which devices, which precision, how many threads."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy

from ..config import TrainingConfig
from ..errors import ConfigError

__all__ = ["choose_device", "device_count", "kept_memory", "make_fabric", "threads"]

# Of glibc's malloc.h: the option, its value for a run, and its default.
_MALLOPT = {
    "M_MMAP_MAX": (-4, 0, 65536),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1, 128 * 1024),
    "M_TOP_PAD": (-2, 256 * 2**20, 128 * 1024),
}


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


def make_fabric(recipe: TrainingConfig, environment: ClusterEnvironment | None = None, count: int = 1) -> Fabric:
    """Return Lightning's Fabric for a recipe: the device, the precision, and DDP where it is one of several.

    `precision` `auto` is bfloat16 on a GPU that has it and float32 on a CPU: without
    instructions of their own (AMX) bfloat16 numbers are slower there.

    Parameters
    ----------
    recipe : TrainingConfig
        `device` and `precision`.
    environment : ClusterEnvironment, optional
        Where this process stands among several.
    count : int
        How many there are.
    """
    device = choose_device(recipe.device)
    precision = recipe.precision
    if precision == "auto":
        quick = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bfloat16" if quick else "float32"
    strategy: Strategy | str = "auto"
    if environment is not None:
        strategy = DDPStrategy(cluster_environment=environment)
    return Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" and environment is None else count,
        strategy=strategy,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )


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

    A batch on a CPU takes gigabytes piece by piece and frees them again, and each time the
    system hands out empty pages: up to a fifth of the time of a step. Only glibc has the
    switches; elsewhere nothing happens.
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
