"""Scores of a set's rows by networks that have not seen their source."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..columns import flags, texts
from ..config import Config
from ..errors import ConfigError, InputError
from ..scoring import score_rows
from ..stamps import StampSet
from .recipes import NEEDS_TRAIN

__all__ = ["Say", "carried_on", "judged_rows", "out_of_fold", "source_folds"]

#: Called with (stage, done, of).
Say = Callable[[str, int, int], None]


def judged_rows(stamps: StampSet) -> NDArray[np.int64]:
    """Return the rows that are labelled real or bogus, and usable.

    Raises
    ------
    InputError
        Ids are not unique, or one of the two classes is not there.
    """
    ids = texts(stamps.catalogue, "id")
    if len(np.unique(ids)) < len(ids):
        raise InputError(f"{len(ids) - len(np.unique(ids))} ids are there twice: make the column `id` unique")
    rows = np.flatnonzero(np.isin(stamps.labels, (0, 1)) & flags(stamps.catalogue, "usable", absent=True))
    real = int((stamps.labels[rows] == 1).sum())
    if not real or real == len(rows):
        raise InputError(
            f"of {len(stamps)} stamps {real} are labelled real and {len(rows) - real} bogus: both are needed "
            "(column `label`, 1 and 0; `usable` not false)"
        )
    return rows


def source_folds(groups: NDArray[np.str_], labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Deal groups into folds, each with its share of real and bogus.

    Parameters
    ----------
    groups : ndarray of str, shape (N,)
        What stays together; an empty name is a group of its own.
    labels : ndarray of int, shape (N,)
        1 or 0.
    folds : int
        How many.
    seed : int
        Of the order.

    Returns
    -------
    ndarray of int, shape (N,)
        Fold of each row, from 0.

    Raises
    ------
    InputError
        Fewer groups with a real, or with a bogus, than folds.

    Examples
    --------
    >>> groups = np.array([f"s{k // 2}" for k in range(12)])
    >>> fold = source_folds(groups, np.arange(12) // 2 % 2, 3, seed=0)
    >>> np.bincount(fold).tolist(), bool((fold[::2] == fold[1::2]).all())
    ([4, 4, 4], True)
    """
    if folds < 2:
        raise ConfigError(f"folds {folds}: give at least 2")
    alone = np.array([name or f"\0{row}" for row, name in enumerate(groups.tolist())])
    _, group = np.unique(alone, return_inverse=True)
    size = np.bincount(group)
    real = np.bincount(group, weights=labels == 1)
    for what, there in (("real", real > 0), ("bogus", real < size)):
        if int(there.sum()) < folds:
            raise InputError(
                f"{int(there.sum())} sources are {what}, too few for {folds} folds: ask for fewer folds, or label more"
            )
    fold_of = np.empty(len(size), dtype=np.int64)
    rng = np.random.default_rng(seed)
    # large groups first, each class apart, to the fold that has least of it
    held = np.zeros((2, folds))
    order = rng.permutation(len(size))
    for one in order[np.argsort(-size[order], kind="stable")]:
        kind = int(real[one] > 0)
        count = real[one] if kind else size[one]
        fold = int(np.lexsort((held.sum(axis=0), held[kind]))[0])
        fold_of[one] = fold
        held[kind, fold] += count
        held[0, fold] += size[one] - real[one] if kind else 0
    return fold_of[group]


def carried_on(train: Callable[..., Any], stamps: StampSet, config: Config, *, out: Path | None, **options: Any) -> Any:
    """Train in a folder of our own: what was cut off there carries on, unless it was another run's.

    Raises
    ------
    ConfigError
        As of `train`.
    """
    again = copy.deepcopy(options.get("rng"))  # a generator may have been drawn from before the error
    try:
        return train(stamps, config, out=out, **options)
    except ConfigError:
        if out is None or not (out / "checkpoint").exists():
            raise
    return train(stamps, config, out=out, resume=False, **{**options, "rng": again})


def out_of_fold(
    stamps: StampSet,
    rows: NDArray[np.int64],
    fold: NDArray[np.int64],
    config: Config,
    *,
    work: Path | None = None,
    say: Say | None = None,
) -> NDArray[np.float32]:
    """Score every row with a network that has learned from the other folds alone.

    Parameters
    ----------
    stamps : StampSet
        Labelled.
    rows : ndarray of int, shape (M,)
        Which rows.
    fold : ndarray of int, shape (M,)
        Fold of each.
    config : Config
        The recipe; fold k has the seed (config.seed, k).
    work : Path, optional
        Folder for what is half done: a run that was cut off carries on. It goes when all is done.
    say : callable, optional
        Called with (stage, done, of).

    Returns
    -------
    ndarray of float32, shape (M,)

    Raises
    ------
    ConfigError
        torch is not installed, or `work` holds another run.
    """
    try:
        from ..training.train import Progress, train
    except ImportError as error:
        raise ConfigError(NEEDS_TRAIN) from error
    scores = np.full(len(rows), np.nan, dtype=np.float32)
    count = int(fold.max()) + 1
    for number in range(count):

        def step(progress: Progress, number: int = number) -> None:
            if say:
                done = (progress.epoch - 1) * progress.batches + progress.batch
                say(f"fold {number + 1}/{count}", done, progress.epochs * progress.batches)

        mine = fold == number
        model = carried_on(
            train, stamps, config, rows=rows[~mine], rng=np.random.default_rng([config.seed, number]),
            out=None if work is None else work / f"fold-{number}", progress=step,
        )  # fmt: skip
        scores[mine] = score_rows(model, stamps, rows[mine])
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    return scores
