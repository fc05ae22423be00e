"""Show that memory and time per stamp do not grow with the length of a source, and where the time goes.

    python benchmarks/stream_memory.py [STAMPS] [--model default] [--small 100000] [--large 1000000] [--sink sqlite]

A stamp set (a made-up one of 4,096 stamps in three channels by default) is repeated, with an id of its own for every
stamp, until there are `--small`, then `--large`, then `--small` of them again, each time in a process of its own that
scores them with the one loop and writes them to the sink. Peak memory and time per stamp of the two lengths may differ
by 10 %; more, and the status is 1. The small one counts with the mean of its two times: a machine that slows down in
these minutes (a processor does when it gets warm) is no fault of the length. `--floor N` asks for N stamps/s from
stamps on disk to the sink as well. `--model quick` scores with arithmetic alone: what is left is reading, the loop and
the sink.

Then each part by itself, on one thread: reading, preparing (the card's preprocessing), the network, writing. The
figures come last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from realbogus.classifier import Card, Classifier
from realbogus.serving.batch import Batch
from realbogus.serving.loop import score
from realbogus.serving.scorer import Scorer
from realbogus.serving.sinks import open_sink
from realbogus.serving.sources.stamps import StampSource
from realbogus.stamps import StampSet

TARGETS = {"sqlite": "sqlite:///{}/out.db", "parquet": "{}/out.parquet", "csv": "{}/out.csv"}


class Quick:
    """A classifier that costs nothing: what is measured is everything else."""

    card = Card(name="quick", architecture="none")

    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> Any:
        """Give every stamp the same score."""
        return np.full(len(pixels), 0.25, np.float32)


class Repeated:
    """A stamp set over and over, read from its files every time."""

    def __init__(self, folder: Path, count: int, channels: tuple[str, ...]) -> None:
        self.folder, self.count, self.channels = folder, count, channels

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield its rows again and again."""
        left, turn = self.count, 0
        while left:
            whole = StampSource(self.folder).count
            part = (0, min(left, whole))
            source = StampSource(self.folder, channels=self.channels, prefix=f"{turn:06d}/", rows=part)
            yield from source.batches(size, wait_s)
            left, turn = left - part[1], turn + 1

    def commit(self, receipt: Any) -> None:
        """Nothing to remember."""
        pass

    def close(self) -> None:
        """Nothing is held."""
        pass


