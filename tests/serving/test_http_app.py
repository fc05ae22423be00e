"""The application: every request has an answer that says what it is, and none leads where it should not."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason='the service needs FastAPI: pip install "realbogus[serve]"')
pytest.importorskip("prometheus_client", reason='the service needs prometheus-client: pip install "realbogus[serve]"')
pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
sys.path.insert(0, str(Path(__file__).parent))  # http_kit.py; importlib mode puts no test folder on the path

from http_kit import TOKEN, Bright, alerts, fits_file, npy, said, say, stamp

from realbogus.cli import main
from realbogus.errors import OutputError
from realbogus.runtimes import default_model, load_classifier
from realbogus.serving.http import service as service_room
from realbogus.serving.http.app import make_app
from realbogus.serving.http.counters import Counters
from realbogus.serving.http.limits import Limits
from realbogus.serving.http.posted import Given
from realbogus.serving.http.service import Service
from realbogus.serving.policy_file import change_policy, history_of

STAMP = npy(stamp(80))


@pytest.fixture
def made():
    """Make applications whose services are ended with the test."""
    services: list[Service] = []

    def make(model=None, *, policy=None, limits=None, token=None, hosts=()):
        model = model or Bright()
        counters = Counters(model.card)
        service = Service(model, policy, limits, counters.scored)
        services.append(service.__enter__())
        return make_app(service, token=token, hosts=hosts, counters=counters)

    yield make
    for service in services:
        service.__exit__()


def post(app, body=STAMP, query="", **headers):
    return say(app, "POST", "/score", query, body, **headers)


def test_a_score_is_that_of_the_model_itself(made):
    model = load_classifier(default_model(), threads=1)
    image = stamp(30)
    answer = post(made(model), fits_file(image), "noise=1.5&fwhm=3&id=mine").json()
    want = model.predict(image[None, None], noise=[1.5], fwhm=[3.0])[0]
    assert answer["candidates"] == [
        {
            "id": "mine", "score": pytest.approx(float(want), abs=1e-6), "probability": None, "reason": None,
            "real": bool(want >= model.card.threshold), "threshold": model.card.threshold, "policy": "model",
            "model": model.card.name, "model_version": model.card.version, "noise": 1.5, "noise_from": "given",
            "fwhm": 3.0, "fwhm_from": "given", "missing": 0.0,
        }
    ]  # fmt: skip
    assert answer["failed"] == []


def test_kinds_of_bodies(made):
    app = made()
    for body in (STAMP, gzip.compress(STAMP), fits_file(stamp(80)), [STAMP[:100], STAMP[100:]]):
        answer = post(app, body)
        assert answer.status == 200 and answer.json()["candidates"][0]["real"] is True
        assert answer.headers["content-type"] == "application/json"
    several = post(app, alerts(3)).json()
    assert [entry["id"] for entry in several["candidates"]] == ["1", "2", "3"]


def test_what_has_no_score_is_told(made):
    answer = post(made(), npy(np.zeros((64, 64), "f4"))).json()["candidates"][0]
    assert answer["score"] is None and answer["real"] is False and "noise" in answer["reason"]
    half = post(made(), alerts(3, sync_interval=1)[:-300]).json()
    assert len(half["candidates"]) == 2 and half["failed"][0]["reason"].startswith("damaged")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("noise=0", "query.noise.0: Input should be greater than 0"),
        ("noise=nan", "finite"),
        ("fwhm=inf", "fwhm"),
        ("fwhm=two", "fwhm"),
        ("channels=blue", "channels"),
        ("mjd=x", "mjd"),
        ("id=", "id"),
        ("fhwm=3", "query.fhwm: not known; known are channels, fwhm"),
        ("noise=1&noise=2", "2 values of noise for 1 stamps"),
    ],
)
def test_values_that_cannot_be(made, query, reason):
    answer = post(made(), query=query)
    assert answer.status == 422 and reason in answer.reason


def test_a_body_that_is_too_large_is_not_read(made):
    app = made(limits=Limits(body_bytes=20_000))
    told = post(app, b"x" * 10, content_length="20001")
    assert told.status == 413 and "at most 20000" in told.reason
    untold = post(app, [b"x" * 9_000] * 9)
    assert untold.status == 413
    assert post(app).status == 200


def test_bodies_that_are_not_taken(made):
    app = made()
    assert post(app, content_encoding="gzip").status == 415
    assert post(app, content_type="application/json").status == 415
    assert post(app, STAMP[:-1]).status == 422
    assert post(app, b"").status == 422


def test_memory_of_all_bodies_together_is_bounded(made):
    app = made(Bright(seconds=0.3), limits=Limits(body_bytes=20_000, held_bytes=20_000))

    async def two():
        return await asyncio.gather(*(said(app, "POST", "/score", body=STAMP) for _ in range(2)))

    answers = asyncio.run(two())
    assert sorted(answer.status for answer in answers) == [200, 503]
    assert post(app).status == 200  # what was held was let go of


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost."])
def test_a_strange_name_that_leads_here_is_turned_away(made, host):
    for method, path in (("POST", "/score"), ("GET", "/health"), ("GET", "/openapi.json")):
        assert say(made(), method, path, host=host).status == 403


def test_names_of_this_computer(made):
    for host in ("127.0.0.1:8428", "localhost", "[::1]:9", "10.0.0.7", "Dome.example"):
        assert say(made(hosts=("dome.example",)), "GET", "/health", host=host).status == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}]
)
def test_another_page_may_not_ask(made, headers):
    assert post(made(), **headers).status == 403


@pytest.mark.parametrize("given", ["", "Bearer", f"Bearer {TOKEN}x", f"bearer{TOKEN}", f"Basic {TOKEN}", "Bearer é"])
def test_nothing_without_the_token(made, given):
    app = made(token=TOKEN)
    for method, path in (
        ("POST", "/score"),
        ("GET", "/metrics"),
        ("GET", "/policy"),
        ("PUT", "/policy"),
        ("GET", "/no"),
    ):
        answer = say(app, method, path, authorization=given)
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert say(app, "GET", "/health").status == say(app, "GET", "/openapi.json").status == 200
    assert post(app, authorization=f"Bearer {TOKEN}").status == 200


def test_health_and_counters(made):
    app = made()
    post(app, npy(np.stack([stamp(90)[None], stamp(10)[None], np.zeros((1, 64, 64), "f4")])))
    post(app, b"GIF")
    say(app, "GET", "/a/path/of/theirs")
    health = say(app, "GET", "/health").json()
    assert health["ready"] is True and health["model"] == "bright" and health["uptime_s"] >= 0
    answer = say(app, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
    assert lines['realbogus_requests_total{path="/score",status="200"}'] == "1.0"
    assert lines['realbogus_requests_total{path="/score",status="415"}'] == "1.0"
    assert lines['realbogus_requests_total{path="other",status="404"}'] == "1.0"
    assert [lines[f'realbogus_candidates_total{{verdict="{name}"}}'] for name in ("real", "bogus", "unscored")] == [
        "1.0"
    ] * 3
    assert lines["realbogus_score_count"] == "2.0" and lines['realbogus_score_bucket{le="0.5"}'] == "1.0"
    assert lines["realbogus_queue_rows"] == "0.0" and lines["realbogus_held_bytes"] == "0.0"
    assert lines['realbogus_model_info{name="bright",version="1"}'] == "1.0"


def test_the_policy_is_changed_with_a_token_and_recorded(made, tmp_path):
    path = change_policy(tmp_path / "policy.json", "0.9", who="Ada", why="first night")
    app = made(policy=str(path), token=TOKEN)
    key = {"authorization": f"Bearer {TOKEN}"}

    def real():
        found = post(app, npy(stamp(80)), "noise=1&fwhm=3", **key).json()["candidates"][0]
        return found["real"], found["policy"]

    def put(**values):
        return say(app, "PUT", "/policy", body=json.dumps(values).encode(), **key)

    assert real() == (False, "fixed=0.9")
    changed = put(policy="0.7", who="Ben", why="too few")
    assert changed.status == 200 and changed.json()["policy"] == "fixed=0.7"
    assert real() == (True, "fixed=0.7")
    shown = say(app, "GET", "/policy", **key).json()
    assert [(line["who"], line["new"]) for line in shown["history"]] == [("Ada", "fixed=0.9"), ("Ben", "fixed=0.7")]
    for wrong in ("2", "purity=0.9", "nonsense", "/etc/passwd.json", "policy.json "):
        assert put(policy=wrong).status == 422
    assert put().status == put(policy="0.7", more=1).status == 422
    assert say(app, "PUT", "/policy", body=b"{" * 20_000, **key).status == 413
    assert real() == (True, "fixed=0.7") and len(history_of(path)) == 2


def test_the_policy_stays_where_it_cannot_be_changed(made):
    assert say(made(), "PUT", "/policy", body=b'{"policy": "0.7"}').status == 403  # no token
    answer = say(made(token=TOKEN), "PUT", "/policy", body=b'{"policy": "0.7"}', authorization=f"Bearer {TOKEN}")
    assert answer.status == 409 and "--policy FILE.json" in answer.reason


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/score/", "/../etc/passwd", "//score", "/metrics/x"])
def test_no_other_path_leads_anywhere(made, path):
    answer = say(made(), "GET", path)
    assert answer.status in (404, 307) and len(answer.body) < 100


def test_other_methods_are_told_which_there_are(made):
    answer = say(made(), "DELETE", "/policy")
    assert answer.status == 405 and answer.headers["allow"] == "GET, PUT"
    assert say(made(), "GET", "/score").headers["allow"] == "POST"


def test_a_model_that_takes_too_long_is_no_answer(made):
    answer = post(made(Bright(seconds=0.5), limits=Limits(answer_s=0.05)))
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1


def _slow_where_large(monkeypatch, seconds):
    """Bodies of more than 1 MB take so long to read."""
    real = service_room.posted_from

    def read(data, *rest):
        time.sleep(seconds if len(data) > 2**20 else 0)
        return real(data, *rest)

    monkeypatch.setattr(service_room, "posted_from", read)


def test_large_bodies_do_not_hold_up_a_single_stamp(monkeypatch):
    _slow_where_large(monkeypatch, 1.5)
    large = npy(np.stack([stamp(80)[None]] * 70))
    ends: dict[str, float] = {}

    async def ask(made, name, body):
        found = await made.score(body, "application/x-npy", Given(noise=(1.0,), fwhm=(3.0,)))
        ends[name] = time.monotonic()
        return len(found["candidates"])

    async def all_of_them(made):
        waiting = [asyncio.create_task(ask(made, f"large {number}", large)) for number in range(3)]
        await asyncio.sleep(0.05)  # these have the readers now
        return [await ask(made, "small", STAMP), *[await each for each in waiting]]

    with Service(Bright()) as made:
        assert asyncio.run(all_of_them(made)) == [1, 70, 70, 70]
    assert ends["small"] < min(ends[f"large {number}"] for number in range(3)) - 0.5


def test_what_takes_too_long_to_read_is_no_answer(made, monkeypatch):
    _slow_where_large(monkeypatch, 0.6)
    began = time.monotonic()
    answer = post(made(limits=Limits(answer_s=0.1)), npy(np.stack([stamp(80)[None]] * 70)))
    assert answer.status == 503 and "no score within 0.1 s" in answer.reason and time.monotonic() - began < 0.55


def test_a_policy_that_cannot_be_recorded_is_not_in_force(made, tmp_path, monkeypatch):
    path = change_policy(tmp_path / "policy.json", "0.9")
    app = made(policy=str(path), token=TOKEN)
    key = {"authorization": f"Bearer {TOKEN}"}

    def full(*_):
        raise OutputError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("realbogus.serving.policy_file.append_json", full)
        assert say(app, "PUT", "/policy", body=b'{"policy": "0.7"}', **key).status == 503
    assert post(app, npy(stamp(80)), "noise=1&fwhm=3", **key).json()["policy"] == "fixed=0.9"
    with (tmp_path / "policy.history.jsonl").open("a") as stream:
        stream.write('{"torn')
    assert say(app, "PUT", "/policy", body=b'{"policy": "0.7"}', **key).status == 200
    assert [line["new"] for line in say(app, "GET", "/policy", **key).json()["history"]] == ["fixed=0.9", "fixed=0.7"]


def test_three_channels_go_to_a_model_of_three(made):
    names = ("difference", "science", "reference")
    app = made(Bright(names))
    assert post(app, npy(np.stack([stamp(80)] * 3))).status == 200
    one = post(app, STAMP)
    assert one.status == 422 and "science" in one.reason


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--port", "99999"], "port 99999"),
        (["--token", "short"], "16 or more"),
        (["--batch", "0"], "batch is 0"),
        (["--longitude", "900"], "longitude 900"),
        (["--policy", "purity=0.9"], "holds no calibration"),
        (["--host", "0.0.0.0", "--token-file", "no/such/folder/token"], "choose another --token-file"),
        (["no-such-model.onnx"], "there is no model"),
    ],
)
def test_what_cannot_be_served(words, reason, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *words]) == 1
    assert reason in " ".join(capsys.readouterr().err.split())
