"""The booth: what is shown, what is hidden, and what becomes of a vote."""

from __future__ import annotations

import io
import json
import threading

import numpy as np
import pytest
from ballots import make_stamps
from PIL import Image

from realbogus.errors import ConfigError, InputError, OutputError, UnknownNameError
from realbogus.vetting.booth import Booth, OutsideError
from realbogus.vetting.facts import links as facts_links
from realbogus.vetting.register import Wire
from realbogus.vetting.settings import check_name
from realbogus.vetting.votes import read_votes, standing


def wires(booth: Booth, vetter: str, start: int = 0, answer: str = "real") -> list[Wire]:
    """A vote on each stamp of a page."""
    items = booth.page(vetter, start)["items"]
    return [
        Wire(f"{vetter}-key-{start + k}", item["id"], item["show"], answer, None, 2.0) for k, item in enumerate(items)
    ]


def test_a_vote_is_on_the_disk_when_it_is_taken(booth):
    voting = booth(page=10)
    taken, refused = voting.register.cast("ann", wires(voting, "ann"))
    assert taken == [f"ann-key-{k}" for k in range(10)] and not refused
    votes = read_votes(voting.box.path)
    assert [vote.key for vote in votes] == taken
    assert {(vote.vetter, vote.vote, vote.seconds, vote.undo) for vote in votes} == {("ann", "real", 2.0, None)}
    assert all(vote.time.endswith("Z") for vote in votes)


