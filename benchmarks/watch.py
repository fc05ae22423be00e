"""Kill `realbogus watch` again and again while frames are dropped in: is every candidate there, and no other.

    python benchmarks/watch.py [--kills 20] [--frames 8] [--size 320] [--seed 0]

Simulates a night and watches it undisturbed; then a camera writes the same frames in pieces while the program
is killed with SIGKILL at random moments and started again. Both databases must hold the same rows. The figures come
last; leaves with status 1 where a row is missing, too many (a database cannot have the same id twice, but a frame that
is searched twice could get other ids), or another one.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from realbogus.images.simulate import simulate_night


def command(folder: Path, base: Path, reference: Path, idle_s: float) -> list[str]:
    """Return the words that start the program."""
    words = [sys.executable, "-m", "realbogus", "watch", str(folder), "--to", f"sqlite:///{base}"]
    words += ["--reference", str(reference), "--telescope", "mini-sitian", "--detection-threshold", "1.5"]
    return [*words, "--settle", "0.5", "--wait", "0.2", "--idle", str(idle_s)]


def rows_of(base: Path) -> list[tuple[object, ...]]:
    """Return every candidate but for what says when it was made."""
    with sqlite3.connect(base) as connection:
        return connection.execute("select * from candidates order by id").fetchall()


def expose(frames: list[Path], folder: Path, pause_s: float) -> None:
    """Write frames as a camera does: piece by piece."""
    for frame in frames:
        data = frame.read_bytes()
        with (folder / frame.name).open("wb") as stream:
            for start in range(0, len(data), len(data) // 3 + 1):
                stream.write(data[start : start + len(data) // 3 + 1])
                stream.flush()
                time.sleep(pause_s / 3)


def main() -> int:
    """Watch twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=8.0, help="seconds until a kill, at most")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        night = simulate_night(
            place / "night", frames=options.frames, size=(options.size, options.size), seed=options.seed,
            changes_per_mpix=100.0,
        )  # fmt: skip
        frames = sorted((night / "frames").iterdir())
        reference = place / "reference.fits"
        subprocess.run(
            [sys.executable, "-m", "realbogus", "reference", str(night / "frames"), "-o", str(reference),
             "--telescope", "mini-sitian"], check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        calm = place / "calm"
        calm.mkdir()
        expose(frames, calm, 0.0)
        subprocess.run(command(calm, place / "calm.db", reference, 5), check=True, stdout=subprocess.DEVNULL)
        expected = rows_of(place / "calm.db")

        folder, base = place / "camera", place / "killed.db"
        folder.mkdir()
        pause_s = options.kills * options.longest / 4 / len(frames)
        camera = threading.Thread(target=expose, args=(frames, folder, pause_s))
        camera.start()
        began = time.perf_counter()
        for _ in range(options.kills):
            running = subprocess.Popen(
                command(folder, base, reference, 1000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(float(rng.uniform(0.3, options.longest)))
            os.kill(running.pid, signal.SIGKILL)
            running.wait()
        camera.join()
        subprocess.run(command(folder, base, reference, 8), check=True, stdout=subprocess.DEVNULL)
        found = rows_of(base)
        seconds = time.perf_counter() - began
    same = found == expected
    print(f"{len(frames)} frames, {options.kills} kills in {seconds:.0f} s")
    print(f"candidates undisturbed: {len(expected)}; killed and started again: {len(found)}; the same: {same}")
    return 0 if same and len(expected) else 1


if __name__ == "__main__":
    sys.exit(main())
