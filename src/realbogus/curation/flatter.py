"""By how much the looser split would have flattered: one quick network a split, each asked about its own test."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..evaluation.tables import Column, Measured, ResultTable
from ..metrics import percentile_interval, recall_at_specificity, resample, roc_auc
from ..scoring import score_rows
from ..stamps import StampSet
from .parts import Parts
from .recipes import NEEDS_TRAIN, quick_recipe
from .scores import Say, carried_on, judged_rows

__all__ = ["Flattery", "flattery"]


@dataclass(frozen=True)
class Flattery:
    """What the same network makes of two splits.

    Parameters
    ----------
    auc, recall : mapping of str to Measured
        By split; `recall` where at least `specificity` of the bogus are turned away.
    gain : mapping of str to Measured
        `auc` and `recall` of the looser split less those of the stricter.
    specificity : float
        See above.
    """

    auc: dict[str, Measured]
    recall: dict[str, Measured]
    gain: dict[str, Measured]
    specificity: float

    def table(self) -> ResultTable:
        """Return the numbers, the looser split first, their difference last."""
        columns = [Column("split"), Column("AUC", ".4f"),
                   Column(f"recall % at specificity {100 * self.specificity:g} %", ".1f", 100)]  # fmt: skip
        rows: list[list[Any]] = [[name, self.auc[name], self.recall[name]] for name in self.auc]
        return ResultTable(columns, [*rows, ["flattered by", self.gain["auc"], self.gain["recall"]]])


def flattery(
    stamps: StampSet,
    looser: Parts,
    stricter: Parts,
    *,
    network: str = "compact",
    epochs: int | None = None,
    specificity: float = 0.95,
    draws: int = 500,
    seed: int = 0,
    work: Path | None = None,
    progress: Say | None = None,
) -> Flattery:
    """Train a quick network on both splits and compare what their tests say.

    Parameters
    ----------
    stamps : StampSet
        Labelled.
    looser, stricter : Parts
        Splits of it.
    network, epochs
        As in `quick_recipe`.
    specificity : float
        Where recall is compared, in (0, 1].
    draws : int
        Bootstrap draws of the intervals, each test by itself.
    seed : int
        Of networks and draws.
    work : Path, optional
        Folder for the networks; a run that was cut off carries on.
    progress : callable, optional
        Called with (stage, done, of).

    Returns
    -------
    Flattery

    Raises
    ------
    ConfigError
        torch is not installed, or impossible numbers.
    """
    if not 0 < specificity <= 1 or draws < 1:
        raise ConfigError(f"specificity {specificity}, draws {draws}: give a share above 0 and at least 1 draw")
    try:
        from ..training.train import Progress, train
    except ImportError as error:
        raise ConfigError(NEEDS_TRAIN) from error
    usable = np.zeros(len(stamps), dtype=bool)
    usable[judged_rows(stamps)] = True
    found: dict[str, tuple[dict[str, float], dict[str, NDArray[np.float64]]]] = {}
    for number, parts in enumerate((looser, stricter)):
        name = f"by {parts.by}"

        def step(at: Progress, name: str = name) -> None:
            if progress:
                progress(name, (at.epoch - 1) * at.batches + at.batch, at.epochs * at.batches)

        learn, test = ((rows := parts.rows(side))[usable[rows]] for side in ("train", "test"))
        config = quick_recipe(stamps.channels, len(learn), network=network, epochs=epochs, seed=seed)
        model = carried_on(
            train, stamps, config, rows=learn, out=None if work is None else work / parts.by, progress=step
        )
        found[name] = _measured(
            score_rows(model, stamps, test), stamps.labels[test], specificity, draws,
            np.random.default_rng([seed, 5, number]),
        )  # fmt: skip
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    (first, first_drawn), (second, second_drawn) = found.values()
    gain = {
        key: Measured(first[key] - second[key], *percentile_interval(first_drawn[key] - second_drawn[key]))
        for key in first
    }
    measured = {
        key: {name: Measured(values[key], *percentile_interval(drawn[key])) for name, (values, drawn) in found.items()}
        for key in first
    }
    return Flattery(measured["auc"], measured["recall"], gain, specificity)


def _measured(
    scores: NDArray[np.float32], labels: NDArray[np.int64], specificity: float, draws: int, rng: np.random.Generator
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    drawn = resample(scores, labels, rng=rng, draws=draws)
    values = {"auc": roc_auc(scores, labels), "recall": recall_at_specificity(scores, labels, specificity)}
    return values, {"auc": drawn.roc_auc(), "recall": drawn.recall_at_specificity(specificity)}
