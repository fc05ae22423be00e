"""SIGKILL in the middle of a night: nothing lives on, and the second run ends with the same list."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

from realbogus.tables import read_parquet

CHOICES = ["--telescope", "mini-sitian", "--inject", "5", "--inject-snr", "10", "50", "--seed", "2", "--jobs", "2"]


def _command(frames, out):
    return [sys.executable, "-m", "realbogus", "night", str(frames), "-o", str(out), *CHOICES]


def _lives(group: int) -> bool:
    """Tell whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_night_ends_with_the_same_list(night_frames, tmp_path):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(_command(night_frames, whole), check=True, **quiet)
    night = subprocess.Popen(_command(night_frames, cut), start_new_session=True, **quiet)
    deadline = time.monotonic() + 120
    while not list(cut.glob(".realbogus-work/*/frames/*/*/facts.json")) and time.monotonic() < deadline:
        assert night.poll() is None, "the night ended before it could be killed"
        time.sleep(0.02)
    os.kill(night.pid, signal.SIGKILL)
    night.wait()
    assert not (cut / "summary.json").exists()
    deadline = time.monotonic() + 60  # workers look for their parent once a second
    while _lives(night.pid) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not _lives(night.pid), "workers live on after their night was killed"
    subprocess.run(_command(night_frames, cut), check=True, **quiet)
    one, other = (read_parquet(folder / "candidates.parquet") for folder in (whole, cut))
    for name in ("id", "x", "y", "score", "real"):
        np.testing.assert_array_equal(np.ma.filled(one[name], -1), np.ma.filled(other[name], -1))
    assert not list(cut.glob(".realbogus-work*"))
