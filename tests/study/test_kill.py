"""SIGKILL at four places of a study: the next run carries on and ends with the same tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from realbogus.tables import read_parquet

PLACES = (
    "data/stamps.part/.saving/pixels.npy",  # half of the data
    "screen/network/model/checkpoint/state.json",  # the screening network after an epoch
    "runs/bag-field/*/model/checkpoint/state.json",  # a member after an epoch
    "tables/table3_stamp.md",  # some of the tables
)


@pytest.mark.slow
def test_a_study_that_was_killed_ends_with_the_same_tables(whole: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path), *PLACES]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.count("killed at") == len(PLACES)
    names = sorted(path.name for path in (whole / "tables").glob("*.*"))
    assert names == sorted(path.name for path in (tmp_path / "tables").glob("*.*"))
    for name in names:
        assert (tmp_path / "tables" / name).read_text() == (whole / "tables" / name).read_text(), name
    assert (tmp_path / "tables.md").read_text() == (whole / "tables.md").read_text()
    assert (tmp_path / "computing.csv").exists()
    for path in whole.glob("runs/*/*/scores.parquet"):
        other = read_parquet(tmp_path / path.relative_to(whole))
        np.testing.assert_array_equal(read_parquet(path)["score"], other["score"])
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (whole, tmp_path))
    assert one["fingerprint"] == two["fingerprint"]
    assert not list(tmp_path.rglob("*.part*"))
    assert not list(tmp_path.glob("runs/*/*/model/checkpoint"))
