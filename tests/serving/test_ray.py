"""The engine `ray`: row for row what this process gives, whatever happens to workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from ray_kit import MARK, Mean, Shelf

from realbogus.cli import main
from realbogus.serving.loop import score
from realbogus.serving.scorer import Scorer
from realbogus.serving.sources import open_source
from realbogus.stamps import StampSet

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with alerts in files and in an archive, and two files that are none."""
    pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
    import tarfile

    import made

    image = made.noise((made.HEIGHT, made.WIDTH))
    records = [made.ztf_at(image, 60.0 + 3 * number, 80.0 + 2 * number, number + 1) for number in range(28)]
    folder = tmp_path_factory.mktemp("ray") / "A"
    (folder / "more").mkdir(parents=True)
    for number in range(12):
        (folder / f"{number:02d}.avro").write_bytes(made.container(made.ZTF_SCHEMA, records[number : number + 1]))
    (folder / "many.avro").write_bytes(made.container(made.ZTF_SCHEMA, records[12:20], codec="deflate"))
    (folder / "05-torn.avro").write_bytes((folder / "05.avro").read_bytes()[:3000])
    (folder / "note.txt").write_text("no Avro")
    with tarfile.open(folder / "more" / "n.tar.gz", "w:gz") as out:
        for number in range(20, 28):
            path = tmp_path_factory.mktemp("packet") / f"{number}.avro"
            path.write_bytes(made.container(made.ZTF_SCHEMA, records[number : number + 1]))
            out.add(path, path.name)
    return folder


@pytest.fixture(scope="module")
def deadly(stamp_folder: Path) -> Path:
    """The set of stamps with one in it that kills who scores it."""
    stamps = StampSet.load(stamp_folder)
    pixels = np.array(stamps.pixels)
    pixels[21, 0, 5, 5] = MARK
    return StampSet(pixels, stamps.catalogue, stamps.channels).save(Path(f"{stamp_folder}-deadly"))


@pytest.fixture(scope="module")
def scattered(stamp_folder: Path, deadly: Path, alerts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a cluster of two nodes made of it; in a process of its own, for Ray leaves threads and sockets behind."""
    if find_spec("ray") is None:
        pytest.skip('Ray is absent: pip install "realbogus[ray]" to run this test')
    out = tmp_path_factory.mktemp("scattered")
    path = os.pathsep.join([str(HERE), str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | {"PYTHONPATH": path}
    words = [sys.executable, str(HERE / "ray_nodes.py"), str(stamp_folder), str(alerts), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture(scope="module")
def found(scattered: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((scattered / "found.json").read_text())
    return values


def here(folder: Path, policy: str = "model") -> list[list[Any]]:
    shelf = Shelf()
    score(open_source(folder), Scorer(Mean(), policy), [shelf], size=8)
    return [list(row) for row in shelf.rows]


@pytest.mark.slow
def test_stamps_row_for_row(scattered: Path, stamp_folder: Path, tmp_path: Path, found: dict[str, Any]) -> None:
    out = tmp_path / "local.parquet"
    assert main(["score", str(stamp_folder), "--to", str(out), "--policy", "0.009", "--batch", "8"]) == 0
    local, remote = pq.read_table(out), pq.read_table(scattered / "stamps.parquet")
    assert found["nodes"] == 2
    assert len(local) == 50 and local["score"].null_count == 5 and 0 < sum(local["real"].to_pylist()) < 45
    assert remote.equals(local, check_metadata=True)


@pytest.mark.slow
def test_alerts_row_for_row_and_packets_byte_for_byte(scattered: Path, alerts: Path, tmp_path: Path) -> None:
    to = [str(tmp_path / "alerts.parquet"), str(tmp_path / "packets")]
    assert main(["score", str(alerts), "--to", *to, "--format", "avro", "--batch", "8"]) == 0
    local = pq.read_table(to[0])
    assert local["id"].to_pylist() == [str(number + 1) for number in range(28)]
    assert pq.read_table(scattered / "alerts.parquet").equals(local, check_metadata=True)
    name = "alerts.parquet.failed.csv"
    assert (scattered / name).read_text() == (tmp_path / name).read_text()
    assert len((tmp_path / name).read_text().splitlines()) == 3
    trees = [
        {path.relative_to(root): path.read_bytes() for path in (root / "packets").rglob("*") if path.is_file()}
        for root in (tmp_path, scattered)
    ]
    assert len(trees[0]) == 30 and trees[0] == trees[1]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(found: dict[str, Any], stamp_folder: Path) -> None:
    assert any("died with" in line for line in found["killed"]["said"])
    # the policy follows what goes by, so their order counts
    local = here(stamp_folder, "at-most=9")
    assert found["killed"]["rows"] == local and sum(row[2] for row in local) == 9


@pytest.mark.slow
def test_a_node_lost_in_the_middle_changes_nothing(found: dict[str, Any], stamp_folder: Path) -> None:
    assert found["lost"]["said"]
    assert found["lost"]["rows"] == here(stamp_folder)


@pytest.mark.slow
def test_a_part_that_kills_its_workers_is_rows_with_a_reason(found: dict[str, Any], deadly: Path) -> None:
    rows, local = found["deadly"]["rows"], here(deadly)
    assert [row[0] for row in rows] == [row[0] for row in local]
    for number, (mine, theirs) in enumerate(zip(rows, local, strict=True)):
        if 16 <= number < 24:
            assert mine[1] is None and "2 workers died while they scored" in mine[4]
        else:
            assert mine == theirs
