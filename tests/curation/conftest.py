"""Small sets of stamps with positions, on which the truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from astropy.table import Table

from realbogus.stamps import StampSet


@pytest.fixture
def make_set() -> Callable[..., StampSet]:
    """Make stamps with a star of so many ADU peak at the centre (noise 1), and a catalogue of these columns."""

    def make(count: int, *, peak: float | list[float] = 30.0, seed: int = 0, channels=("difference",), **columns):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:64, :64] - 32.0
        star = np.exp(-(x**2 + y**2) / (2 * (3.0 / 2.355) ** 2))
        height = np.broadcast_to(np.asarray(peak, dtype=float), (count,))
        pixels = rng.normal(size=(count, len(channels), 64, 64)) + height[:, None, None, None] * star
        rows = Table({"id": [f"c{k:03d}" for k in range(count)]})
        rows["noise"], rows["fwhm"] = np.ones(count), np.full(count, 3.0)
        for name, values in columns.items():
            rows[name] = values
        return StampSet(pixels.astype(np.float32), rows, tuple(channels))

    return make
