"""What the tests of serving share."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from realbogus.stamps import StampSet

# made.py, the makers of packets; importlib mode puts no test folder on the path
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))


@pytest.fixture(scope="session")
def stamp_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 50 stamps in three channels, written in small row groups."""
    rng = np.random.default_rng(8)
    count = 50
    rows = Table(
        {
            "id": [f"s{number:03d}" for number in range(count)],
            "noise": np.full(count, 2.0),
            "fwhm": np.full(count, 3.0),
            "usable": np.arange(count) % 10 != 3,
            "place": np.arange(count),
        }
    )
    pixels = rng.normal(0, 2, (count, 3, 64, 64)).astype(np.float32)
    pixels[:, :, 0, 0] = np.arange(count)[:, None] + [[0.0, 100.0, 200.0]]
    folder = tmp_path_factory.mktemp("stamps") / "S"
    return StampSet(pixels, rows, ("difference", "science", "reference")).save(folder)
