"""One training run: stamps and a configuration in, a `Model` out.

Every epoch draws its randomness from (seed, epoch) alone, so a run that was killed goes on
from its last whole epoch exactly as if nothing had happened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..classifier import Card
from ..config import Config
from ..errors import ConfigError, InputError
from ..model import Model
from ..preprocess import Preprocess
from ..stamps import StampSet
from .checkpoint import read_checkpoint, write_checkpoint
from .hardware import choose_device, threads
from .history import write_history
from .planes import fingerprint, labelled_rows
from .run import Progress, Run, make_part

__all__ = ["Progress", "train"]


def train(
    stamps: StampSet,
    config: Config,
    *,
    rows: ArrayLike | None = None,
    valid_rows: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    out: Path | str | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Model:
    """Train a network.

    Parameters
    ----------
    stamps : StampSet
        Labelled stamps; rows labelled `IGNORE` or `UNLABELLED` are left out.
    config : Config
        The recipe; `Config()` is table 1 of the paper.
    rows, valid_rows : array_like of int, optional
        Rows to train on (all where absent; repetitions count, as a bootstrap has them), and
        rows to validate against after each epoch (no validation where absent).
    weights : array_like of float, shape (len(stamps),), optional
        Weight of each stamp in the loss; the catalogue's column `weight`, or 1, where absent.
    rng : numpy.random.Generator, optional
        The run's one seed is drawn from it; `config.seed` where absent.
    out : path, optional
        Folder for the model, `history.csv` and the checkpoint of every epoch.
    resume : bool
        Go on from the checkpoint in `out`, if there is one.
    progress : callable, optional
        Called with a `Progress` after every batch and epoch.

    Returns
    -------
    Model
        Also saved in `out`.

    Raises
    ------
    InputError
        Labels of both classes are not there, or rows do not exist.
    ConfigError
        Names or options nobody knows, or the checkpoint in `out` is of another run.
    ModelError
        The loss became infinite or NaN, or the checkpoint is damaged.
    OutputError
        `out` cannot be written.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from realbogus.config import with_overrides
    >>> catalogue = Table({"id": range(8), "noise": [1.0] * 8, "fwhm": [3.0] * 8, "label": [0, 1] * 4})
    >>> stamps = StampSet(np.zeros((8, 1, 64, 64), "float32"), catalogue)
    >>> quick = {"model.architecture": "compact", "preprocess.size": 32, "training.epochs": 1}
    >>> model = train(stamps, with_overrides(Config(), quick))
    >>> model.card.data["real"], model.card.config["training"]["epochs"]
    (4, 1)
    """
    recipe = config.training
    seed = config.seed if rng is None else int(rng.integers(2**62))
    preprocess = Preprocess.from_dict(config.preprocess)
    train_rows = labelled_rows(stamps, None if rows is None else np.asarray(rows), "training")
    check_rows = None if valid_rows is None else labelled_rows(stamps, np.asarray(valid_rows), "validation")
    if recipe.keep == "best" and check_rows is None:
        raise ConfigError("training.keep is 'best', which needs validation rows: hand in valid_rows, or keep 'last'")
    card = Card(
        name=config.model.name,
        architecture=config.model.architecture,
        architecture_options=dict(config.model.options),
        preprocess=preprocess,
        threshold=config.model.threshold,
        views=config.model.views,
        config=config.to_dict(),
        data=fingerprint(stamps, train_rows) | {"seed": seed},
    )
    folder = None if out is None else Path(out)
    with threads(recipe.threads), _own_torch_randomness():
        run = Run(config, seed, Model.create(card, seed=seed, device=choose_device(recipe.device)), card)
        before = read_checkpoint(folder / "checkpoint") if folder and resume else None
        if before is not None:
            run.restore(before, folder)
        if run.epoch < recipe.epochs:
            every = _weights(stamps, weights)
            jitter = np.random.default_rng([seed, 0])
            part = make_part(stamps, train_rows, every, preprocess, config, jitter, run.model.device)
            check = None
            if check_rows is not None:
                check = make_part(stamps, check_rows, every, preprocess, config, None, run.model.device)
        while run.epoch < recipe.epochs:
            row = run.one_epoch(part, check, progress)
            if folder is not None:
                write_checkpoint(folder / "checkpoint", run.checkpoint())
                write_history(folder / "history.csv", run.history)
            if progress is not None:
                progress(Progress(run.epoch, recipe.epochs, run.batches, run.batches, row))
        model = run.finished()
    if folder is not None:
        model.save(folder)
    return model


def _weights(stamps: StampSet, weights: ArrayLike | None) -> NDArray[np.float32]:
    if weights is None:
        weights = stamps.catalogue["weight"] if "weight" in stamps.catalogue.colnames else np.ones(len(stamps))
    values = np.asarray(weights, dtype=np.float32)
    if values.shape != (len(stamps),) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(f"weights have shape {values.shape}: expected {len(stamps)} finite numbers, none negative")
    return values


@contextlib.contextmanager
def _own_torch_randomness() -> Iterator[None]:
    """Seed torch inside as one likes; outside nothing has happened."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
