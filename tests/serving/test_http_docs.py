"""Every `curl` of docs/serve.md, run as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason='the service needs FastAPI: pip install "realbogus[serve]"')
pytest.importorskip("prometheus_client", reason='the service needs prometheus-client: pip install "realbogus[serve]"')
pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
sys.path.insert(0, str(Path(__file__).parent))  # http_kit.py; importlib mode puts no test folder on the path

from http_kit import PATIENCE, TOKEN, alerts, fits_file, npy, running, stamp

from realbogus.cli import parser
from realbogus.runtimes import default_model, load_classifier
from realbogus.serving.http.app import make_app
from realbogus.serving.http.limits import Limits
from realbogus.serving.http.service import Service
from realbogus.serving.policy_file import change_policy

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page(tmp_path, require_program):
    require_program("curl")
    for name, data in (("stamp.npy", npy(stamp())), ("stamp.fits", fits_file(stamp())), ("alert.avro", alerts(1))):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "realbogus.token").write_text(TOKEN)
    path = change_policy(tmp_path / "policy.json", "0.7")
    commands = re.findall(r"^\$ (curl .*)$", PAGE, re.MULTILINE)
    answers = {}
    model = load_classifier(default_model(), threads=1)
    with Service(model, str(path)) as service:
        for token in (None, TOKEN):
            with running(make_app(service, token=token), service.limits) as port:
                for command in commands:
                    if ("PUT" in command) is (token is not None):
                        line = command.replace("curl ", "curl -sSf ", 1).replace("127.0.0.1:8428", f"127.0.0.1:{port}")
                        done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True,
                                              timeout=PATIENCE, check=False)  # fmt: skip
                        assert done.returncode == 0, line + done.stderr
                        answers[command] = done.stdout
    scores = [json.loads(text)["candidates"][0]["score"] for command, text in answers.items() if "/score" in command]
    assert len(scores) == 4 and all(0 <= score <= 1 for score in scores)
    shown = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    assert set(shown["candidates"][0]) == set(json.loads(next(iter(answers.values())))["candidates"][0])
    assert json.loads(list(answers.values())[-1])["policy"] == "fixed=0.8"


def test_the_options_of_the_page():
    """Each stands there with its default, and none that is not there."""
    table = PAGE[PAGE.index("## Options") : PAGE.index("## Who can come in")]
    named = set(re.findall(r"`(--[a-z-]+)", table))
    verb = parser()._subcommands_action._name_parser_map["serve"]  # type: ignore[union-attr]
    there = {word for action in verb._actions for word in action.option_strings if word.startswith("--")}
    assert named == there - {"--help", "--config", "--print_config"}
    limits, options = Limits(), parser().parse_args(["serve"]).serve
    assert (options.batch, options.wait_ms, options.max_stamps) == (limits.batch, limits.wait_ms, limits.stamps)
    assert (options.max_body * 2**20, options.body_timeout) == (limits.body_bytes, limits.body_s)
    assert options.connections == limits.connections
