"""What the tests of vetting are made of: a set of stamps, a vote."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from realbogus.stamps import StampSet
from realbogus.vetting.votes import Vote

TOKEN = "a-token-of-the-tests-only"


def make_stamps(
    count: int, size: int = 16, channels: tuple[str, ...] = ("difference", "science", "reference")
) -> StampSet:
    """Stamps of noise with a source in the middle; every third is real and brighter."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(0, 5, (count, len(channels), size, size)).astype(np.float32)
    real = np.arange(count) % 3 == 0
    pixels[:, :, size // 2, size // 2] += np.where(real, 200.0, -80.0)[:, None]
    rows = Table(
        {
            "id": [f"s{k:04d}" for k in range(count)],
            "noise": np.full(count, 5.0),
            "fwhm": np.full(count, 2.5),
            "snr": np.where(real, 40.0, 9.0),
            "ra": 180.0 + np.arange(count) * 0.01,
            "dec": np.full(count, -12.5),
        }
    )
    return StampSet(pixels, rows, channels)


def say(
    vetter: str, stamp: str, answer: str, *, key: str | None = None, undo: str | None = None, repeat: bool = False
) -> Vote:
    """A vote, its key made of what it says."""
    mark = "again" if repeat else "first"
    return Vote(stamp, answer, vetter, "2026-01-01T00:00:00Z", key or f"{vetter}-{stamp}-{mark}", undo, 1.0, repeat)
