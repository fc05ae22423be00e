"""One training run: stamps and a configuration in, a `Model` out.

Devices, precision and processes are those of Lightning's Fabric. Its Trainer is not used: its
checkpoints are pickles, and ours are data. Every epoch draws its randomness from (seed, epoch)
alone, so a run that was killed goes on from its last whole epoch exactly as if nothing had
happened.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import ArrayLike, NDArray

from .. import columns
from ..classifier import Card
from ..config import Config, TrainingConfig
from ..errors import ConfigError, InputError
from ..model import Model
from ..stamps import StampSet
from .calibrate import measure_calibration
from .checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from .curves import curves
from .folder import check_folder, clear_folder
from .hardware import choose_device, device_count, kept_memory, own_randomness, settled, threads
from .history import write_history
from .part import Part, make_part
from .planes import fingerprint, labelled_rows
from .ranks import several
from .recipe import check_recipe
from .run import Progress, Run, check_identity

__all__ = ["Progress", "train"]


def train(
    stamps: StampSet,
    config: Config,
    *,
    rows: ArrayLike | None = None,
    valid_rows: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    out: Path | str | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Model:
    """Train a network.

    Parameters
    ----------
    stamps : StampSet
        Labelled stamps; rows labelled `IGNORE` or `UNLABELLED` are left out, as are those whose
        `usable` is False.
    config : Config
        The recipe; `Config()` is table 1 of the paper.
    rows, valid_rows : array_like of int or bool, optional
        Rows to train on (all where absent; repetitions count, as a bootstrap has them; or a mask),
        and rows to validate against after each epoch (no validation where absent).
    weights : array_like of float, shape (len(stamps),), optional
        Weight of each stamp in the loss; the catalogue's column `weight`, or 1, where absent. A stamp whose weight
        is missing there counts once.
    targets : array_like of float, shape (len(stamps),), optional
        What the loss compares each score with, in [0, 1], where that is not the label: a teacher's
        score (see `distil`). Labels still balance the classes and are what is reported on.
    rng : numpy.random.Generator, optional
        The run's one seed is drawn from it; `config.seed` where absent.
    out : path, optional
        Folder for the model, `history.csv`, the checkpoint of every epoch and, where the package
        tensorboard is installed, its curves.
    resume : bool
        Go on from the checkpoint in `out`, if there is one; otherwise what an earlier run left
        there is removed first.
    progress : callable, optional
        Called with a `Progress` after every batch and epoch.

    Returns
    -------
    Model
        Also saved in `out`. Its card carries a beta calibration fitted on the validation rows,
        where they hold ten of each class; its scores are not put through it.

    Raises
    ------
    InputError
        Labels of both classes are not there, rows do not exist, or stamps hold NaN.
    UnknownNameError, ConfigError
        Names nobody knows, options that cannot be, or what lies in `out` is of another run.
    ModelError
        The loss became infinite or NaN, or the checkpoint is damaged.
    OutputError
        `out` cannot be written, or holds a stamp set.

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
    preprocess = check_recipe(config)
    train_rows = labelled_rows(stamps, rows, "training")
    check_rows = None if valid_rows is None else labelled_rows(stamps, valid_rows, "validation")
    every = _weights(stamps, weights)
    soft = None if targets is None else _targets(stamps, targets)
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
        data=fingerprint(stamps, train_rows, every)
        | {"seed": seed, "valid": None if check_rows is None else fingerprint(stamps, check_rows, every)["sha256"]}
        | ({} if soft is None else {"targets": hashlib.sha256(soft.astype("<f4").tobytes()).hexdigest()}),
    )
    folder = None if out is None else Path(out)
    if folder is not None and resume:
        check_folder(folder)
    before = read_checkpoint(folder / "checkpoint") if folder and resume else None
    count = device_count(recipe)
    if len(train_rows) < 2 * count:
        raise InputError(f"{len(train_rows)} training stamps on {count} devices: each needs at least 2")
    if before is not None:
        check_identity(before, card, folder)
    if folder is not None and not resume:
        clear_folder(folder)
    jitter = np.random.default_rng([seed, 0, 1])
    with (
        threads(recipe.threads),
        kept_memory(),
        own_randomness(choose_device(recipe.device)),
        _place(recipe, folder, count) as files,
    ):
        part = check = None
        if before is None or before.epoch < recipe.epochs:
            part = make_part(stamps, train_rows, every, preprocess, recipe, jitter, files and files / "train.npy", soft)
        else:
            count = 1  # nothing is left to train
        if part is not None and check_rows is not None:
            check = make_part(stamps, check_rows, every, preprocess, recipe, None, files and files / "valid.npy", soft)
        here = settled(recipe, config.model.architecture)
        job = _Job(replace(config, training=here), seed, card, before, part, check)
        with several(here, count, _follow, job) as fabric:
            model = _lead(fabric, job, folder, progress)
        if check_rows is not None:
            model = model.with_card(replace(model.card, calibration=measure_calibration(model, stamps, check_rows)))
    if folder is not None:
        model.save(folder)
    return model


