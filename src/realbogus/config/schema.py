"""The recipes: dataclasses with one value for everything that decides a training run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..errors import ConfigError

__all__ = ["Config", "ModelConfig", "SplitConfig", "TrainingConfig"]


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and how it scores.

    Parameters
    ----------
    name : str
        What the model is called.
    architecture : str
        Name in the table of architectures.
    options : mapping
        Options of its builder.
    views : {1, 2, 4, 8}
        Symmetric views averaged for one score.
    threshold : float
        Threshold written into the card.
    """

    name: str = "realbogus"
    architecture: str = "resnet18"
    options: Mapping[str, Any] = field(default_factory=dict)
    views: Literal[1, 2, 4, 8] = 1
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"model.threshold is {self.threshold}: scores lie in 0 to 1, give a number between")


@dataclass(frozen=True)
class SplitConfig:
    """How stamps are divided into training, validation and test sets.

    Parameters
    ----------
    by : str
        `stamp`, or a column of the catalogue whose groups stay together.
    fractions : tuple of 3 floats
        Training, validation, test; they sum to 1.
    allow_leakage : bool
        Whether one source may lie on two sides, as in the paper.
    """

    by: str = "source"
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    allow_leakage: bool = False


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of one training run; the defaults are table 1 of the paper.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the data, stamps in a step.
    lr, lr_min : float
        Highest and lowest learning rate of AdamW.
    weight_decay : float
        Decoupled weight decay.
    betas : tuple of 2 floats
        Moment decay rates of AdamW.
    schedule : str
        Name in the table of schedules.
    warmup : float
        Share of all steps in which the rate rises, where the schedule has a warm-up.
    loss : str
        Name in the table of losses.
    focal_alpha : tuple of 2 floats
        Weight of bogus and of real in the focal loss.
    focal_gamma : float
        Focusing exponent of the focal loss.
    label_smoothing : float
        0 trains on 0 and 1, s on s/2 and 1 - s/2.
    balance : str
        Name in the table of balances: `repeat` or `balanced`.
    repeat_reals : int
        How often a real is shown in an epoch of `repeat`.
    rows_per_epoch : int
        Stamps in an epoch of `balanced`; 0 is as many as there are.
    augment : tuple of str
        Names in the table of augmentations, in order.
    augment_probability : float
        With which each stamp undergoes each augmentation.
    fwhm_jitter, noise_jitter : float
        Relative scatter (1 sigma) of the PSF size and the noise handed to the preprocessing.
    variants : int
        Differently jittered versions of every stamp kept in memory.
    ema : float
        Decay a step of the averaged weights; 0 keeps the last ones.
    keep : {"last", "best"}
        Which epoch's weights are kept: the last, or that of least validation loss.
    gradient_clip : float
        Largest norm of the gradient; 0 is no limit.
    mixup : float
        Shape `a` of the Beta(a, a) share by which stamps and labels of a batch are mixed
        (Zhang et al. 2018); 0 mixes nothing.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the network; `auto` is bfloat16 where hardware and network are known to be quicker so.
    compile : bool
        Whether torch.compile makes the network quicker first: a minute that a long run earns back.
    device : str
        `auto`, `cpu`, `cuda`, ...
    devices : int
        On how many of them every batch is shared out; on a CPU, processes. 0 is all GPUs there are.
    threads : int
        Threads of torch on a CPU; 0 leaves its setting.
    data : {"memory", "mapped"}
        Where prepared planes lie: in memory, or in a file that is mapped into it, for sets
        larger than memory. The results are the same.
    tensorboard : bool
        Whether curves are also written for TensorBoard, where its package is installed.
    """

    epochs: int = 100
    batch_size: int = 256
    lr: float = 1e-4
    lr_min: float = 1e-7
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "cosine"
    warmup: float = 0.0
    loss: str = "focal"
    focal_alpha: tuple[float, float] = (0.1, 0.9)
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    balance: str = "repeat"
    repeat_reals: int = 5
    rows_per_epoch: int = 0
    augment: tuple[str, ...] = ("flip", "rotate", "scale", "brightness")
    augment_probability: float = 0.5
    fwhm_jitter: float = 0.0
    noise_jitter: float = 0.0
    variants: int = 1
    ema: float = 0.0
    keep: Literal["last", "best"] = "last"
    gradient_clip: float = 0.0
    mixup: float = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    device: str = "auto"
    devices: int = 1
    threads: int = 0
    data: Literal["memory", "mapped"] = "memory"
    tensorboard: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    raise ConfigError(f"training.{name} is {value}: give a finite number")
        for name in ("epochs", "batch_size", "repeat_reals", "variants"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} is {getattr(self, name)}: it must be at least 1")
        if self.lr <= 0 or not 0 <= self.lr_min <= self.lr:
            raise ConfigError(f"training.lr {self.lr} and lr_min {self.lr_min}: need 0 <= lr_min <= lr and lr > 0")
        for name in ("warmup", "label_smoothing", "augment_probability", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"training.{name} is {getattr(self, name)}: it must lie in 0 to 1")
        for name in (
            "weight_decay",
            "fwhm_jitter",
            "noise_jitter",
            "gradient_clip",
            "rows_per_epoch",
            "mixup",
            "devices",
            "threads",
            "focal_gamma",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"training.{name} is {getattr(self, name)}: it must not be negative")
        if min(self.focal_alpha) < 0 or max(self.focal_alpha) == 0:
            raise ConfigError(
                f"training.focal_alpha is {list(self.focal_alpha)}: the weights of bogus and real must not be "
                "negative, nor both 0"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"training.betas is {list(self.betas)}: both must lie in 0 to 1, below 1")


def _paper_preprocess() -> Mapping[str, Any]:
    return {"planes": ["native:difference"], "channels": ["difference"], "size": 64, "orient": False}


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run.

    Parameters
    ----------
    seed : int
        Of all randomness, unless a generator is handed in.
    model : ModelConfig
        The network.
    preprocess : mapping
        Options of `Preprocess`; keys left out have its defaults.
    training : TrainingConfig
        The recipe.
    split : SplitConfig
        Training, validation and test sets.

    Examples
    --------
    >>> from realbogus.config import build
    >>> config = build(Config, {"training": {"epochs": 3}})
    >>> config.training.epochs, config.model.architecture
    (3, 'resnet18')
    >>> build(Config, {"training": {"epoch": 3}})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: unknown key 'training.epoch': did you mean 'epochs'? known are augment, ...
    """

    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    preprocess: Mapping[str, Any] = field(default_factory=_paper_preprocess)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    split: SplitConfig = field(default_factory=SplitConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:  # torch takes no more
            raise ConfigError(f"seed is {self.seed}: give a whole number from 0 to 2**63 - 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain values as JSON gives them back: lists for tuples."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def to_json(self) -> str:
        """Text of the resolved configuration, which `load_config` reads back."""
        return json.dumps(self.to_dict(), indent=1) + "\n"
