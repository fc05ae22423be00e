"""The screening network learns from a seed set: hand-picked bogus and the reals (paper, section 2.2.2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classifier import Classifier
from ..dataset.screen import hand_picked, held_out
from ..errors import ConfigError
from ..stamps import StampSet
from .recipes import NEEDS_TRAIN, screening_for
from .scores import Say, carried_on, judged_rows

__all__ = ["learn_screen"]


def learn_screen(
    stamps: StampSet,
    out: Path | None = None,
    *,
    seeds: StampSet | None = None,
    picked: int | None = None,
    network: str = "vgg13",
    epochs: int | None = None,
    seed: int = 0,
    progress: Say | None = None,
) -> tuple[Classifier, NDArray[np.int64], float]:
    """Train the screening network.

    Parameters
    ----------
    stamps : StampSet
        What is to be screened.
    out : Path, optional
        Folder of the model; a run that was cut off carries on.
    seeds : StampSet, optional
        The seed set; the reals of `stamps` and as many bogus, picked as `hand_picked` does, where absent.
    picked : int, optional
        How many bogus to pick.
    network, epochs, seed
        As in `screening_for`.
    progress : callable, optional
        Called with (stage, done, of).

    Returns
    -------
    model : Classifier
        The network.
    rows : ndarray of int
        Rows of `stamps` that it learned from; none of a seed set.
    accuracy : float
        On the tenth of its stamps that was held out.

    Raises
    ------
    InputError
        The seed set lacks a class, or there are too few of one.
    ConfigError
        torch is not installed.
    """
    try:
        from ..training.train import Progress, train
    except ImportError as error:
        raise ConfigError(NEEDS_TRAIN) from error
    known = stamps if seeds is None else seeds
    rows = judged_rows(known)
    if seeds is None:
        usable = np.zeros(len(known), dtype=bool)
        usable[rows] = True
        reals = rows[known.labels[rows] == 1]
        found = hand_picked(known, np.random.default_rng([seed, 1]), picked or len(reals))
        rows = np.sort(np.concatenate([found[usable[found]], reals]))
    labels = known.labels[rows]
    check = held_out(labels, np.random.default_rng([seed, 2]))
    config = screening_for(network, int((~check).sum()), epochs=epochs, seed=seed)

    def step(at: Progress) -> None:
        if progress:
            progress("train", (at.epoch - 1) * at.batches + at.batch, at.epochs * at.batches)

    model = carried_on(train, known, config, rows=rows[~check], valid_rows=rows[check], out=out, progress=step)
    accuracy = float(model.card.metrics["training"]["valid_accuracy"])
    return model, rows if seeds is None else np.zeros(0, dtype=np.int64), accuracy
