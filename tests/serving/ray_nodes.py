"""Score on a local cluster of two nodes: `python ray_nodes.py STAMPS ALERTS OUT`; what came is in OUT."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster
from ray_kit import Deadly, Shelf, Slow

from realbogus.cli import main
from realbogus.serving import crew
from realbogus.serving.engines import on_ray
from realbogus.serving.loop import score
from realbogus.serving.scorer import Scorer
from realbogus.serving.sources import open_source


def workers() -> list[int]:
    """Numbers of the processes that score, of this cluster alone."""
    return [
        int(path.name) for path in Path("/proc").iterdir()
        if path.name.isdigit() and title(path).startswith("ray::Worker") and os.getpid() in parents(path.name)
    ]  # fmt: skip


def title(path: Path) -> str:
    try:
        return (path / "cmdline").read_text()
    except OSError:
        return ""


def parents(number: str) -> set[int]:
    found: set[int] = set()
    while number not in ("0", "1"):
        try:
            number = Path("/proc", number, "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            break
        found.add(int(number))
    return found


def run(stamps: str, opener: Any, *, policy: str = "model", kill: Callable[[], None] | None = None) -> dict[str, Any]:
    """Score a set in parts of 8; kill what is to be killed when the first of them are there."""
    said: list[str] = []
    kills = [kill] if kill is not None else []

    def progress(tally: Any) -> None:
        if kills:
            kills.pop()()

    shelf = Shelf()
    scorer = Scorer(opener(), policy)
    with on_ray(open_source(stamps), scorer, opener, workers=2, keep=False, say=said.append) as (source, judge):
        score(source, judge, [shelf], size=8, progress=progress)
    return {"rows": shelf.rows, "said": said}


def all_of_it(stamps: str, alerts: str, out: Path, lose: Callable[[], None]) -> None:
    words = ["--engine", "ray", "--workers", "2", "--batch", "8"]
    assert main(["score", stamps, "--to", str(out / "stamps.parquet"), "--policy", "0.009", *words]) == 0
    to = [str(out / "alerts.parquet"), str(out / "packets")]
    assert main(["score", alerts, "--to", *to, "--format", "avro", *words]) == 0
    nodes = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    found = {
        "nodes": len(nodes),
        "killed": run(stamps, Slow, policy="at-most=9", kill=lambda: os.kill(workers()[0], signal.SIGKILL)),
    }
    crew.DEATHS = 2
    found["deadly"] = run(f"{stamps}-deadly", Deadly)
    found["lost"] = run(stamps, Slow, kill=lose)
    (out / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        all_of_it(
            sys.argv[1], sys.argv[2], Path(sys.argv[3]), lambda: cluster.remove_node(second, allow_graceful=False)
        )
    finally:
        ray.shutdown()
        cluster.shutdown()
