"""Bagging: every member learns from a bootstrap of its own, and all vote (paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config import Config
from ..ensemble import Ensemble
from ..ensemble_files import member_path
from ..errors import ConfigError
from ..model import Model
from ..stamps import StampSet
from .calibrate import measure_calibration
from .folder import check_folder, clear_folder
from .planes import chosen_rows, labelled_rows
from .recipe import check_recipe
from .train import Progress, train

__all__ = ["bag", "bootstrap_rows", "train_member"]


def bootstrap_rows(labels: ArrayLike | StampSet, rows: ArrayLike | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw rows with replacement, each class from itself, so that the counts of both stay.

    Parameters
    ----------
    labels : array_like of int, or StampSet
        Label of every stamp; rows labelled otherwise than 0 or 1 are left out.
    rows : array_like of int or bool, or None
        Rows to draw from, or a mask; None is all.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray of int
        As long as the labelled rows handed in, and of the same label at every place.

    Raises
    ------
    InputError
        A row does not exist, or a stamp set lacks one of the two classes.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 1, 1, -1])
    >>> drawn = bootstrap_rows(labels, None, np.random.default_rng(0))
    >>> labels[drawn].tolist()
    [0, 0, 0, 1, 1]
    """
    if isinstance(labels, StampSet):
        chosen = labelled_rows(labels, rows, "training")
        values = labels.labels
    else:
        values = np.asarray(labels, dtype=np.int64)
        chosen = chosen_rows(rows, len(values), "training")
        chosen = chosen[np.isin(values[chosen], (0, 1))]
    drawn = chosen.copy()
    for value in (0, 1):
        of_class = values[chosen] == value
        if of_class.any():
            drawn[of_class] = rng.choice(chosen[of_class], int(of_class.sum()))
    return drawn


def bag(
    stamps: StampSet,
    configs: Sequence[Config],
    *,
    rows: ArrayLike | None = None,
    valid_rows: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
    name: str = "ensemble",
    threshold: float = 0.5,
    out: Path | str | None = None,
    resume: bool = True,
    progress: Callable[[str, Progress], None] | None = None,
) -> Ensemble:
    """Train one network a configuration, each on its own bootstrap, and let them vote.

    What a member learns from and starts with follows from the seed and its place alone, so
    members may as well be trained apart, and a bag that was cut off goes on where it was.

    Parameters
    ----------
    stamps : StampSet
        Labelled stamps.
    configs : sequence of Config
        The members' recipes; `model.name` names the member.
    rows, valid_rows : array_like of int, optional
        Rows to draw bootstraps from (all where absent), and rows to validate against.
    weights : array_like of float, shape (len(stamps),), optional
        As `train` takes them.
    seed : int
        Of all randomness.
    name : str
        Of the ensemble.
    threshold : float
        Of the ensemble: `score >= threshold` is real; the members' are those of their recipes.
    out : path, optional
        Folder for the ensemble: the members train in `members/` of it.
    resume : bool
        Go on from the checkpoints in `out`; otherwise each member starts afresh.
    progress : callable, optional
        Called with the member's place and name, as `00-resnet18`, and its `Progress`.

    Returns
    -------
    Ensemble
        Also saved in `out`. Where validation rows hold ten of each class, its card and each
        member's carry a calibration fitted on them; the vote is of the scores as they are.

    Raises
    ------
    ConfigError, UnknownNameError
        No configuration, or one that cannot be trained; before any is.
    InputError, ConfigError, ModelError, OutputError
        As `train` raises them.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from realbogus.config import with_overrides
    >>> catalogue = Table({"id": range(8), "noise": [1.0] * 8, "fwhm": [3.0] * 8, "label": [0, 1] * 4})
    >>> stamps = StampSet(np.zeros((8, 1, 64, 64), "float32"), catalogue)
    >>> quick = {"model.architecture": "compact", "preprocess.size": 32, "training.epochs": 1}
    >>> len(bag(stamps, [with_overrides(Config(), quick)] * 2).members)
    2
    """
    if not configs:
        raise ConfigError("a bag of no members: hand in one configuration a member")
    for config in configs:
        check_recipe(config)  # now, not when its turn comes
    if out is not None and resume:
        check_folder(Path(out), [member_path(place, config.model.name) for place, config in enumerate(configs)])
    elif out is not None:
        clear_folder(Path(out))
    members = [
        train_member(
            stamps, config, place,
            rows=rows, valid_rows=valid_rows, weights=weights, seed=seed, out=out, resume=resume, progress=progress,
        )
        for place, config in enumerate(configs)
    ]  # fmt: skip
    ensemble = Ensemble.of(members, name=name, threshold=threshold)
    if valid_rows is not None:
        check_rows = labelled_rows(stamps, valid_rows, "validation")
        calibration = measure_calibration(ensemble, stamps, check_rows)
        ensemble = ensemble.with_card(replace(ensemble.card, calibration=calibration))
    if out is not None:
        ensemble.save(out)
    return ensemble


def train_member(
    stamps: StampSet,
    config: Config,
    place: int,
    *,
    rows: ArrayLike | None = None,
    valid_rows: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = True,
    progress: Callable[[str, Progress], None] | None = None,
) -> Model:
    """Train the member at one place of a bag, as `bag` does; the arguments are its."""
    path = member_path(place, config.model.name)
    rng = np.random.default_rng([seed, place, 1])  # without the 1, place 0 would draw as the bare seed does
    drawn = bootstrap_rows(stamps, rows, rng)

    def say(step: Progress) -> None:
        if progress is not None:
            progress(path.name, step)

    return train(
        stamps,
        config,
        rows=drawn,
        valid_rows=valid_rows,
        weights=weights,
        rng=rng,
        out=None if out is None else Path(out) / path,
        resume=resume,
        progress=say,
    )
