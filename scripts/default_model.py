"""Make the shipped model from nothing: simulate, subtract, detect, cut, train, measure, export.

    python scripts/default_model.py -o build/default-model

Every step is kept, so a run that was cut off carries on. The model is written to
src/realbogus/models/default.onnx; its card says how it was made and how it did.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from realbogus.cli.verb import bars
from realbogus.config import load_config, with_overrides
from realbogus.dataset.assemble import simulate_stamps
from realbogus.dataset.split import split
from realbogus.metrics import confusion, precision_recall_crossing, recall_at_false_positive_rate, roc_auc
from realbogus.model import Model
from realbogus.runtimes.export import export_onnx
from realbogus.stamps import IGNORE, StampSet
from realbogus.training.train import Progress, train

ROOT = Path(__file__).resolve().parents[1]
SHARD = 100  # pairs simulated between two saves
TRAIN_SEED, TEST_SEED = 2026, 2027
FILTER_EPOCHS = 4  # of the first network, which only finds ambiguous bogus


def stamps_of(folder: Path, pairs: int, seed: int, jobs: int, console: Console, channels: tuple[str, ...]) -> StampSet:
    """Simulate `pairs` pairs in shards, using those that are there already; give back these channels."""
    shards = []
    with bars(console) as progress:
        for first in range(0, pairs, SHARD):
            shard = folder / f"{seed}-{first:06d}"
            if not (shard / "card.json").is_file():
                count = min(SHARD, pairs - first)
                simulate_stamps(
                    "varied", count, seed=seed, first=first, jobs=jobs,
                    progress=lambda done, of, first=first: progress(f"seed {seed}", first + done, pairs),
                ).save(shard)  # fmt: skip
            stamps = StampSet.load(shard)
            if stamps.provenance["pairs"] != min(SHARD, pairs - first):
                raise SystemExit(f"{shard} was made for another number of pairs: remove it, or the whole {folder}")
            shards.append(only(stamps, channels))
    return StampSet.concatenate(shards)


def scores_of(model: Model, stamps: StampSet) -> NDArray[np.float32]:
    """Score a set."""
    return model.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)


def without_ambiguous(stamps: StampSet, model: Model, limit: float) -> StampSet:
    """Mark bogus that a first network takes for real as `IGNORE`: most are label noise (ZERO_SHOT.md, lesson 5)."""
    scores = scores_of(model, stamps)
    catalogue = stamps.catalogue.copy()
    catalogue["label"][(stamps.labels == 0) & (scores > limit)] = IGNORE
    return replace(stamps, catalogue=catalogue)


def main() -> None:
    """Run every step that is still to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "default-model")
    parser.add_argument("--pairs", type=int, default=1200)
    parser.add_argument("--test-pairs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "default.toml")
    parser.add_argument("--onnx", type=Path, default=ROOT / "src" / "realbogus" / "models" / "default.onnx")
    options = parser.parse_args()
    console = Console()
    config = load_config(options.config)
    channels = tuple(config.preprocess["channels"])
    stamps = stamps_of(options.out / "stamps", options.pairs, TRAIN_SEED, options.jobs, console, channels)
    test = stamps_of(options.out / "stamps", options.test_pairs, TEST_SEED, options.jobs, console, channels)
    console.print(f"{len(stamps)} stamps, {(stamps.labels == 1).sum()} real; test {len(test)}")

    def say(progress: Progress) -> None:
        if progress.row is not None:
            console.print({k: round(v, 4) if isinstance(v, float) else v for k, v in progress.row.items()})

    parts = split(stamps, config.split, seed=config.seed)
    brief = with_overrides(config, {"training.epochs": FILTER_EPOCHS})
    first = train(stamps, brief, rows=parts.train, valid_rows=parts.valid, out=options.out / "first", progress=say)
    cleaned = without_ambiguous(stamps, first, 0.9)
    dropped = int((cleaned.labels == IGNORE).sum() - (stamps.labels == IGNORE).sum())
    console.print(f"{dropped} bogus that the first network takes for real are left out of the second training")
    keep = cleaned.labels >= 0
    rows, valid = parts.train[keep[parts.train]], parts.valid[keep[parts.valid]]
    model = train(cleaned, config, rows=rows, valid_rows=valid, out=options.out / "second", progress=say)

    # Where precision equals recall, the paper's starting point in operation (section 4.3), on frames that were
    # held out of training. Simulated bogus are harder than those of real nights, so it is conservative
    # (ZERO_SHOT.md, lesson 2): --calibrate does better.
    held_out = stamps.select(parts.valid[stamps.labels[parts.valid] >= 0])
    threshold = float(np.round(precision_recall_crossing(scores_of(model, held_out), held_out.labels), 4))
    scores, labels = scores_of(model, test), test.labels
    at = confusion(scores, labels, threshold)
    metrics = {
        "data": f"{options.test_pairs} simulated pairs of the preset varied, seed {TEST_SEED}, used for nothing else",
        "stamps": len(test), "real": int((labels == 1).sum()), "auc": roc_auc(scores, labels),
        "recall": at.recall, "specificity": at.specificity, "precision": at.precision,
        "recall_at_1_percent_bogus": recall_at_false_positive_rate(scores, labels, 0.01),
    }  # fmt: skip
    card = replace(
        model.card, threshold=threshold, metrics=metrics,
        data={**model.card.data, "preset": "varied", "pairs": options.pairs, "seed": TRAIN_SEED, "ambiguous": dropped},
    )  # fmt: skip
    export_onnx(model.with_card(card), options.onnx, stamps=test)
    console.print(card.metrics)
    console.print(f"threshold {threshold}, written: {options.onnx} ({options.onnx.stat().st_size / 1e6:.2f} MB)")


def only(stamps: StampSet, channels: tuple[str, ...]) -> StampSet:
    """Return the stamps with just these channels."""
    if stamps.channels == channels:
        return stamps
    index = [stamps.channels.index(name) for name in channels]
    return StampSet(np.ascontiguousarray(stamps.pixels[:, index]), stamps.catalogue, channels, stamps.provenance)


if __name__ == "__main__":
    main()
