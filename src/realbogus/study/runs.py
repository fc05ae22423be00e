"""Stages four, five and eight: which networks are trained on what, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from .. import __version__
from ..config import Config
from ..config.schema import ModelConfig, SplitConfig
from ..tables import read_parquet
from .artefact import fingerprint
from .engine import Engine, Failure
from .jobs import TrainJob, done, train_and_score
from .plan import Network, Plan
from .splits import SPLITS, split_path

__all__ = ["Outcome", "carry_out", "outcome_scores", "plan_runs", "runs_fingerprint"]

#: Stamps/s of training on two cores, measured; it only decides who goes first.
_SPEED = {
    "compact": 1500, "resnet18": 120, "resnet34": 60, "resnet50": 45, "efficientnet_b0": 100, "efficientnet_b1": 60,
    "efficientnet_b2": 55, "densenet121": 60, "densenet169": 45, "vgg11": 20, "vgg13": 14, "vit_tiny": 50,
    "repvgg_a0": 110, "shufflenetv2_x0_5": 400, "unireplknet_a": 70,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one network.

    Parameters
    ----------
    job : TrainJob
        What was to be done.
    facts : dict or None
        Of training and scoring; None where it failed.
    reason : str
        Why it failed.
    """

    job: TrainJob
    facts: dict[str, Any] | None
    reason: str = ""


def plan_runs(out: Path, plan: Plan, splits: str) -> dict[str, TrainJob]:
    """Return every training of the study by its key, the most important first.

    Keys are `single/NAME` (Table 2), `bag-stamp/NAME` and `bag-field/NAME` (Table 3),
    `best/NUMBER`, and `bag-hard/NAME` and `best-hard/NUMBER`, which learn from the hard bogus too.
    The bag, the better recipe and the single networks of the bag's kind come first, then the other
    networks, then what learns from hard bogus; in each the slow ones first, so that processes end together.

    Parameters
    ----------
    out : Path
        Folder of the study.
    plan : Plan
        Networks and recipes.
    splits : str
        Fingerprint of the splits.
    """
    trio = {network.name for network in plan.trio}
    runs: list[tuple[int, float, TrainJob]] = []

    def add(group: str, name: str, split: str, config: Config, *, bag: bool = False, hard: bool = False) -> None:
        key = f"{group}/{name}"
        result = config.to_dict()
        for where in ("device", "devices", "threads", "data", "tensorboard"):
            result["training"].pop(where, None)  # where it runs decides nothing
        inputs = {"splits": splits, "split": split, "config": result, "bootstrap": bag, "hard": hard,
                  "version": __version__}  # fmt: skip
        rule = SPLITS[split]
        # for the card; what the split is stands in `inputs` already
        told = replace(config, split=SplitConfig(rule.by, plan.fractions, allow_leakage=not rule.honest))
        job = TrainJob(
            key, out / "runs" / group / name, out / "data" / "stamps", split_path(out, split), told, bag, hard, inputs
        )
        cost = config.training.epochs / _SPEED.get(config.model.architecture, 60)
        turn = 2 if hard else int(group == "single" and name not in trio)
        runs.append((turn, -cost, job))

    bags = [("bag-field", "field", False), ("bag-stamp", "stamp", False)]
    for group, split, hard in [*bags, *([("bag-hard", "field", True)] if plan.hard_too else [])]:
        for network in plan.trio:
            config = _config(plan, network, f"{group}-{network.name}", plan.bag_epochs)
            add(group, network.name, split, config, bag=True, hard=hard)
    better = [replace(plan.best, seed=plan.best.seed + k) for k in range(plan.best_members)] if plan.best else []
    for hard in (False, True) if plan.hard_too else (False,):
        for number, config in enumerate(better):
            add("best-hard" if hard else "best", f"{number:02d}", "field", config, hard=hard)
    for network in plan.networks:
        add("single", network.name, "stamp", _config(plan, network, network.name))
    return {job.key: job for _, _, job in sorted(runs, key=lambda run: run[:2])}


def _config(plan: Plan, network: Network, name: str, epochs: int = 0) -> Config:
    model = ModelConfig(
        name=name,
        architecture=network.builder,
        options={**plan.recipe.model.options, **network.options},
        views=plan.recipe.model.views,
        threshold=plan.recipe.model.threshold,
    )
    recipe = plan.recipe.training
    training = replace(recipe, epochs=epochs or recipe.epochs, lr=network.lr or recipe.lr)
    return replace(plan.recipe, model=model, training=training)


def carry_out(
    runs: dict[str, TrainJob],
    *,
    engine: Engine,
    jobs: int,
    progress: Callable[[str, int, int], None],
) -> dict[str, Outcome]:
    """Train what is not trained yet; a network that fails is one outcome with a reason.

    Parameters
    ----------
    runs : dict of str to TrainJob
        By key, the most important first.
    engine, jobs
        Who trains, and how many at a time.
    progress : callable
        Called with ("networks", done, of), and with (key, done, of) for each at work.
    """
    outcomes = {key: Outcome(job, facts) for key, job in runs.items() if (facts := done(job)) is not None}
    left: Sequence[TrainJob] = [job for key, job in runs.items() if key not in outcomes]
    progress("networks", len(outcomes), len(runs))
    ended: set[int] = set()

    def report(number: int, done: int, of: int) -> None:
        if of:
            progress(left[number].key, done, of)
            return
        ended.add(number)
        progress(left[number].key, 1, 1)
        progress("networks", len(runs) - len(left) + len(ended), len(runs))

    results = engine(train_and_score, left, jobs, report) if left else []
    for job, result in zip(left, results, strict=True):
        failed = isinstance(result, Failure)
        outcomes[job.key] = Outcome(job, None if failed else result, result.reason if failed else "")
    progress("networks", len(runs), len(runs))
    return {key: outcomes[key] for key in runs}


def outcome_scores(outcome: Outcome) -> Table:
    """Return what a network said of the validation and test sides.

    Returns
    -------
    Table
        `row`, `id`, `label`, `side`, `hard` and `score`, in the order of the rows.
    """
    parts = read_parquet(outcome.job.split)
    scores = read_parquet(outcome.job.folder / "scores.parquet")
    table = parts[np.asarray(scores["row"], dtype=np.int64)]
    table["score"] = np.asarray(scores["score"], dtype=np.float32)
    return table


def runs_fingerprint(outcomes: dict[str, Outcome]) -> str:
    """Name of all that was trained, and of what failed."""
    return fingerprint({key: [fingerprint(it.job.inputs), it.reason] for key, it in outcomes.items()})
