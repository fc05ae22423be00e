"""A full Mini-SiTian frame, 9576 x 6388 px, through subtract, detect, cut and score: time and peak memory.

    python benchmarks/full_frame.py [--size H W] [--cache FOLDER]

Simulates a science frame and a reference of two epochs (kept in the cache, a few minutes the
first time), then measures in a process of its own, beside plain subtraction and, where its
binary is on PATH, HOTPANTS. Floors: 60 s for the four stages on 2 cores, 4 GB peak memory.
Exits 1 where a floor is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from realbogus.images.align import find_transform, identity
from realbogus.images.candidates import find_candidates
from realbogus.images.measure import measure
from realbogus.images.read import read_frame
from realbogus.images.reference import build_reference, warp_reference
from realbogus.images.reference_io import read_reference, write_reference
from realbogus.images.simulate import simulate_night
from realbogus.pipeline.products import peak_rss_mb
from realbogus.runtimes import default_model, load_classifier

SECONDS_FLOOR, MEMORY_FLOOR_GB = 60.0, 4.0


def prepare(cache: Path, size: tuple[int, int]) -> None:
    """Simulate the frames and build the reference, on the grid of the first of them."""
    if (cache / "reference.fits").is_file():
        return
    shutil.rmtree(cache, ignore_errors=True)
    print(f"simulating 3 frames of {size[1]} x {size[0]} px ...", flush=True)
    start = perf_counter()
    simulate_night(cache, preset="mini-sitian", frames=3, size=size, seed=3)
    print(f"  {perf_counter() - start:.0f} s", flush=True)
    first, second = (read_frame(path, "mini-sitian") for path in sorted((cache / "frames").glob("*.fits*"))[:2])
    seen = [measure(first), measure(second)]
    transforms = [identity(), find_transform(second, seen[1], first, seen[0])]
    reference = build_reference([first, second], seen, transforms, shape=first.shape, scratch=cache)
    write_reference(reference, cache / "reference.fits")


def run(cache: Path, method: str) -> dict[str, float]:
    """Take the third frame through the chain; wall seconds of every stage and peak memory."""
    path = sorted((cache / "frames").glob("*.fits*"))[2]
    clock = [perf_counter()]
    science = read_frame(path, "mini-sitian")
    measurement = measure(science)
    clock.append(perf_counter())
    reference = read_reference(cache / "reference.fits")
    transform = find_transform(reference.frame, reference.measurement, science, measurement)
    warped = warp_reference(reference, transform, science.shape)
    del reference
    clock.append(perf_counter())
    found = find_candidates(science, warped, measurement, method=method, channels=("difference",))
    clock.append(perf_counter())
    rows = found.catalogue
    usable = np.asarray(rows["usable"], dtype=bool)
    classifier = load_classifier(default_model())
    scores = classifier.predict(found.pixels[usable], noise=rows["noise"][usable], fwhm=rows["fwhm"][usable])
    scored = perf_counter() - clock[-1]
    return {
        "read and measure": clock[1] - clock[0], "align": clock[2] - clock[1], **found.seconds, "score": scored,
        "mpix": science.pixels.size / 1e6, "detections": len(rows), "noise_ratio": found.difference.noise_ratio,
        "above": int((scores >= classifier.card.threshold).sum()), "peak_gb": peak_rss_mb() / 1024,
    }  # fmt: skip


def main() -> int:
    """Prepare, measure each method in its own process, print the figures last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=[6388, 9576], metavar=("H", "W"))
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--method", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = (options.size[0], options.size[1])
    cache = options.cache or Path(__file__).parent / "out" / f"full_frame_{size[1]}x{size[0]}"
    if options.method:
        print(json.dumps(run(cache, options.method)))
        return 0
    prepare(cache, size)
    methods = ["alard-lupton", "plain"] + (["hotpants"] if shutil.which("hotpants") else [])
    figures: dict[str, dict[str, float]] = {}
    for method in methods:
        command = [
            sys.executable,
            __file__,
            "--size",
            *map(str, size),
            "--cache",
            str(cache),
            "--method",
            method,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{method}: failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        figures[method] = json.loads(done.stdout)
    print(f"{'stage':>20}" + "".join(f"{method:>24}" for method in figures))
    for stage in ("read and measure", "align", "subtract", "detect", "cut", "score"):
        line = (f"{f[stage]:9.1f} s {f[stage] / f['mpix']:6.3f} s/Mpix" for f in figures.values())
        print(f"{stage:>20}" + "".join(f"{text:>24}" for text in line))
    for fact in ("detections", "above", "noise_ratio", "peak_gb"):
        print(f"{fact:>20}" + "".join(f"{f[fact]:24.2f}" for f in figures.values()))
    if "hotpants" not in methods:
        print("hotpants is not on PATH, so it is not compared")
    ours = figures.get("alard-lupton")
    if ours is None:
        return 1
    total = sum(ours[stage] for stage in ("subtract", "detect", "cut", "score"))
    fine = total <= SECONDS_FLOOR and ours["peak_gb"] <= MEMORY_FLOOR_GB
    print(
        f"subtract + detect + cut + score: {total:.1f} s (floor {SECONDS_FLOOR:.0f}), "
        f"{total / ours['mpix']:.3f} s/Mpix; "
        f"peak {ours['peak_gb']:.2f} GB (floor {MEMORY_FLOOR_GB:.0f}): {'met' if fine else 'MISSED'}"
    )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
