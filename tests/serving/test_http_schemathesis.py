"""Schemathesis asks what the description allows and what it does not: no 5xx, nothing that is not described."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason='the service needs FastAPI: pip install "realbogus[serve]"')
pytest.importorskip("prometheus_client", reason='the service needs prometheus-client: pip install "realbogus[serve]"')
pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
pytest.importorskip("schemathesis", reason='it comes with the tools: pip install "realbogus[dev]"')
sys.path.insert(0, str(Path(__file__).parent))  # http_kit.py; importlib mode puts no test folder on the path

from http_kit import PATIENCE, TOKEN, running

from realbogus.runtimes import default_model, load_classifier
from realbogus.serving.http.app import make_app
from realbogus.serving.http.bodies import BODIES, MEDIA_TYPES
from realbogus.serving.http.counters import Counters
from realbogus.serving.http.service import Service
from realbogus.serving.policy_file import change_policy

HERE = Path(__file__).resolve().parent
PLACES = (HERE, HERE.parent, HERE.parents[1] / "src")


@pytest.mark.parametrize("token", [None, TOKEN])
def test_no_5xx_and_nothing_undescribed(token, tmp_path):
    """The program itself, on the service with the shipped model; `http_hooks.py` makes the bodies."""
    path = change_policy(tmp_path / "policy.json", "0.7")
    words = ["--max-examples", "30", "--seed", "1", "--generation-deterministic", "--no-color", "--checks", "all"]
    # that bytes are a picture of a star is more than a description can say: such a body may be refused
    words += ["--exclude-checks", "positive_data_acceptance"]
    if token is not None:
        words += ["-H", f"Authorization: Bearer {token}"]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, PLACES)), "SCHEMATHESIS_HOOKS": "http_hooks"}
    model = load_classifier(default_model(), threads=1)
    counters = Counters(model.card)
    with (
        Service(model, str(path)) as service,
        running(make_app(service, token=token, counters=counters), service.limits) as port,
    ):
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json", *words]
        done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True,
                              timeout=5 * PATIENCE, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 selected / 5 total" in done.stdout
    for status in (200, 422):
        assert f'path="/score",status="{status}"'.encode() in counters.text()  # it came through to the stamps


def test_every_kind_of_body_is_described():
    with Service(load_classifier(default_model(), threads=1)) as service:
        content = make_app(service).app.openapi()["paths"]["/score"]["post"]["requestBody"]["content"]
    assert set(content) == set(MEDIA_TYPES) >= {media for name in BODIES for media in BODIES.resolve(name).media}
