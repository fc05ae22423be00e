"""Recipes looked through before anything is done with them: what cannot be trained is refused at once."""

from __future__ import annotations

import torch

from ..architectures import build_network
from ..config import Config
from ..errors import ConfigError
from ..preprocess import Preprocess
from .augment import AUGMENTATIONS
from .balance import BALANCES
from .hardware import device_count
from .loss import LOSSES
from .schedule import SCHEDULES

__all__ = ["check_recipe"]


def check_recipe(config: Config) -> Preprocess:
    """Refuse a configuration that cannot be trained here, and return its preprocessing.

    The network is built once, for this alone: only so its options are known to be good.

    Parameters
    ----------
    config : Config
        The configuration.

    Raises
    ------
    UnknownNameError
        A network, schedule, loss, balance or augmentation that nobody knows.
    ConfigError
        Options of the network or the preprocessing that cannot be, a network of other than one
        logit a stamp, or devices that are not here.

    Examples
    --------
    >>> from realbogus.config import with_overrides
    >>> check_recipe(with_overrides(Config(), {"model.architecture": "compact"})).size
    64
    >>> check_recipe(with_overrides(Config(), {"training.loss": "hinge"}))
    Traceback (most recent call last):
        ...
    realbogus.errors.UnknownNameError: unknown loss 'hinge': known are bce, focal
    """
    recipe = config.training
    SCHEDULES.resolve(recipe.schedule)
    LOSSES.resolve(recipe.loss)
    BALANCES.resolve(recipe.balance)
    for name in recipe.augment:
        AUGMENTATIONS.resolve(name)
    device_count(recipe)
    if recipe.batch_size < 2 or (recipe.balance == "balanced" and recipe.rows_per_epoch == 1):
        raise ConfigError(
            f"training.batch_size {recipe.batch_size}, training.rows_per_epoch {recipe.rows_per_epoch}: a step needs "
            "two stamps at least, one has no variance to normalise by"
        )
    prepare = Preprocess.from_dict(config.preprocess)
    planes, name, options = len(prepare.planes), config.model.architecture, dict(config.model.options)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = build_network(name, planes, prepare.size, **options)
        try:
            logits = network.train()(torch.zeros(2, planes, prepare.size, prepare.size))
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"architecture {name!r} with the options {options} (model.options) does not run on planes "
                f"{planes} x {prepare.size} x {prepare.size}: {error}"
            ) from error
    if logits.numel() != 2:
        raise ConfigError(
            f"architecture {name!r} with the options {options} gives {logits.numel() // 2} logits a stamp, and real or "
            "bogus is one: leave out `classes` of model.options"
        )
    return prepare
