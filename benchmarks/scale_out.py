"""Show that the engine `ray` gives the rows of the local one, and what workers add.

    python benchmarks/scale_out.py [STAMPS] [--count 20000] [--workers 1 2] [--model default] [--batch 512]

A stamp set (a made-up one of 4,096 stamps by default) is repeated until there are `--count` stamps, and scored by this
process on one thread, then by Ray with each number of workers of one processor. `RAY_ADDRESS` names a cluster; else
Ray is started here. Every row is compared: ids, order, scores bit for bit, verdicts; status 1 where one differs.

Start is the time until the first batch is there (processes, Python, the model); the rate counts from then on. Then
what the driver does for each row by itself: cutting and pickling parts, unpickling and judging answers. It bounds how
many workers one driver can keep at work. Needs idle processors, as many as workers and one; figures come last.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stream_memory import Repeated, made_up

from realbogus.serving.batch import Scored
from realbogus.serving.engines import ENGINES
from realbogus.serving.loop import score
from realbogus.serving.parts import Part, answered
from realbogus.serving.scorer import Scorer
from realbogus.serving.sources.stamps import StampSource
from realbogus.serving.worker import open_model


class Cut(Repeated):
    """The same over and over, in parts that workers read."""

    def parts(self, size: int) -> Iterator[Part]:
        """Yield stretches of the set again and again."""
        left, turn = self.count, 0
        while left:
            rows = (0, min(left, StampSource(self.folder).count))
            yield from StampSource(
                self.folder, channels=self.channels, prefix=f"{turn:06d}/", rows=rows
            ).parts(size)  # fmt: skip
            left, turn = left - rows[1], turn + 1


class Digest:
    """A sink that keeps a digest of all rows in their order, and when the first came and the last."""

    lasting, name = True, "digest"

    def __init__(self) -> None:
        self.sum, self.count, self.times = hashlib.sha256(), [], []

    def write(self, scored: Scored) -> None:
        """Take a batch."""
        self.times.append(time.perf_counter())
        self.count.append(len(scored))
        self.sum.update("\n".join(scored.rows["id"].tolist()).encode())
        for name in ("score", "real", "threshold"):
            self.sum.update(scored.rows[name].filled(-1).tobytes() if name == "score" else scored.rows[name].tobytes())

    def refuse(self, failed: Any) -> None:
        """Take reasons."""
        self.sum.update(repr(failed).encode())

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held."""
        return

    @property
    def rate(self) -> float:
        """Rows a second behind the first batch."""
        return sum(self.count[1:]) / max(self.times[-1] - self.times[0], 1e-9)


def once(source: Cut, scorer: Scorer, model: str, engine: str, workers: int | None, size: int) -> tuple[Digest, float]:
    digest, began = Digest(), time.perf_counter()
    opened = ENGINES.resolve(engine)(
        source, scorer, partial(open_model, model), workers=workers, keep=False, say=print
    )  # fmt: skip
    with opened as (scattered, judge):
        tally = score(scattered, judge, [digest], size=size)
    if tally.rows != source.count:
        raise SystemExit(f"{tally.rows} rows of {source.count}")
    return digest, digest.times[0] - began


def driver(source: Cut, scorer: Scorer, size: int) -> dict[str, float]:
    """Microseconds a row of what no worker can take over."""
    spent = {"cut and send": 0.0, "receive": 0.0, "judge": 0.0}
    count, clock = 0, time.perf_counter()
    for part in source.parts(size):
        data = pickle.dumps(part)
        spent["cut and send"] += time.perf_counter() - clock
        sent = [
            pickle.dumps(answered(batch, None, keep=False), protocol=5) for batch in pickle.loads(data).batches(size)
        ]
        clock = time.perf_counter()
        answers = [pickle.loads(answer) for answer in sent]
        spent["receive"] += time.perf_counter() - clock
        for answer in answers:
            clock = time.perf_counter()
            count += len(scorer.judge(answer, answer.scores, answer.reasons))
            spent["judge"] += time.perf_counter() - clock
        clock = time.perf_counter()
    return {name: seconds / count * 1e6 for name, seconds in spent.items()}


def main() -> int:
    """Score with each engine, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stamps", type=Path, nargs="?", default=None)
    parser.add_argument("--model", default="default")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=512)
    options = parser.parse_args()
    if options.count <= options.batch:
        parser.error("--count must be more than --batch: the rate counts from the second batch on")
    # workers find this folder's modules by it
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    model = options.model if options.model == "default" else str(Path(options.model).absolute())
    scorer = Scorer(open_model(model, threads=1))
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.stamps or made_up(Path(scratch) / "S", 4096)
        source = Cut(folder, options.count, scorer.classifier.card.channels)
        load = os.getloadavg()[0]
        runs = {"local, one thread": once(source, scorer, model, "local", None, options.batch)}
        for workers in options.workers:
            runs[f"ray, {workers} worker{'s' * (workers > 1)}"] = once(
                source, scorer, model, "ray", workers, options.batch
            )
        each = driver(source, scorer, options.batch)
    (alone, _), *others = runs.values()
    same = all(digest.sum.digest() == alone.sum.digest() for digest, _ in others)
    print(f"\n{options.count:,} stamps, model {options.model}, batches of {options.batch}, "
          f"{len(os.sched_getaffinity(0))} processors, load before {load:.1f}")  # fmt: skip
    print("| engine | start, s | stamps/s | to the local one |\n| --- | ---: | ---: | ---: |")
    for name, (digest, start) in runs.items():
        print(f"| {name} | {start:.1f} | {digest.rate:,.0f} | {digest.rate / alone.rate:.2f} |")
    print("\n| the driver, alone | microseconds a row |\n| --- | ---: |")
    for name, spent in each.items():
        print(f"| {name} | {spent:.1f} |")
    whole = sum(each.values())
    print(f"| all, before sinks | {whole:.1f} |")
    print(f"\none driver: {1e6 / whole:,.0f} rows/s before sinks; rows {'the same' if same else 'DIFFER'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
