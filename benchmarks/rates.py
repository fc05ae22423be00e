"""Which learning rate a bagged network wants: chosen by what it did not learn from, the test side unseen.

Each rate trains the network on one and the same bootstrap of the training side of a study (split per stamp), without
hard bogus, and is asked about the validation side and about the stamps of the training side that the bootstrap left
out. The test side is neither scored nor read.

    python benchmarks/rates.py STUDY --network resnet18 --rates 5e-4 1e-3 2e-3 4e-3 [--epochs 8] [--jobs 2] [-o OUT]

STUDY is a folder of `realbogus reproduce` whose splits are made. What is done in OUT (default: STUDY-rates, beside the
study) is not done again. The figures come last; the status is 1 where a training failed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from rich.progress import Progress

from realbogus.config import Config
from realbogus.config.schema import ModelConfig
from realbogus.evaluation.tables import Column, ResultTable
from realbogus.files import write_whole
from realbogus.scoring import score_rows
from realbogus.stamps import StampSet
from realbogus.study.engine import Failure, Say, local
from realbogus.study.measures import SPECIFICITY, measure_scores
from realbogus.study.plan import plan_study
from realbogus.study.splits import split_path
from realbogus.tables import read_parquet, write_parquet
from realbogus.training.bag import bootstrap_rows
from realbogus.training.hardware import threads
from realbogus.training.train import train


@dataclass(frozen=True)
class Try:
    """One network at one rate."""

    name: str
    study: Path
    folder: Path
    config: Config


def try_rate(job: Try, say: Say) -> None:
    """Train, and score what was not learned from."""
    stamps = StampSet.load(job.study / "data" / "stamps")
    parts = read_parquet(split_path(job.study, "stamp"))
    side, hard, row = (np.asarray(parts[name]) for name in ("side", "hard", "row"))
    pool, check = row[(side == "train") & ~hard], row[(side == "valid") & ~hard]
    learn = bootstrap_rows(stamps.labels, pool, np.random.default_rng(job.config.seed))
    epochs = job.config.training.epochs
    model = train(
        stamps, job.config, rows=learn, valid_rows=check, out=job.folder / "model",
        progress=lambda at: say((at.epoch - 1) * at.batches + at.batch, epochs * at.batches + 1),
    )  # fmt: skip
    asked = np.sort(np.concatenate([check, np.setdiff1d(pool, learn)]))
    with threads(1):
        scores = score_rows(model, stamps, asked)
    table = Table({"row": asked, "label": stamps.labels[asked], "side": side[asked], "score": scores})
    write_whole(job.folder / "unseen.parquet", lambda path: write_parquet(table, path))


def rated(config: Config, network: str, rate: float, epochs: int) -> Config:
    """Return the recipe of the study with that network, rate and number of epochs."""
    model = ModelConfig(name=network, architecture=network, options=config.model.options)
    return replace(config, model=model, training=replace(config.training, lr=rate, epochs=epochs, tensorboard=False))


def main() -> int:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3, 4e-3])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--scale", default="small")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    out = options.out or options.study.with_name(options.study.name + "-rates")
    recipe = plan_study(options.scale).recipe
    jobs = []
    for rate in dict.fromkeys(options.rates):
        name = f"{options.network}-{rate:g}-{options.epochs}"
        jobs.append(Try(name, options.study, out / name, rated(recipe, options.network, rate, options.epochs)))
    left = [job for job in jobs if not (job.folder / "unseen.parquet").exists()]
    with Progress(transient=True) as bar:
        tasks = [bar.add_task(job.name, total=1) for job in left]

        def report(number: int, done: int, of: int) -> None:
            bar.update(tasks[number], completed=done if of else 1, total=max(of, 1))

        results = local(try_rate, left, options.jobs, report)
    for job, result in zip(left, results, strict=True):
        if isinstance(result, Failure):
            print(f"{job.name}: {result.reason}", file=sys.stderr)
    rows: list[list[Any]] = []
    for job in jobs:
        if not (job.folder / "unseen.parquet").exists():
            continue
        table = read_parquet(job.folder / "unseen.parquet")
        labels = np.asarray(table["label"])
        values = measure_scores(np.asarray(table["score"]), labels, seed=0, name="rates", draws=1000).values
        cells = [values[key] for key in ("auc", "average precision", "recall at specificity", "missed")]
        rows.append([job.name, int(np.sum(labels == 1)), *cells])
    columns = [Column("network, rate, epochs"), Column("reals", ".0f"), Column("AUC", ".4f"),
               Column("average precision", ".4f"), Column(f"recall % at {100 * SPECIFICITY:g} %", ".1f", 100),
               Column("missed", ".0f")]  # fmt: skip
    caption = "Validation side and stamps left out of the bootstrap, split per stamp, no hard bogus; 95 % intervals."
    result_table = ResultTable(columns, rows, caption)
    result_table.save(out / options.network)
    print(result_table.to_markdown())
    return int(len(rows) < len(jobs))


if __name__ == "__main__":
    sys.exit(main())