def test_a_vote_sent_again_is_there_once(booth, tmp_path):
    voting = booth(page=10)
    sent = wires(voting, "ann")
    voting.register.cast("ann", sent)
    assert voting.register.cast("ann", sent + sent[:3])[0] == [wire.key for wire in sent + sent[:3]]
    voting.box.close()
    voting.box.close = lambda: None  # as after a kill: another program opens the file
    again = booth(page=10)
    assert len(again.register.cast("ann", sent)[0]) == 10
    assert len(read_votes(tmp_path / "votes.jsonl")) == 10


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "elsewhere"}, "no such stamp"),
        ({"show": "guessed"}, "was not shown"),
        ({"undo": "nothing"}, "no vote of yours"),
        ({"undo": "ben-key-0"}, "no vote of yours"),
        ({"key": "ann-key-0"}, "another vote has this key"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_reason(booth, changes, reason):
    voting = booth(page=10)
    first, second = wires(voting, "ann")[:2]
    voting.register.cast("ann", [first])
    voting.register.cast("ben", wires(voting, "ben"))
    wrong = Wire(**{"key": "wrong", "id": second.id, "show": second.show, "vote": "bogus"} | changes)
    taken, refused = voting.register.cast("ann", [wrong, second])
    assert taken == [second.key] and reason in refused[wrong.key]


def test_an_undo_takes_back_one_vote_once(booth):
    voting = booth(page=10)
    one, two = wires(voting, "ann")[:2]
    voting.register.cast("ann", [one, two, Wire("undo-one", undo=one.key)])
    assert voting.register.cast("ann", [Wire("undo-one", undo=one.key)]) == (["undo-one"], {})
    assert "already" in voting.register.cast("ann", [Wire("undo-two", undo=one.key)])[1]["undo-two"]
    line = read_votes(voting.box.path)[-1]
    assert (line.id, line.vote, line.undo, line.vetter) == (one.id, "real", one.key, "ann")
    assert voting.page("ann", 0)["items"][0]["vote"] is None
    assert voting.session("ann")["done"] == 1
    again = Wire("again", one.id, one.show, "bogus")
    voting.register.cast("ann", [again, Wire("undo-again", undo="again")])
    assert set(standing(voting.box.votes)) == {("ann", two.id)}


def test_a_session_goes_on_where_it_stopped(booth, tmp_path):
    voting = booth(page=10, order="random", seed=3)
    shown = [voting.page("ann", start)["items"] for start in (0, 10, 20)]
    voting.register.cast("ann", wires(voting, "ann") + wires(voting, "ann", 10)[:4])
    voting.box.close()
    voting.box.close = lambda: None
    again = booth(page=10, order="random", seed=3)
    session = again.session("ann")
    assert (session["done"], session["resume"]) == (14, 14)
    assert [entry["index"] for entry in session["history"]] == list(range(14))
    assert [item["id"] for item in again.page("ann", 20)["items"]] == [item["id"] for item in shown[2]]
    assert [item["vote"] for item in again.page("ann", 10)["items"]] == ["real"] * 4 + [None] * 6
    assert again.session("ben")["done"] == 0


def test_a_vote_changed_is_remembered_for_the_undo(booth):
    voting = booth(page=10)
    one = wires(voting, "ann")[0]
    voting.register.cast("ann", [one, Wire("second", one.id, one.show, "bogus")])
    assert voting.session("ann")["history"] == [{"index": 0, "vote": "bogus", "key": "second", "before": "real"}]
    voting.register.cast("ann", [Wire("undo", undo="second")])
    assert voting.page("ann", 0)["items"][0]["vote"] == "real"


def test_blinded_repeats_are_known_to_the_file_alone(booth):
    voting = booth(200, page=200, repeats=0.2)
    count = voting.session("ann")["count"]
    assert count == 240
    sent = wires(voting, "ann") + wires(voting, "ann", 200)
    voting.register.cast("ann", sent)
    votes = read_votes(voting.box.path)
    assert sum(vote.repeat for vote in votes) == 40
    assert len(standing(votes)) == 200 and len(standing(votes, repeat=True)) == 40
    assert "repeat" not in json.dumps([voting.session("ann"), voting.page("ann", 200)])


def test_nobody_sees_scores_or_votes_of_others_unasked(booth):
    stamps = make_stamps(30)
    stamps.catalogue["score"], stamps.catalogue["label"] = np.linspace(0, 1, 30), np.arange(30) % 2
    stamps.catalogue["origin"] = "catalogue"
    hidden = booth(stamps=stamps)
    hidden.register.cast("ben", wires(hidden, "ben"))
    hidden.box.close()
    hidden.box.close = lambda: None
    said = json.dumps([hidden.page("ann", 0), hidden.session("ann")])
    assert not any(word in said for word in ("ben", 'score", "0', "catalogue", "label"))
    shown = booth(stamps=stamps, show_scores=True)
    facts = [dict(item["facts"]) for item in shown.page("ann", 0)["items"]]
    assert all({"score", "label", "origin"} <= set(fact) for fact in facts)
    assert {fact["votes"] for fact in facts if "votes" in fact} == {"ben: real"}


def test_facts_and_links(booth):
    stamps = make_stamps(30)
    stamps.catalogue["site"] = ["<i>here</i>"] * 30
    item = booth(stamps=stamps, order="set", facts=("site",)).page("ann", 0)["items"][1]
    assert dict(item["facts"]) == {
        "id": "s0001", "S/N": "9.0", "position": "12:00:02.40 -12:30:00.0", "FWHM (px)": "2.50", "noise": "5",
        "site": "<i>here</i>",
    }  # fmt: skip
    links = dict(item["links"])
    assert links["SIMBAD"].startswith("https://simbad.") and "Coord=180.010000%20-12.500000" in links["SIMBAD"]
    assert {"NED", "Legacy Survey"} <= set(links) and all(url.startswith("https://") for url in links.values())
    assert facts_links(float("nan"), 0.0) == [] == facts_links(10.0, 95.0)


def test_a_sheet_holds_the_stamps_that_were_asked_for(booth):
    voting = booth(30)
    picture = Image.open(io.BytesIO(voting.sheet([4, 29])))
    assert picture.size == (48, 32)
    assert np.asarray(picture.convert("RGB")).std() > 10
    for rows in ([30], [-1], [0, 1000]):
        with pytest.raises(OutsideError, match="in this set"):
            voting.sheet(rows)
    with pytest.raises(InputError, match="1 to 200"):
        voting.sheet([])
    with pytest.raises(UnknownNameError, match="stretch"):
        voting.sheet([0], "sqrt")


@pytest.mark.parametrize("start", [-1, 30, 10**6])
def test_no_page_outside_the_set(booth, start):
    with pytest.raises(OutsideError, match="no stamp number"):
        booth(30, repeats=0.0).page("ann", start)


def test_sets_without_scores_and_labels_are_shown(booth):
    voting = booth(30)
    assert voting.orders == ["disagreement", "random", "set"]
    with pytest.raises(InputError, match="does not have"):
        voting.session("ann", "score")
    with pytest.raises(UnknownNameError):
        voting.session("ann", "beauty")


def test_clear_errors_before_the_page_opens(booth, tmp_path):
    empty = make_stamps(3).select(np.zeros(3, bool))
    with pytest.raises(InputError, match="holds no stamps"):
        booth(stamps=empty)
    stamps = make_stamps(3)
    stamps.catalogue["id"] = ["a", "b", "a"]
    with pytest.raises(InputError, match="must be unique"):
        booth(stamps=stamps, path=tmp_path / "2")
    with pytest.raises(InputError, match="no column `score`"):
        booth(path=tmp_path / "3", order="score")
    with pytest.raises(ConfigError, match="no column taste"):
        booth(path=tmp_path / "4", facts=("taste",))


@pytest.mark.parametrize("name", ["", "   ", "a" * 61, "new\nline", "\x1b[31m"])
def test_names_that_are_none(name):
    with pytest.raises(ConfigError, match="no name for a vetter"):
        check_name(name)


def test_several_at_once(booth):
    """Eight vetters in threads: nothing is lost, nothing is there twice, every line is whole."""
    voting = booth(60, page=20)
    names = [f"v{k}" for k in range(8)]

    def work(name: str) -> None:
        for start in (0, 20, 40):
            for wire in wires(voting, name, start):
                assert voting.register.cast(name, [wire, wire])[0] == [wire.key] * 2

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    votes = read_votes(voting.box.path)
    assert len(votes) == len({vote.key for vote in votes}) == 8 * 60
    assert votes == voting.box.votes


def test_a_full_disk_takes_nothing(booth, monkeypatch):
    voting = booth()
    sent = wires(voting, "ann")

    def full(votes: object) -> None:
        raise OutputError("votes cannot be written: no space left")

    with monkeypatch.context() as patch:
        patch.setattr(voting.box, "append", full)
        with pytest.raises(OutputError):
            voting.register.cast("ann", sent)
    assert voting.session("ann")["done"] == 0
    assert len(voting.register.cast("ann", sent)[0]) == len(sent)


def test_names_of_any_kind_are_stamps(booth):
    stamps = make_stamps(4)
    stamps.catalogue["id"] = [2459123456789, 2, 3, 4]
    voting = booth(stamps=stamps, order="set")
    assert voting.page("ann", 0)["items"][0]["id"] == "2459123456789"
    taken, _ = voting.register.cast("ann", wires(voting, "ann"))
    assert len(taken) == 4 and {vote.id for vote in voting.box.votes} == {"2459123456789", "2", "3", "4"}
