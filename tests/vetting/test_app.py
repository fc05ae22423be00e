"""The application and its guard: no vote without the token, nothing but what it is there for."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi", reason='the page needs FastAPI: pip install "realbogus[vet]"')

from ballots import TOKEN, make_stamps

from realbogus.cli import main
from realbogus.doors import bind, keep_token
from realbogus.errors import ConfigError, OutputError
from realbogus.vetting.app import PAGE_FILES, make_app
from realbogus.vetting.guard import vetter_token
from realbogus.vetting.server import page_links
from realbogus.vetting.votes import read_votes


@pytest.fixture
def voting(booth):
    return booth(30, page=10)


@pytest.fixture
def app(voting):
    return make_app(voting, TOKEN)


def vote(voting, vetter: str = "ann", **changes: object) -> dict[str, object]:
    item = voting.page(vetter, 0)["items"][0]
    return {"votes": [{"key": "key-of-ann", "id": item["id"], "show": item["show"], "vote": "real"} | changes]}


QUESTIONS = {"/api/alive": "", "/api/session": "", "/api/page": "start=0", "/api/sheet": "rows=1"}


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", vetter_token(TOKEN, "ben"), "é" * 20])
def test_no_question_and_no_vote_without_the_token(app, voting, speak, token):
    for path, query in QUESTIONS.items():
        answer = speak(app, path, query, token=token)
        assert answer.status == 401 and set(answer.json()) == {"detail"}
    assert speak(app, "/api/votes", post=vote(voting), token=token).status == 401
    assert read_votes(voting.box.path) == []


def test_with_the_token_a_vote_is_taken(app, voting, speak):
    answer = speak(app, "/api/votes", post=vote(voting))
    assert (answer.status, answer.json()) == (200, {"taken": ["key-of-ann"], "refused": {}})
    assert [kept.key for kept in read_votes(voting.box.path)] == ["key-of-ann"]
    for path, query in QUESTIONS.items():
        assert speak(app, path, query).status == 200
    assert speak(app, "/api/sheet", "rows=1,2&stretch=zscale").body[1:4] == b"PNG"


def test_a_link_of_ones_own_votes_under_one_name(app, voting, speak):
    own = vetter_token(TOKEN, "ann")
    assert speak(app, "/api/votes", post=vote(voting), token=own).status == 200
    assert speak(app, "/api/votes", post=vote(voting, "ben", key="key-of-ben"), token=own, vetter="ben").status == 401


def test_only_those_who_were_asked(booth, speak):
    app = make_app(booth(30, vetters=("ann", "Åsa B")), TOKEN)
    assert speak(app, "/api/session").status == 200
    assert speak(app, "/api/session", vetter="%C3%85sa%20B").json()["vetter"] == "Åsa B"
    assert speak(app, "/api/session", vetter="ben").status == 403
    assert speak(app, "/api/session", vetter="").status == 400
    assert speak(app, "/api/session", vetter="%FF").status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1:8427.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_may_not_vote(app, voting, speak, headers):
    assert speak(app, "/api/votes", post=vote(voting), **headers).status == 403
    assert voting.box.votes == []


def test_the_page_itself_may(app, voting, speak):
    own = {"origin": "http://127.0.0.1:8427", "sec-fetch-site": "same-origin"}
    assert speak(app, "/api/votes", post=vote(voting), **own).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8427", "127.0.0.1.evil.example", "", "[::1", "localhost.", "a b"]
)
def test_a_strange_name_that_leads_here_is_turned_away(app, speak, host):
    """DNS rebinding: the page of another site asks under its own name, which now points to this computer."""
    for path in ("/", "/api/session"):
        assert speak(app, path, host=host).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8427", "localhost:9000", "[::1]:8427", "192.168.1.5:8427", "dome:8427"])
def test_names_of_this_computer(voting, speak, host):
    assert speak(make_app(voting, TOKEN, hosts=("dome",)), "/api/alive", host=host).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/vet.py", "/../app.py", "/page/vet.js", "/%2e%2e/app.py", "/..%2f..%2fetc/passwd", "//etc/passwd", "/api",
        "/api/", "/api/votes.jsonl", "/votes.jsonl", "/votes.token", "/docs", "/openapi.json", "/redoc", "/favicon.ico",
        "/index.html",
    ],
)  # fmt: skip
def test_no_other_path_leads_anywhere(app, speak, path):
    answer = speak(app, path)
    assert answer.status == 404 and len(answer.body) < 100


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/sheet", "rows=30"), ("/api/sheet", "rows=0,99999"), ("/api/sheet", "rows=../../etc"),
        ("/api/sheet", "rows=-1"), ("/api/sheet", "rows="), ("/api/page", "start=30000"), ("/api/page", "start=-1"),
    ],
)  # fmt: skip
def test_stamps_outside_the_set_are_not_found(app, speak, path, query):
    assert speak(app, path, query).status == 404


def test_a_vote_on_a_stamp_outside_the_set_is_not_found(app, voting, speak):
    answer = speak(app, "/api/votes", post=vote(voting, id="<img src=x onerror=alert(1)>"))
    assert answer.status == 404 and answer.json()["refused"] == {"key-of-ann": "no such stamp in this set"}
    assert speak(app, "/api/votes", post=vote(voting, show="guessed")).status == 409
    assert voting.box.votes == []


@pytest.mark.parametrize(
    "changes",
    [{"vote": "perhaps"}, {"vote": ""}, {"key": "short"}, {"key": "has spaces in it"}, {"seconds": -1},
     {"seconds": "inf"}, {"id": "x" * 501}, {"undo": 5}],
)  # fmt: skip
def test_what_is_no_vote_is_refused(app, voting, speak, changes):
    assert speak(app, "/api/votes", post=vote(voting, **changes)).status == 422
    assert voting.box.votes == []


def test_posts_of_no_end_are_not_read(app, voting, speak):
    assert speak(app, "/api/votes", post=vote(voting), content_length="2000000").status == 413
    assert speak(app, "/api/votes", post=vote(voting), content_length="").status == 413
    assert speak(app, "/api/votes", post={"votes": []}).status == 422
    assert speak(app, "/api/votes", method="DELETE").status == 405
    assert speak(app, "/api/votes", method="OPTIONS").status == 405


def test_a_full_disk_is_told(app, voting, speak, monkeypatch):
    def full(votes: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr(voting.box, "append", full)
    answer = speak(app, "/api/votes", post=vote(voting))
    assert (answer.status, answer.json()) == (507, {"detail": "no space left"})


def test_the_page_is_all_there_and_loads_nothing_from_elsewhere(app, speak):
    for path, (name, kind) in PAGE_FILES.items():
        answer = speak(app, path, token=None, vetter="")
        assert answer.status == 200 and answer.headers["content-type"] == kind and answer.body
        text = answer.body.decode()
        assert "innerHTML" not in text and "outerHTML" not in text and "insertAdjacentHTML" not in text
        assert "//cdn" not in text and "@import" not in text and "url(" not in text
        assert name == "icon.svg" or "http://" not in text
    page = speak(app, "/").body.decode()
    assert "style=" not in page and "onclick=" not in page and "<script>" not in page  # the policy would not run them


def test_every_answer_has_the_strict_headers(app, speak):
    answers = [speak(app, "/"), speak(app, "/api/session"), speak(app, "/none"), speak(app, "/api/session", token=None)]
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers


def test_markup_in_names_goes_out_as_text(booth, speak):
    stamps = make_stamps(3)
    stamps.catalogue["id"] = ["<script>alert(1)</script>", "b", "c"]
    answer = speak(make_app(booth(stamps=stamps, order="set"), TOKEN), "/api/page", "start=0", vetter="%3Cb%3E")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["items"][0]["id"] == "<script>alert(1)</script>"


def test_a_token_is_kept_where_nobody_else_reads_it(tmp_path):
    path = tmp_path / "votes.token"
    token = keep_token(path)
    assert len(token) >= 32 and path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)
    assert keep_token(path) == token and path.stat().st_mode & 0o077 == 0
    assert keep_token(path, "another-word-of-my-own") == keep_token(path) == "another-word-of-my-own"
    path.write_text("\n")
    assert len(keep_token(path)) >= 32
    for wrong in ("short", "has blanks in it, too many", "umlaut-äääääääääääääää"):
        with pytest.raises(ConfigError, match="16 or more"):
            keep_token(path, wrong)
    with pytest.raises(OutputError, match="cannot keep"):
        keep_token(tmp_path / "nowhere" / "votes.token")


def test_links_say_where_and_who():
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert page_links(listener, "127.0.0.1", TOKEN) == {"": f"http://127.0.0.1:{port}/#token={TOKEN}"}
        links = page_links(listener, "::1", TOKEN, ["a&b"])
        assert links == {"a&b": f"http://[::1]:{port}/#token={vetter_token(TOKEN, 'a&b')}&vetter=a%26b"}
        with pytest.raises(ConfigError, match="in use"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("words", [(), ("--host", "127.0.0.1"), ("--host", "0.0.0.0")])
def test_another_address_is_bound_only_when_it_is_asked_for(tmp_path, monkeypatch, capsys, words):
    seen = {}

    def serve(app, listener):
        seen["address"], seen["token"] = listener.getsockname()[0], app.token
        raise KeyboardInterrupt  # as Ctrl-C ends it

    monkeypatch.setattr("realbogus.vetting.server.serve", serve)
    folder = make_stamps(3).save(tmp_path / "s")
    assert main(["vet", str(folder), "--port", "0", "--no-browser", *words]) == 0
    told = capsys.readouterr()
    assert seen["address"] == (words[1] if words else "127.0.0.1")
    assert len(seen["token"]) >= 32 and seen["token"] in told.out
    assert ("without encryption" in " ".join(told.err.split())) == (words == ("--host", "0.0.0.0"))
