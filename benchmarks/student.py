"""Is the student as good as the trio that taught it? On the project's own benchmark, by field, with stamps neither saw.

    python benchmarks/student.py STUDY -o OUT [--epochs 40]

STUDY is a folder of `realbogus reproduce --scale small` that is done. Its trio of the split by field teaches a student,
with the recipe of `configs/student.toml`, all stamps of the training side, hard bogus too; labels have their share. A
second one learns the trio's scores alone: a `gate` that stands before the trio should repeat it, not know better. The
trio's threshold is where precision equals recall on the validation side, as the paper has it at work (section 4.3). OUT
gets `trio`, `student`, `gate`, and stamp sets for `benchmarks/runtimes.py`: `stamps` of the training side to calibrate
on, `gate-stamps`, the validation side with its hard bogus, to choose a gate's cut on, and for certificates the test
side, `held-out` without its hard bogus and `sky` with them.

    python benchmarks/runtimes.py --trio OUT/trio --student OUT/student --held-out OUT/held-out --stamps OUT/stamps \
        --gate OUT/gate --gate-stamps OUT/gate-stamps --sky OUT/sky

A run that was cut off goes on. Leaves with status 1 where the student's AUC on the test side is more than 0.001 below
the trio's. The figures come last.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from realbogus.config import with_overrides
from realbogus.ensemble import Ensemble
from realbogus.metrics import precision_recall_crossing
from realbogus.runtimes import load_classifier
from realbogus.scoring import score_rows
from realbogus.stamps import StampSet
from realbogus.study.measures import measure_scores
from realbogus.study.paper import TRIO
from realbogus.study.splits import split_path
from realbogus.tables import read_parquet
from realbogus.training.distil import LABELS, distil, student_config
from realbogus.training.train import Progress as Step

LOSS = 0.001


def teacher_of(study: Path, out: Path, stamps: StampSet, valid: NDArray[np.int64]) -> Ensemble:
    """Return the study's bag of the split by field as one ensemble, kept in OUT."""
    trio = Ensemble.of([load_classifier(study / "runs" / "bag-field" / name / "model") for name in TRIO], name="trio")
    scores = score_rows(trio, stamps, valid)
    trio = trio.with_threshold(precision_recall_crossing(scores, stamps.labels[valid]))
    trio.save(out / "trio")
    return trio


def main() -> int:
    """Teach, score both, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=None, help="of the student (default: those of its recipe)")
    parser.add_argument("--labels", type=float, default=LABELS, help="their share (default: %(default)s)")
    options = parser.parse_args()
    stamps = StampSet.load(options.study / "data" / "stamps")
    split = read_parquet(split_path(options.study, "field"))
    rows, side, hard = (np.asarray(split[name]) for name in ("row", "side", "hard"))
    options.out.mkdir(parents=True, exist_ok=True)
    valid = rows[(side == "valid") & ~hard]
    trio = teacher_of(options.study, options.out, stamps, valid)
    config = student_config(stamps.channels)
    if options.epochs:
        config = with_overrides(config, {"training.epochs": options.epochs})
    with Progress(transient=True) as bar:
        tasks = {name: bar.add_task(name, total=None) for name in ("teacher", "student", "gate", "test")}

        def say(name: str, done: int, of: int) -> None:
            bar.update(tasks[name], completed=done, total=of)

        def step(name: str, at: Step) -> None:
            say(name, (at.epoch - 1) * at.batches + at.batch, at.epochs * at.batches)

        students = {
            name: distil(
                trio, stamps, config, rows=rows[side == "train"], valid_rows=valid,
                labels=labels, out=options.out / name,
                scoring=partial(say, "teacher"),
                progress=partial(step, name),
            )
            for name, labels in (("student", options.labels), ("gate", 0.0))
        }  # fmt: skip
        test = rows[side == "test"]
        scores = {
            "trio": score_rows(trio, stamps, test, partial(say, "test")),
            "student": score_rows(students["student"], stamps, test),
        }
    stamps.select(test[~hard[side == "test"]]).save(options.out / "held-out")
    stamps.select(test).save(options.out / "sky")
    stamps.select(rows[side == "valid"]).save(options.out / "gate-stamps")
    learned, real = rows[side == "train"], stamps.labels[rows[side == "train"]] == 1
    calibrating = np.sort(np.concatenate([learned[real][::2], learned[~real][::20]]))  # reals are few: half of them
    stamps.select(calibrating).save(options.out / "stamps")
    labels = stamps.labels[test]
    met = True
    for name, chosen in (("without", ~hard[side == "test"]), ("with", np.ones(len(test), dtype=bool))):
        found = {
            who: measure_scores(votes[chosen], labels[chosen], seed=0, name="student", draws=1000).values
            for who, votes in scores.items()
        }
        for who, values in found.items():
            line = ", ".join(f"{key} {values[key].value:.4f}" for key in ("auc", "recall at specificity"))
            print(f"{who} {name} the hard set: {line}, missed {values['missed'].value:.0f}")
        lost = found["trio"]["auc"].value - found["student"]["auc"].value
        met &= lost <= LOSS
        print(f"AUC lost {name} the hard set: {lost:+.4f} (limit {LOSS}): {'met' if lost <= LOSS else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
