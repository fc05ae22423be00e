"""Measure how many alert packets a second `realbogus adapt` takes.

    python benchmarks/adapt.py [PACKETS] [--count 4000] [--jobs 1 2]

PACKETS is a folder of Avro packets (default: the 200 ZTF alerts beside the checkout). They are repeated to
COUNT files in a temporary folder, each copy with a number of its own, and adapted with each number of jobs in
turn: reading, unpacking, centring, filling, measuring, writing. Wall time includes the start of the processes;
CPU time is that of all of them, and says what an idle machine would do. Memory is the peak of the largest
process. The figures come last.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fastavro

PACKETS = Path(__file__).resolve().parents[2] / "shared" / "data" / "ztf_alerts" / "packets"


def repeat(packets: Path, folder: Path, count: int) -> int:
    """Write `count` packets, no two of one number, and return their bytes."""
    read = []
    for path in sorted(packets.iterdir()):
        with path.open("rb") as stream:
            reader = fastavro.reader(stream)
            read += [(reader.writer_schema, record) for record in reader]
    total = 0
    for number in range(count):
        schema, record = read[number % len(read)]
        record["candid"] = record["candidate"]["candid"] = number + 1
        stream = io.BytesIO()
        fastavro.writer(stream, schema, [record])
        total += (folder / f"{number:06d}.avro").write_bytes(stream.getvalue())
    return total


def once(folder: Path, out: Path, jobs: int) -> None:
    """Adapt in this process, and print wall seconds, CPU seconds and MiB."""
    from realbogus.adapters import adapt

    begin, before = time.perf_counter(), os.times()
    done = adapt(folder, out, jobs=jobs)
    wall = time.perf_counter() - begin
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(len(done.stamps), len(done.unusable), wall, cpu, largest / 1024)


def main() -> int:
    """Run each number of jobs in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packets", type=Path, nargs="?", default=PACKETS)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--once", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(Path(options.once[0]), Path(options.once[1]), int(options.once[2]))
        return 0
    if not options.packets.is_dir():
        print(f"no packets at {options.packets}: name a folder of them", file=sys.stderr)
        return 1
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "packets"
        folder.mkdir()
        size = repeat(options.packets, folder, options.count)
        print(f"{options.count} packets, {size / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}", flush=True)
        for jobs in options.jobs:
            words = [sys.executable, __file__, "--once", str(folder), str(Path(scratch) / f"S{jobs}"), str(jobs)]
            run = subprocess.run(words, capture_output=True, text=True, check=True)
            stamps, unusable, wall, cpu, memory = (float(word) for word in run.stdout.split())
            lines.append(
                f"jobs {jobs}: {stamps:.0f} stamps, {unusable:.0f} listed; {stamps / wall:,.0f} packets/s "
                f"({wall:.1f} s), {1000 * cpu / stamps:.2f} ms of CPU a packet, {memory:.0f} MiB at most"
            )
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