@dataclass(frozen=True)
class _Job:
    """What every process of a run must know."""

    config: Config
    seed: int
    card: Card
    before: Checkpoint | None
    part: Part | None
    check: Part | None

    def start(self, fabric: Fabric) -> tuple[Run, Part | None, Part | None]:
        run = Run(self.config, self.seed, self.card, fabric)
        if self.before is not None:
            run.restore(self.before)
        part, check = (None if one is None else one.on(fabric.device) for one in (self.part, self.check))
        return run, part, check


def _lead(fabric: Fabric, job: _Job, folder: Path | None, progress: Callable[[Progress], None] | None) -> Model:
    run, part, check = job.start(fabric)
    epochs = run.recipe.epochs
    if folder is not None and run.history:  # a kill may have come between the checkpoint and its row
        write_history(folder / "history.csv", run.history)
    with curves(folder if run.recipe.tensorboard else None, run.epoch) as draw:
        while part is not None and run.epoch < epochs:
            row = run.one_epoch(part, check, progress)
            if folder is not None:
                write_checkpoint(folder / "checkpoint", run.checkpoint())
                write_history(folder / "history.csv", run.history)
            draw(row)
            if progress is not None:
                progress(Progress(run.epoch, epochs, run.batches, run.batches, row))
    return run.finished()


def _follow(fabric: Fabric, job: _Job) -> Run:
    run, part, check = job.start(fabric)
    while part is not None and run.epoch < run.recipe.epochs:
        run.one_epoch(part, check, None)
    return run


@contextlib.contextmanager
def _place(recipe: TrainingConfig, folder: Path | None, count: int) -> Iterator[Path | None]:
    """Make a folder for prepared planes, where they are mapped, as several processes share them; it goes afterwards."""
    if recipe.data == "memory" and count == 1:
        yield None
    elif folder is None:
        with tempfile.TemporaryDirectory(prefix="realbogus-") as name:
            yield Path(name)
    else:
        try:
            yield folder / "prepared"
        finally:
            shutil.rmtree(folder / "prepared", ignore_errors=True)


def _weights(stamps: StampSet, weights: ArrayLike | None) -> NDArray[np.float32]:
    values = np.asarray(columns.weights(stamps.catalogue) if weights is None else weights, dtype=np.float32)
    if values.shape != (len(stamps),) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(f"weights have shape {values.shape}: expected {len(stamps)} finite numbers, none negative")
    return values


def _targets(stamps: StampSet, targets: ArrayLike) -> NDArray[np.float32]:
    values = np.asarray(targets, dtype=np.float32)
    if values.shape != (len(stamps),) or not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"targets have shape {values.shape}: expected {len(stamps)} numbers in 0 to 1")
    return values
