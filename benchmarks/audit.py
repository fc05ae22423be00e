"""Does the audit find planted errors? 3 % of the labels of a simulated set are flipped, then it is audited.

    python benchmarks/audit.py [--stamps 5000] [--jobs 2] [--seed 1] [-o OUT] [--set SET]

The set is simulated from nothing by its seed: fields of the benchmark data (docs/benchmark_data.md), whose bogus are
made hard, a fifth of the rows real. It is kept in OUT (default: benchmarks/out/audit), so that a second run only
audits. With --set so many stamps of a labelled set are taken instead, up to a fifth of them real. Takes some
minutes on two idle cores. Leaves with status 1 where fewer than 80 % of the flipped labels are among the first 6 %
of the list. The figures come last.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from realbogus.cli.verb import bars
from realbogus.curation.audit import audit
from realbogus.dataset.benchmark import Scale, benchmark_stamps
from realbogus.stamps import StampSet

OUT = Path(__file__).resolve().parent / "out" / "audit"
FLIPPED, LOOKED_AT, FLOOR = 0.03, 0.06, 0.80


def simulated(stamps: int, seed: int, jobs: int, out: Path, console: Console) -> StampSet:
    """Simulate the set, or read it."""
    fields = max(2, stamps // 250)
    reals = stamps // 5
    scale = Scale(
        f"audit{stamps}-{seed}-", 4000 + seed, fields=fields, bogus=stamps - reals, reals=reals, variables=6 * fields,
        cap=12, epochs=8,
    )  # fmt: skip
    with bars(console) as progress:
        return benchmark_stamps(
            scale, jobs=jobs, out=out, progress=lambda done, of: progress("fields", done, of)
        )  # fmt: skip


def drawn(folder: Path, count: int, rng: np.random.Generator) -> StampSet:
    """Draw stamps of a labelled set."""
    stamps = StampSet.load(folder)
    real, bogus = (rng.permutation(np.flatnonzero(stamps.labels == value)) for value in (1, 0))
    real = real[: count // 5]
    return stamps.select(np.sort(np.concatenate([real, bogus[: count - len(real)]])))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--set", type=Path, default=None)
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    options = parser.parse_args()
    console = Console(stderr=True)
    folder = options.out / f"{options.stamps}-{options.seed}"
    rng = np.random.default_rng([options.seed, 1])
    if options.set is None:
        stamps = simulated(options.stamps, options.seed, options.jobs, folder / "stamps", console)
    else:
        stamps = drawn(options.set, options.stamps, rng)
    truth = stamps.labels
    flipped = rng.choice(len(stamps), round(FLIPPED * len(stamps)), replace=False)
    catalogue = stamps.catalogue.copy()
    catalogue["label"][flipped] = 1 - truth[flipped]
    wrong = StampSet(stamps.pixels, catalogue, stamps.channels, stamps.provenance)
    started, cpu = time.perf_counter(), time.process_time()
    with bars(console) as progress:
        found = audit(wrong, epochs=options.epochs, seed=options.seed, work=folder / "work", progress=progress)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    first = np.asarray(found.table["row"])[: round(LOOKED_AT * len(stamps))]
    hit = np.isin(flipped, first)
    share = hit.mean()
    named = np.isin(np.asarray(found.table["row"])[np.asarray(found.table["suspect"])], flipped)
    print(f"{len(stamps)} stamps, {int((truth == 1).sum())} real; {len(flipped)} labels flipped")
    for value, name in ((1, "real called bogus"), (0, "bogus called real")):
        rows = truth[flipped] == value
        print(f"  {name}: {int(hit[rows].sum())} of {int(rows.sum())} found")
    print(f"audit: {seconds:.0f} s, {cpu:.0f} s of CPU; AUC against the labels as they are {found.auc.value:.4f}")
    print(f"cleanlab counts {found.suspects} labels as wrong, {int(named.sum())} of them are")
    print(
        f"among the first {len(first)} of the list ({100 * LOOKED_AT:g} %): {int(hit.sum())} of {len(flipped)} "
        f"flipped, {100 * share:.1f} % (floor {100 * FLOOR:g} %)"
    )
    return int(share < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
