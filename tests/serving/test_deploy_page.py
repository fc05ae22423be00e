"""What the page on deploying shows is true: units parse, commands run on what is here."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SURROUNDINGS = os.environ | {"PYTHONPATH": str(ROOT / "src")}
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The page's first block in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def run(words: list[str], here: Path, **replaced: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page with its places replaced by some that are here."""
    line = " ".join(words)
    for old, new in replaced.items():
        line = line.replace(old, new)
    command = [sys.executable, "-m", "realbogus", *shlex.split(line)]
    return subprocess.run(command, cwd=here, env=SURROUNDINGS, capture_output=True, text=True, timeout=400, check=False)


def after(program: str, line: str) -> list[str]:
    """The words behind a program."""
    return line.split(program, 1)[1].split()


def test_every_extra_of_the_page_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for group in re.findall(r"realbogus\[([a-z,]+)\]", TEXT) for name in group.split(",")}
    assert named and named <= set(extras)


@pytest.mark.parametrize("part", TEXT.split("\n## ")[1:], ids=lambda part: part.splitlines()[0])
def test_the_commands_of_a_part_run_on_its_extras(part: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    install = re.search(r"realbogus\[([a-z,]+)\]", part)
    assert install is not None
    have = set(install[1].split(","))
    have |= {name for extra in have for name in re.findall(r"realbogus\[(\w+)\]", " ".join(extras[extra]))}
    needs = {"sqlite:": "database", "postgresql:": "database", "kafka:": "stream", "/alerts": "alerts"}
    needs |= {'"serve"': "serve", "bundle:ro": "openvino"}
    wanted = {extra for word, extra in needs.items() if word in part}
    assert wanted and wanted <= have


def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini"))
    assert unit["Service"]["Restart"] == "always"
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is absent: install systemd to check the unit")
    # the program and the user of the page are not on this computer
    text = block("ini").replace("/opt/realbogus/bin/realbogus", "/bin/true").replace("User=realbogus", "User=daemon")
    path = tmp_path / "realbogus-watch.service"
    path.write_text(text)
    done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, check=False, timeout=60)
    said = [line for line in done.stderr.splitlines() if "realbogus-watch" in line]
    assert not said


def test_the_units_command_watches(tmp_path: Path) -> None:
    from realbogus.images.simulate import simulate_night

    night = simulate_night(tmp_path / "night", frames=4, size=(256, 256), seed=3, changes_per_mpix=200.0)
    start = next(line for line in block("ini").splitlines() if line.startswith("ExecStart="))
    words = [*after("/bin/realbogus", start), "--idle", "3"]
    done = run(words, tmp_path, **{"/data/camera": str(night / "frames"), "/var/lib/realbogus": str(tmp_path / "lib"),
                                   "--first 8": "--first 4"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "lib" / "night.db") as base:
        assert base.execute("select count(distinct frame) from candidates").fetchone()[0] == 4


def test_the_containers_command_is_one() -> None:
    from realbogus.cli import parser

    lines = dict(line.split(" ", 1) for line in block("dockerfile").splitlines() if line[:1] != "#")
    words = [*json.loads(lines["ENTRYPOINT"]), *json.loads(lines["CMD"])]
    assert words[0] == "realbogus"
    options = parser().parse_args(words[1:])
    assert (options.verb, options.serve.host, str(options.serve.port)) == ("serve", "0.0.0.0", lines["EXPOSE"])
    compile(json.loads(lines["HEALTHCHECK"].split("CMD ")[1])[2], "healthcheck", "exec")


def test_the_batch_scores_alerts_and_may_run_again(tmp_path: Path, shared_data: Path) -> None:
    alerts = tmp_path / "alerts"
    alerts.mkdir()
    for file in sorted((shared_data / "ztf_alerts" / "packets").glob("*.avro"))[:10]:
        shutil.copy(file, alerts)
    line = next(line for line in TEXT.splitlines() if line.startswith("0 9 * * *"))
    assert shutil.which("flock") is None or after("flock", line)[:2] == ["-n", "/var/lib/realbogus/lock"]
    for _ in range(2):
        done = run(after("/bin/realbogus", line), tmp_path,
                   **{"/data/alerts": str(alerts), "/var/lib/realbogus": str(tmp_path)})  # fmt: skip
        assert done.returncode == 0, done.stderr
        with sqlite3.connect(tmp_path / "night.db") as base:
            assert base.execute("select count(*) from candidates").fetchone()[0] == 10


def test_the_pair_shares_a_topic(tmp_path: Path, kafka: Any, postgres: Any, shared_data: Path) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.address, "log_level": 0})
    files = sorted((shared_data / "ztf_alerts" / "packets").glob("*.avro"))[:12]
    for file in files:
        producer.produce("alerts", file.read_bytes(), file.name)
    assert producer.flush(30) == 0
    line = next(line for line in TEXT.splitlines() if line.startswith("$ realbogus stream"))
    text = line.removeprefix("$ realbogus ").replace("127.0.0.1:9092", kafka.address)
    text = text.replace("postgresql://postgres@127.0.0.1/postgres", postgres.url)
    command = [sys.executable, "-m", "realbogus", *text.split(), "--idle", "8"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pair = [subprocess.Popen(command, cwd=tmp_path, env=SURROUNDINGS, **pipes) for _ in range(2)]
    said = [one.communicate(timeout=300) for one in pair]
    assert [one.returncode for one in pair] == [0, 0], said
    import psycopg

    with psycopg.connect(postgres.url) as base:
        found = base.execute("select count(*) from candidates where id = any(%s)", ([file.stem for file in files],))
        assert found.fetchone() == (12,)
