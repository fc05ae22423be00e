"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from realbogus.stamps import StampSet

# importlib mode puts no test folder on the path
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "serving"))

from kafka_server import JARS, KafkaServer
from postgres_server import PostgresServer, program

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real frames and alerts beside the checkout; tests that need it skip without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: it lies beside the project's checkout, not in it")
    return folder


@pytest.fixture(scope="session")
def whipple(shared_data: Path) -> Path:
    """Folder of 71 real frames of a 6-inch telescope."""
    return shared_data / "whipple_hatp32"


@pytest.fixture(scope="session")
def require_program() -> Callable[..., str]:
    """Find an outside program by any of its names; without it the test skips.

    It fails instead where `REALBOGUS_REQUIRE_PROGRAMS` (names between commas or spaces; `.ci/run`
    sets it) has the first name: a test that skips everywhere tests nothing.
    """

    def find(name: str, *others: str) -> str:
        path = next((found for each in (name, *others) if (found := shutil.which(each))), None)
        if path is not None:
            return path
        required = os.environ.get("REALBOGUS_REQUIRE_PROGRAMS", "").replace(",", " ").split()
        if name in required:
            pytest.fail(f"{name} is absent, and REALBOGUS_REQUIRE_PROGRAMS says that it must be there")
        pytest.skip(f"{name} is absent: install it to run this test")

    return find


@pytest.fixture(scope="session")
def run_benchmark() -> Callable[..., str]:
    """Run a script of `benchmarks/` as a user does, and give what it printed; the test fails where it does."""

    def run(script: str, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / script), *words],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=550,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def postgres(require_program: Callable[..., str]) -> Iterator[PostgresServer]:
    """A PostgreSQL server on loopback; the test skips without the program or its driver."""
    pytest.importorskip("psycopg", reason='PostgreSQL needs psycopg: pip install "realbogus[database]"')
    if program("postgres") is None:
        require_program("postgres")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def kafka(require_program: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka broker on loopback; the test skips without its jars."""
    pytest.importorskip("confluent_kafka", reason='Kafka needs confluent-kafka: pip install "realbogus[stream]"')
    require_program("java")
    if not any(JARS.glob("kafka_*.jar")):
        require_program("kafka", "kafka-server-start.sh")  # fails where it must be there
        pytest.skip(f"no Kafka in {JARS}: make kafka")
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def toy_stamps() -> StampSet:
    """240 stamps that a small network learns in seconds: stars are real, hot pixels and dipoles bogus."""
    rng = np.random.default_rng(5)
    count, side = 240, 64
    labels = np.arange(count) % 3 == 0
    noise, fwhm = rng.uniform(2, 10, count), rng.uniform(2, 4, count).round(1)
    offset = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offset / (fwhm[:, None] / 2.355)) ** 2)
    star = profile[:, :, None] * profile[:, None, :]
    hot = np.zeros_like(star)
    hot[:, side // 2, side // 2] = 1.0
    dipole = star - np.roll(star, 3, axis=2)
    shape = np.where(labels[:, None, None], star, np.where((np.arange(count) % 3 == 1)[:, None, None], hot, dipole))
    pixels = shape * rng.uniform(8, 40, count)[:, None, None] + rng.standard_normal((count, side, side))
    rows = Table(
        {
            "id": [f"toy-{i}" for i in range(count)],
            "source": [f"star-{i // 2}" for i in range(count)],
            "noise": noise,
            "fwhm": fwhm,
            "snr": rng.uniform(4, 60, count),
            "label": labels.astype(int),
        }
    )
    return StampSet((pixels * noise[:, None, None])[:, None].astype(np.float32), rows)
