"""The work of an engine's processes: train a network and score with it. Everything comes and goes by files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..config import Config
from ..errors import ModelError
from ..files import write_whole
from ..scoring import score_rows
from ..stamps import StampSet
from ..tables import read_parquet, write_parquet
from .artefact import begin, facts_of, finish, locked
from .engine import Say
from .state import machine

__all__ = ["ScoreJob", "TrainJob", "done", "history_of", "score_part", "train_and_score"]


@dataclass(frozen=True)
class TrainJob:
    """One network to train and to score with.

    Parameters
    ----------
    key : str
        Name in the study, as `single/resnet18`.
    folder : Path
        Where it leaves its model, `history.csv` and `scores.parquet`.
    stamps : Path
        Folder of the stamps.
    split : Path
        Table of `row`, `label`, `side` and `hard`.
    config : Config
        The recipe.
    bootstrap : bool
        Whether it learns from a bootstrap of the training side.
    hard : bool
        Whether the training side's hard bogus are learned from too.
    inputs : mapping
        Everything that the result depends on.
    """

    key: str
    folder: Path
    stamps: Path
    split: Path
    config: Config
    bootstrap: bool
    hard: bool
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class ScoreJob:
    """Stamps `start` to `stop` to be scored by a model."""

    folder: Path
    model: Path
    stamps: Path
    start: int
    stop: int
    device: str
    inputs: Mapping[str, Any]


def done(job: TrainJob) -> dict[str, Any] | None:
    """Return the facts of a network that is trained and whose scores can be read; None where one of it is missing."""
    return facts_of(job.folder, job.inputs, job.folder / "scores.parquet")


def train_and_score(job: TrainJob, say: Say) -> dict[str, Any]:
    """Train a network, score validation and test side with it, and return the facts of both.

    What was done before is not done again: training goes on from its last epoch.

    Returns
    -------
    dict
        `epochs`, `parameters`, `threads`, `device`, `precision`, `machine`, `train_stamps`,
        `scored_stamps`, `train_seconds`, `score_seconds`.
    """
    before = done(job)
    if before is not None:
        return before
    from ..training.bag import bootstrap_rows
    from ..training.checkpoint import read_checkpoint
    from ..training.folder import clear_folder
    from ..training.hardware import threads
    from ..training.train import Progress, train

    # a process of a study that was killed may live on for a moment: its work must not mix with ours
    with locked(job.folder.parent / f".{job.folder.name}.lock", wait=True):
        begin(job.folder, job.inputs)
        stamps = StampSet.load(job.stamps)
        parts = read_parquet(job.split)
        side, hard, row = (np.asarray(parts[name]) for name in ("side", "hard", "row"))
        learn = row[(side == "train") & (~hard | job.hard)]
        check = row[(side == "valid") & (~hard | job.hard)]
        if job.bootstrap:
            rng = np.random.default_rng([job.config.seed, crc32(job.key.encode())])
            learn = bootstrap_rows(stamps.labels, learn, rng)

        last = [0, 1]

        def step(progress: Progress) -> None:
            last[0] = (progress.epoch - 1) * progress.batches + progress.batch
            last[1] = progress.epochs * progress.batches + 1  # the one is for the scores
            say(last[0], last[1])

        run = job.folder / "model"
        try:
            begun = read_checkpoint(run / "checkpoint") is not None
        except ModelError:  # damaged, and it would be so at every call
            begun = False
        if not begun:  # this network begins anew, whatever lies there
            clear_folder(run)
        model = train(stamps, job.config, rows=learn, valid_rows=check, out=run, progress=step)
        started = time.perf_counter()
        asked = np.sort(row[side != "train"])
        with threads(job.config.training.threads):
            scores = score_rows(model, stamps, asked, lambda done, of: say(last[0], last[1]))
        seconds = time.perf_counter() - started
        table = Table({"row": asked, "score": scores})
        write_whole(job.folder / "scores.parquet", lambda path: write_parquet(table, path))
        history = history_of(run)
        facts = {
            "epochs": len(history),
            "parameters": model.parameters,
            "threads": job.config.training.threads or threads_now(),
            "device": str(model.device),
            "precision": model.card.metrics["training"].get("precision"),
            "machine": machine(),
            "train_stamps": len(learn),
            "scored_stamps": len(asked),
            "train_seconds": sum(float(line["seconds"] or 0.0) for line in history),
            "score_seconds": seconds,
        }
        finish(job.folder, job.inputs, facts)
        shutil.rmtree(run / "checkpoint", ignore_errors=True)  # three times the model, and of no use any more
    return facts


def score_part(job: ScoreJob, say: Say) -> NDArray[np.float32]:
    """Score a run of stamps, or read the scores that are there."""
    path = job.folder / "scores.parquet"
    if facts_of(job.folder, job.inputs, path) is not None:
        return np.asarray(read_parquet(path)["score"], dtype=np.float32)
    from ..model import Model
    from ..training.hardware import choose_device, threads

    begin(job.folder, job.inputs)
    stamps = StampSet.load(job.stamps)
    with threads(1):
        model = Model.load(job.model, device=choose_device(job.device))
        scores = score_rows(model, stamps, np.arange(job.start, job.stop), say)
    table = Table({"row": np.arange(job.start, job.stop), "score": scores})
    write_whole(path, lambda part: write_parquet(table, part))
    finish(job.folder, job.inputs, {"stamps": len(scores)})
    return scores


def threads_now() -> int:
    """Threads that torch takes unless it is told otherwise."""
    import torch

    return torch.get_num_threads()


def history_of(model: Path) -> list[dict[str, float | None]]:
    """Return the curves that training left beside a model."""
    from ..training.history import read_history

    return read_history(model / "history.csv")