def made_up(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    rows = Table(
        {
            "id": [f"stamp-{number:05d}" for number in range(count)],
            "source": [f"star-{number // 3}" for number in range(count)],
            "frame": [f"frame-{number // 500:03d}.fits" for number in range(count)],
            "x": rng.uniform(0, 9000, count), "y": rng.uniform(0, 6000, count),
            "ra": rng.uniform(0, 360, count), "dec": rng.uniform(-90, 90, count),
            "mjd": rng.uniform(60000, 60001, count), "snr": rng.uniform(4, 60, count),
            "flux": rng.uniform(0, 9e4, count), "flags": rng.integers(0, 64, count),
            "sign": rng.choice([-1, 1], count).astype(np.int8),
            "noise": np.full(count, 3.0), "fwhm": rng.choice([2.4, 2.6, 2.8, 3.0], count),
            "usable": np.ones(count, dtype=bool), "missing": np.zeros(count), "origin": ["simulated"] * count,
        }
    )  # fmt: skip
    pixels = rng.normal(0, 3, (count, 3, 64, 64)).astype(np.float32)
    return StampSet(pixels, rows, ("difference", "science", "reference")).save(folder)


def opened(model: str, threads: int) -> Classifier:
    if model == "quick":
        return Quick()
    from realbogus.runtimes import default_model, load_classifier

    return load_classifier(default_model() if model == "default" else Path(model), threads=threads)


def peak_mib() -> float:
    """Largest resident memory of this process; ru_maxrss would begin with that of the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def once(folder: Path, count: int, model: str, target: str, size: int) -> dict[str, float]:
    """Score `count` stamps in this process; peak memory is that of all of it."""
    classifier = opened(model, 0)
    channels = classifier.card.channels
    warm = next(iter(Repeated(folder, size, channels).batches(size, 1.0)))
    Scorer(classifier)(warm)  # what the first call costs is no matter of length
    source = Repeated(folder, count, channels)
    tally = score(source, Scorer(classifier), [open_sink(target)], size=size)
    if tally.rows != count or tally.scored != count:
        raise SystemExit(f"{tally.rows} rows and {tally.scored} scores of {count} stamps")
    return {"seconds": tally.seconds, "mib": peak_mib()}


def parts(folder: Path, model: str, target: str, size: int) -> dict[str, float]:
    """Microseconds a stamp of each part by itself, on one thread."""
    classifier = opened(model, 1)
    card, spent = classifier.card, dict.fromkeys(("read", "prepare", "network", "score", "write"), 0.0)
    source, scorer, sink = StampSource(folder, channels=card.channels), Scorer(classifier), open_sink(target)
    count = 0
    clock = time.perf_counter()
    for batch in source.batches(size, 1.0):
        spent["read"] += time.perf_counter() - clock
        count += len(batch)
        clock = time.perf_counter()
        noise, fwhm = (np.asarray(batch.rows[name], np.float32) for name in ("noise", "fwhm"))
        if model != "quick":
            card.preprocess(batch.pixels, noise=noise, fwhm=fwhm)
            spent["prepare"] += time.perf_counter() - clock
        clock = time.perf_counter()
        classifier.predict(batch.pixels, noise=noise, fwhm=fwhm)
        spent["network"] += time.perf_counter() - clock
        clock = time.perf_counter()
        scored = scorer(batch)
        spent["score"] += time.perf_counter() - clock
        clock = time.perf_counter()
        sink.write(scored)
        spent["write"] += time.perf_counter() - clock
        clock = time.perf_counter()
    sink.close()
    # a scorer predicts, and a prediction prepares: what is more is their own
    spent["verdict"] = max(spent.pop("score") - spent["network"], 0.0)
    spent["network"] = max(spent["network"] - spent["prepare"], 0.0)
    return {name: seconds / count * 1e6 for name, seconds in spent.items()}


def main() -> int:
    """Run both lengths, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stamps", type=Path, nargs="?", default=None)
    parser.add_argument("--model", default="default", help="default, quick, or the path of a model or bundle")
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--sink", choices=sorted(TARGETS), default="sqlite")
    parser.add_argument("--floor", type=float, default=0.0, help="stamps/s that the larger run must reach")
    parser.add_argument("--share", type=float, default=0.10, help="by how much the two may differ")
    parser.add_argument("--once", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        folder, count, target = options.once
        print(json.dumps(once(Path(folder), int(count), options.model, target, options.batch)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.stamps or made_up(Path(scratch) / "S", 4096)
        runs = []
        lengths = (options.small, options.large, options.small)
        for number, count in enumerate(lengths):
            place = Path(scratch) / str(number)
            place.mkdir()
            words = [sys.executable, __file__, "--model", options.model, "--batch", str(options.batch), "--once",
                     str(folder), str(count), TARGETS[options.sink].format(place)]  # fmt: skip
            print(f"{count} stamps ..., load {os.getloadavg()[0]:.1f}", flush=True)
            runs.append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
        (Path(scratch) / "parts").mkdir()
        each = parts(folder, options.model, TARGETS[options.sink].format(Path(scratch) / "parts"), options.batch)
    each_s = [run["seconds"] / count for run, count in zip(runs, lengths, strict=True)]
    memory = runs[1]["mib"] / runs[0]["mib"] - 1
    time_ = each_s[1] / ((each_s[0] + each_s[2]) / 2) - 1
    print(f"\nmodel {options.model}, sink {options.sink}, batches of {options.batch}")
    print("| stamps | peak MiB | stamps/s |\n| ---: | ---: | ---: |")
    for count, run, seconds in zip(lengths, runs, each_s, strict=True):
        print(f"| {count:,} | {run['mib']:.0f} | {1 / seconds:,.0f} |")
    print("\n| part, one thread | microseconds a stamp | stamps/s |\n| --- | ---: | ---: |")
    for name, spent in each.items():
        print(f"| {name} | {spent:.1f} | {1e6 / max(spent, 1e-3):,.0f} |")
    missed = []
    if memory > options.share:
        missed.append(f"peak memory grows by {memory:.1%}")
    if time_ > options.share:
        missed.append(f"time per stamp grows by {time_:.1%}")
    if 1 / each_s[1] < options.floor:
        missed.append(f"{1 / each_s[1]:,.0f} stamps/s, the floor is {options.floor:,.0f}")
    print(f"\nmemory {memory:+.1%}, time per stamp {time_:+.1%}: {'; '.join(missed) or 'held'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
