"""What the tests of the adapters share."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))  # made.py; importlib mode puts no test folder on the path

pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')

import made


@pytest.fixture(scope="session")
def detector() -> NDArray[np.float32]:
    """A whole image of ZTF's size: noise that is different in every pixel."""
    return made.noise((made.HEIGHT, made.WIDTH))


@pytest.fixture(scope="session")
def ztf_packets(shared_data: Path) -> Path:
    """Folder of 200 real alerts."""
    return shared_data / "ztf_alerts" / "packets"
