"""What each part of the better recipe gives: `configs/best.toml` with one thing changed at a time.

Every variant learns from the training side by field of a study that is done, without its hard
bogus, for the same number of epochs, and is asked about the test side with them.

    python benchmarks/recipes.py STUDY [--epochs 8] [--jobs 2] [--only NAME ...] [-o OUT]

STUDY is a folder of `realbogus reproduce`. What is done in OUT (default: STUDY-recipes, beside the
study) is not done again. The figures come last.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from realbogus import __version__
from realbogus.config import Config, load_config, with_overrides
from realbogus.evaluation.tables import Column, ResultTable
from realbogus.study.artefact import facts_of
from realbogus.study.engine import Failure, local
from realbogus.study.jobs import TrainJob, train_and_score
from realbogus.study.measures import SPECIFICITY, fewer_missed, measure_scores
from realbogus.study.splits import split_path
from realbogus.tables import read_parquet

BEST = Path(__file__).resolve().parents[1] / "configs" / "best.toml"
ONE = {"preprocess.channels": ["difference"]}
#: The paper's loss, balance and shape of schedule, without smoothing, averaging and clipping.
PLAIN_STEPS = {
    "training.schedule": "cosine", "training.lr": 1e-3, "training.loss": "focal", "training.balance": "repeat",
    "training.label_smoothing": 0.0, "training.ema": 0.0, "training.gradient_clip": 0.0,
}  # fmt: skip
#: What is changed in the better recipe, by the name of the variant.
VARIANTS: dict[str, dict[str, Any]] = {
    "best": {},
    "difference alone": {**ONE, "preprocess.planes": ["psf:difference", "wide:difference"]},
    "no science": {"preprocess.channels": ["difference", "reference"],
                   "preprocess.planes": ["psf:difference", "wide:difference", "psf:reference"]},
    "no wide view": {"preprocess.planes": ["psf:difference", "psf:science", "psf:reference"]},
    "wide views of all": {"preprocess.planes": [f"{view}:{channel}" for view in ("psf", "wide")
                                                for channel in ("difference", "science", "reference")]},
    "native pixels": {"preprocess.planes": ["native:difference", "native:science", "native:reference"]},
    "another seed": {"seed": 1},
    "one view": {"model.views": 1},
    "cosine schedule": {"training.schedule": "cosine", "training.lr": 1e-3},
    "focal loss": {"training.loss": "focal"},
    "reals repeated": {"training.balance": "repeat"},
    "no averaging": {"training.ema": 0.0},
    "no smoothing": {"training.label_smoothing": 0.0},
    "mixup 0.2": {"training.mixup": 0.2},
    "no jitter": {"training.fwhm_jitter": 0.0, "training.noise_jitter": 0.0},
    "paper's augmentation": {"training.augment": ["flip", "rotate", "scale", "brightness"],
                             "training.augment_probability": 0.5},
    "plain steps": PLAIN_STEPS,
    "twice as wide": {"model.options": {"widths": [32, 48, 96, 96, 192, 192], "hidden": 128}},
    "batches of 64": {"training.batch_size": 64},
}  # fmt: skip


def job_of(name: str, config: Config, study: Path, out: Path) -> TrainJob:
    """Return the training of one variant."""
    stage = json.loads((study / "splits" / "stage.json").read_text(encoding="utf-8"))
    folder = out / name.replace(" ", "_").replace("'", "")
    inputs = {"splits": stage["fingerprint"], "config": config.to_dict(), "version": __version__}
    return TrainJob(name, folder, study / "data" / "stamps", split_path(study, "field"), config, False, False, inputs)


def votes_of(job: TrainJob) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and labels of the test side, hard bogus too."""
    scored = read_parquet(job.folder / "scores.parquet")
    parts = read_parquet(job.split)[np.asarray(scored["row"], dtype=np.int64)]
    inside = np.asarray(parts["side"]) == "test"
    return np.asarray(scored["score"], dtype=np.float32)[inside], np.asarray(parts["label"])[inside]


def main() -> int:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    out = options.out or options.study.with_name(options.study.name + "-recipes")
    base = {"training.epochs": options.epochs, "training.threads": 1, "training.tensorboard": False}
    jobs = [
        job_of(name, with_overrides(load_config(BEST), {**base, **VARIANTS[name]}), options.study, out)
        for name in dict.fromkeys(["best", *options.only])
    ]
    with Progress(transient=True) as bar:
        tasks = [bar.add_task(job.key, total=1) for job in jobs]

        def report(number: int, done: int, of: int) -> None:
            bar.update(tasks[number], completed=done if of else 1, total=max(of, 1))

        results = local(train_and_score, jobs, options.jobs, report)
    rows: list[list[Any]] = []
    base_votes: np.ndarray | None = None
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, Failure):
            print(f"{job.key}: {result.reason}", file=sys.stderr)
            continue
        votes, labels = votes_of(job)
        values = measure_scores(votes, labels, seed=0, name="recipes", draws=1000).values
        base_votes = votes if job.key == "best" else base_votes
        known = job.key != "best" and base_votes is not None
        gain = fewer_missed(base_votes, votes, labels, seed=0, draws=1000) if known else None
        facts = facts_of(job.folder, job.inputs) or {}
        seconds = facts["train_seconds"] * facts["threads"]
        cells = [values[key] for key in ("auc", "average precision", "recall at specificity", "missed")]
        rows.append([job.key, *cells, gain, seconds])
    columns = [Column("variant"), Column("AUC", ".4f"), Column("average precision", ".4f"),
               Column(f"recall % at {100 * SPECIFICITY:g} %", ".2f", 100), Column("missed", ".0f"),
               Column("fewer missed than best, %", ".0f", 100), Column("core seconds", ".0f")]  # fmt: skip
    caption = f"Split by field, hard bogus in the test; {options.epochs} epochs, one network each, 95 % intervals."
    table = ResultTable(columns, rows, caption)
    table.save(out / "recipes")
    print(table.to_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
