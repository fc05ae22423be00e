"""How quick is the paper's trio as a bundle, and the student? Beside eager PyTorch and ONNX Runtime, in the same run.

The trio (ResNet-18, EfficientNet-B0, DenseNet-121, one native plane of 64x64) is exported to OpenVINO in bf16 or int8
and timed by `realbogus bench`, stamps in memory to scores; so is the student, in int8, and then from a stamp set on
disk into SQLite by the one loop, as `realbogus score STAMPS --to sqlite:///...` does it. The weights are random unless
`--trio` and `--student` name trained ones: how quick a network is does not depend on them; what its certificate says
does, so that is written only for trained ones with `--held-out`.

    python benchmarks/runtimes.py [--quick] [--trio ENSEMBLE --held-out STAMPS --stamps STAMPS] [--precision bf16]
        [--student MODEL] [--student-precision int8] [--gate MODEL --gate-stamps STAMPS --sky STAMPS]

With `--gate`, `--gate-stamps` and `--sky` (as `benchmarks/student.py` leaves them) the trio is also exported behind
that gate, certified and timed on the stamps of `--sky`, which have the hard bogus that a gate cannot tell. Then it is
this bundle that the trio's floors are for. The trio by itself stands beside it. How many stamps go on through a gate
depends on the sky: it is printed.

Needs the extra `database` and two idle cores; with AMX for the floors without a gate, which were set on such a machine.
Leaves with status 1 where one is missed:

    the trio     900 stamps/s from memory to scores, 8 times eager PyTorch f32 in the same run
    the student  4,500 stamps/s from a stamp set on disk into SQLite
    both         3 s from a fresh process to the first score

int8 is calibrated on `--stamps`, never on the held-out ones of its certificate. Figures come last.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table
from stream_memory import made_up, once

from realbogus.classifier import Card
from realbogus.ensemble import Ensemble
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes import load_classifier
from realbogus.runtimes.bench import bench
from realbogus.runtimes.export_bundle import export_bundle
from realbogus.runtimes.need import needs, ratios
from realbogus.runtimes.openvino import cpu_has_bf16
from realbogus.runtimes.timed import random_stamps
from realbogus.runtimes.tolerance import Tolerance
from realbogus.stamps import StampSet
from realbogus.study.paper import TRIO
from realbogus.training.distil import student_config

RATE, TIMES, START = 900.0, 8.0, 3.0
STUDENT_RATE = 4500.0
#: Random networks say the same of all stamps, and an order of equals is chance.
ANY = Tolerance(None, 1.0, 1.0)


def random_trio() -> Ensemble:
    prepare = Preprocess(planes=("native:difference",), size=64, orient=False)
    cards = [Card(name=name, architecture=name, preprocess=prepare) for name in TRIO]
    return Ensemble.of([Model.create(card, seed=seed) for seed, card in enumerate(cards)], name="trio")


def random_student() -> Model:
    config = student_config()
    prepare = Preprocess.from_dict(config.preprocess)
    return Model.create(Card("student", "compact", dict(config.model.options), preprocess=prepare))


def noise_stamps(card: Card, count: int) -> StampSet:
    pixels, noise, fwhm = random_stamps(card, count)
    rows = Table({"id": np.arange(count), "noise": noise, "fwhm": fwhm, "label": np.arange(count) % 2})
    return StampSet(pixels, rows, card.channels)


def preprocessing(card: Card) -> float:
    """Return stamps a second of the preprocessing alone, on one processor."""
    pixels, noise, fwhm = random_stamps(card, 512)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        for rows in (slice(0, 256), slice(256, 512)):  # as a bundle does it
            card.preprocess(pixels[rows], noise=noise[rows], fwhm=fwhm[rows])
        times.append(time.perf_counter() - started)
    return len(pixels) / min(times)


def into_sqlite(bundle: Path, scratch: Path, count: int) -> float:
    """Return stamps a second from a stamp set on disk through a bundle into SQLite."""
    stamps = made_up(scratch / "stamps", min(count, 4096))
    spent = once(stamps, count, str(bundle), f"sqlite:///{scratch}/out.db", 512)
    return count / spent["seconds"]


def measure(path: Path, options: argparse.Namespace, stamps: str | None) -> dict[str, object]:
    quick = {"seconds": 0.1, "rounds": 1, "starts": 1, "batches": [1, 64]}
    full = {"seconds": options.seconds, "rounds": options.rounds, "starts": 3, "batches": [1, 32, 512]}
    found = bench(path, stamps=stamps, **(quick if options.quick else full))
    for row in found["speeds"]:
        print(f"  {row['runtime']:<16} threads {row['threads']} batch {row['batch']:>4} {row['rate']:>8.0f} stamps/s"
              f"  p50 {row['p50_ms']:.1f} p99 {row['p99_ms']:.1f} ms", flush=True)  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short measurements: does it run at all?")
    parser.add_argument("--trio", default=None, help="a trained ensemble, with --held-out (and --stamps for int8)")
    parser.add_argument("--held-out", default=None)
    parser.add_argument("--stamps", default=None)
    parser.add_argument("--student", default=None, help="a trained student")
    parser.add_argument("--gate", default=None, help="a student to stand before the trio")
    parser.add_argument("--gate-stamps", default=None, help="to choose its cut")
    parser.add_argument("--sky", default=None, help="held-out stamps with hard bogus, to judge and time that bundle")
    parser.add_argument("--precision", default="bf16", choices=["f32", "bf16", "int8"], help="of the trio")
    parser.add_argument("--student-precision", default="int8", choices=["f32", "bf16", "int8"])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=60_000, help="stamps from disk into SQLite (default: %(default)s)")
    options = parser.parse_args()
    exported = options.precision if options.trio else "", options.student_precision if options.student else ""
    if "int8" in exported and (options.held_out or options.sky) and not options.stamps:
        parser.error("int8 with --held-out or --sky needs --stamps: calibrated on those, the certificate says nothing")
    wanted = (options.gate, options.gate_stamps, options.sky)
    if any(wanted) and not all((*wanted, options.trio)):
        parser.error("--gate, --gate-stamps and --sky go together, with a --trio: random networks know no bogus")
    lines, met = [], True
    with tempfile.TemporaryDirectory() as folder:
        students = load_classifier(options.student) if options.student else random_student()
        trio = load_classifier(options.trio) if options.trio else random_trio()
        gate = (
            {"gate": load_classifier(options.gate), "gate_stamps": StampSet.load(options.gate_stamps)}
            if options.gate
            else {}
        )
        for name, model, trained, unseen, before, precision in (
            ("trio", trio, options.trio, options.held_out, {}, options.precision),
            *([("gated trio", trio, options.trio, options.sky, gate, options.precision)] if gate else []),
            ("student", students, options.student, options.held_out, {}, options.student_precision),
        ):
            given, judged = trained and unseen, name != "trio" or not gate
            held_out = StampSet.load(unseen) if given else noise_stamps(model.card, 64)
            calibration = StampSet.load(options.stamps) if trained and options.stamps else held_out
            # random weights bear nothing and need not: their speed is what counts
            bundle = export_bundle(
                model, Path(folder) / name, held_out=held_out, stamps=calibration, precision=precision,
                tolerance=None if given else ANY, most=0.01 if given else 1.0, **before,
            )  # fmt: skip
            if given and bundle.certificate is not None:
                lines += [f"{name} certificate: {' | '.join(row)}" for row in bundle.certificate.rows()]
            if bundle.gate is not None:
                lines.append(f"{name}: {bundle.gate.passed:.1%} of the stamps go on, cut {bundle.gate.cut:.3g}")
            print(f"{name}, {precision}:", flush=True)
            found = measure(Path(folder) / name, options, unseen if before else None)
            best = max(row["rate"] for row in found["speeds"] if row["contender"] == "itself")
            start, times = min(found["cold_start_s"]), ratios(found)
            if name.endswith("trio"):
                floors = [(best, RATE, "stamps/s"), (times["pytorch f32"], TIMES, "times eager PyTorch f32")]
            else:
                rate = into_sqlite(Path(folder) / name, Path(folder), 2000 if options.quick else options.count)
                floors = [(rate, STUDENT_RATE, "stamps/s from a stamp set into SQLite")]
                lines.append(f"{name}: {best:,.0f} stamps/s from memory to scores")
            if not before:
                lines.append(f"{name}: one processor prepares {preprocessing(model.card):,.0f} stamps/s")
            for value, floor, what in floors:
                met &= value >= floor or not judged
                verdict = ("met" if value >= floor else "MISSED") + ("" if judged else ", the gated trio is judged")
                lines.append(f"{name}: {value:,.2f} {what} (floor {floor:g}): {verdict}")
            met &= start <= START
            lines.append(
                f"{name}: first score after {start:.2f} s (limit {START:g}): {'met' if start <= START else 'MISSED'}"
            )
            for need in needs(found, 1e8, 36000.0):
                lines.append(f"{name}: 1e8 alerts in 10 h: {need['workers']} workers of {need['threads']} threads")
            print(flush=True)
    machine = found["machine"]
    print(f"{machine['processor']}, {machine['processors']} processors, {'with' if cpu_has_bf16() else 'WITHOUT'} bf16")
    print("\n".join(lines))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
