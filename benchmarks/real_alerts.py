"""How many of the surely real alerts are found where at most one in twenty of the bogus passes.

The alerts of `shared/data/ztf_alerts` are real for reasons that no network knows (`evidence_real`: a
solar-system match, a known variable or supernova), and bogus where two public networks agree
(`consensus`). Small networks learn from the consensus labels, in five folds by object, and each
alert is scored by those that have not seen its object. Difference alone beside three channels.

    python benchmarks/real_alerts.py [--alerts FOLDER] [--members 3] [--epochs 20]

FOLDER holds `triplets.npz` and `labels.csv`. An alert that cannot be scored is a real that is missed, or
a bogus that is turned away. The figures come last; leaves with status 1 where the floor is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

from realbogus.adapters import Layout, adapt
from realbogus.config import Config, with_overrides
from realbogus.curation.recipes import quick_recipe
from realbogus.curation.scores import out_of_fold, source_folds
from realbogus.evaluation.tables import Column, Measured, ResultTable
from realbogus.metrics import bootstrap_interval, recall_at_specificity, roc_auc
from realbogus.stamps import StampSet

HERE = Path(__file__).resolve().parent
ALERTS = HERE.parents[1] / "shared" / "data" / "ztf_alerts"
COLUMNS = {
    "id": "candid", "source": "objectId", "sign": "isdiffpos", "mag": "magpsf", "snr": "scorr", "fwhm": "", "field": "",
}  # fmt: skip
FLOOR, AIM = 0.85, 0.95
SPECIFICITY = 0.95
FOLDS = 5
CHANNELS = {"difference alone": ("difference",), "three channels": ("difference", "science", "reference")}
#: PSF size of ZTF's images, pixels: 2 arcsec at 1.01 arcsec a pixel. The table's `fwhm` is each candidate's own.
FWHM = 2.0


def alerts_in(folder: Path, out: Path) -> tuple[StampSet, NDArray[np.bool_]]:
    """Return the alerts with consensus labels (the rest unlabelled), and which are real by evidence."""
    table = Table.read(folder / "labels.csv", format="ascii.csv", converters={"candid": str, "evidence_real": str})
    layout = Layout(array="triplets", table=table, columns=COLUMNS, reversed_negatives=True)
    done = adapt(folder / "triplets.npz", out / "stamps", layout=layout, fwhm=FWHM)
    if len(done.unusable):
        print(f"{len(done.unusable)} alerts could not be read: {done.unusable['reason'][0]}", file=sys.stderr)
    stamps = done.stamps
    rows = stamps.catalogue.copy()
    said = np.ma.filled(rows["consensus"].astype(str), "")
    why = np.ma.filled(rows["evidence_real"].astype(str), "")
    rows["label"] = np.select([said == "real", said == "bogus"], [1, 0], -2)
    pixels = np.array(stamps.pixels)  # the folder goes
    return StampSet(pixels, rows, stamps.channels, stamps.provenance), np.char.startswith(why, "real")


def recipe(channels: tuple[str, ...], epochs: int, seed: int) -> Config:
    """Return the quick recipe for a few hundred clean labels: the whole network, averaged for longer."""
    config = quick_recipe(channels, 1000, epochs=epochs, seed=seed)
    return with_overrides(config, {"model.options": {}, "training.lr": 2e-3, "training.ema": 0.995,
                                   "training.label_smoothing": 0.05, "training.noise_jitter": 0.1,
                                   "training.fwhm_jitter": 0.1, "training.variants": 3})  # fmt: skip


def votes(
    stamps: StampSet, channels: tuple[str, ...], options: argparse.Namespace, say: Callable[[float], None]
) -> NDArray[np.float64]:
    """Return the mean score of the members that have not seen an alert's object; 0 where there is none."""
    usable = np.flatnonzero(np.asarray(stamps.catalogue["usable"]))
    groups = np.asarray(stamps.catalogue["source"]).astype(str)[usable]
    places = [stamps.channels.index(name) for name in channels]
    seen = StampSet(stamps.pixels[:, places], stamps.catalogue, channels, stamps.provenance)
    total = np.zeros(len(stamps))
    for member in range(options.members):
        fold = source_folds(groups, (stamps.labels[usable] != 0).astype(np.int64), FOLDS, seed=member)

        def step(stage: str, done: int, of: int, member: int = member) -> None:
            say(member * FOLDS + int(stage.split()[1].split("/")[0]) - 1 + done / of)

        total[usable] += out_of_fold(seen, usable, fold, recipe(channels, options.epochs, member), say=step)
    return total / options.members


def main() -> int:
    """Train, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=Path, default=ALERTS)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    if not (options.alerts / "labels.csv").exists():
        print(f"{options.alerts} holds no labels.csv: name the folder with --alerts", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        stamps, real = alerts_in(options.alerts, Path(folder))
    bogus = (stamps.labels == 0) & ~real
    asked = real | bogus
    truth = real[asked].astype(np.int64)
    rows = []
    with Progress(transient=True) as bar:
        for name, channels in CHANNELS.items():
            started = time.perf_counter()
            task = bar.add_task(name, total=FOLDS * options.members)

            def say(done: float, task: TaskID = task) -> None:
                bar.update(task, completed=done)

            scores = votes(stamps, channels, options, say)[asked]

            def recall(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
                return float(recall_at_specificity(values, labels, SPECIFICITY))

            cells = []
            for statistic in (recall, roc_auc):
                ends = bootstrap_interval(statistic, scores, truth, rng=np.random.default_rng(0), draws=1000)
                cells.append(Measured(statistic(scores, truth), *ends))
            rows.append([name, *cells, time.perf_counter() - started])
    unusable = int((~np.asarray(stamps.catalogue["usable"])).sum())
    columns = [Column("input"), Column("recall % where 5 % of the bogus pass", ".1f", 100), Column("AUC", ".4f"),
               Column("seconds", ".0f")]  # fmt: skip
    caption = (
        f"{len(stamps)} alerts, {unusable} of them unusable; {int(truth.sum())} real by evidence, "
        f"{int((truth == 0).sum())} bogus by consensus; {FOLDS} folds by object, {options.members} members of "
        f"{options.epochs} epochs; 95 % bootstrap intervals."
    )
    print(ResultTable(columns, rows, caption).to_markdown())
    reached = rows[-1][1].value
    print(f"three channels: recall {reached:.3f} (floor {FLOOR}, aim {AIM})")
    return 0 if reached >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
