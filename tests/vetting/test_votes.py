"""Votes on disk: added, never changed, and whole after a kill."""

from __future__ import annotations

import json
import os

import pytest
from ballots import say

from realbogus.errors import InputError, OutputError
from realbogus.vetting.votes import Vote, VoteFile, read_votes, standing

ONE, TWO = say("ann", "a", "real"), say("ann", "b", "bogus")


def test_a_line_is_what_the_readers_of_the_file_expect(tmp_path):
    with VoteFile(tmp_path / "v.jsonl") as box:
        box.append([ONE])
    (line,) = (tmp_path / "v.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": "a", "vote": "real", "vetter": "ann", "time": "2026-01-01T00:00:00Z", "key": "ann-a-first",
        "undo": None, "seconds": 1.0, "repeat": False,
    }  # fmt: skip


def test_votes_come_back_as_they_were_given(tmp_path):
    odd = Vote('<b>"\n\u2028\x00é', "unsure", "Ångström, A.", "t", "k9", seconds=None, repeat=True)
    path = tmp_path / "v.jsonl"
    with VoteFile(path) as box:
        box.append([ONE])
        box.append([TWO, odd])
        assert read_votes(path) == [ONE, TWO, odd]  # while it is open, too
    with VoteFile(path) as box:
        assert box.votes == [ONE, TWO, odd]


@pytest.mark.parametrize("kept", range(1, len(TWO.line()) - 1, 23))
def test_a_line_cut_off_half_written_was_never_acknowledged(tmp_path, kept):
    path = tmp_path / "v.jsonl"
    path.write_bytes(ONE.line() + TWO.line()[:kept])
    assert read_votes(path) == [ONE]
    with VoteFile(path) as box:
        box.append([TWO])
    assert path.read_bytes() == ONE.line() + TWO.line()


def test_a_whole_vote_without_its_line_end_stays(tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_bytes(ONE.line() + TWO.line()[:-1])
    with VoteFile(path) as box:
        box.append([say("ann", "c", "real")])
    assert [vote.id for vote in read_votes(path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[1, 2]",
        b'{"id": "a", "vote": "perhaps", "vetter": "x", "time": "t", "key": "k"}',
        b'{"id": 5, "vote": "real", "vetter": "x", "time": "t", "key": "k"}',
        b'{"id": "a", "vote": "real", "vetter": "x", "time": "t", "key": "k", "seconds": NaN}',
        b"\xff\xfe",
    ],
)
def test_damage_in_the_middle_is_named_by_its_line(tmp_path, line):
    path = tmp_path / "v.jsonl"
    path.write_bytes(ONE.line() + line + b"\n" + TWO.line())
    with pytest.raises(InputError, match="line 2 is no vote"):
        read_votes(path)
    with pytest.raises(InputError, match="line 2 is no vote"):
        VoteFile(path)
    assert path.read_bytes() == ONE.line() + line + b"\n" + TWO.line()


def test_two_copies_joined_hold_each_vote_once(tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_bytes((ONE.line() + TWO.line()) * 2)
    assert read_votes(path) == [ONE, TWO]


def test_one_program_at_a_time(tmp_path):
    with VoteFile(tmp_path / "v.jsonl"), pytest.raises(OutputError, match=r"another `realbogus vet` has .* open"):
        VoteFile(tmp_path / "v.jsonl")
    VoteFile(tmp_path / "v.jsonl").close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match="choose a place you may write"):
        VoteFile(tmp_path / "nowhere" / "v.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_votes(tmp_path / "nothing")


def test_votes_that_do_not_fit_the_disk_leave_no_trace(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with VoteFile(tmp_path / "v.jsonl") as box:
        box.append([ONE])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OutputError, match="No space left"):
                box.append([TWO])
        assert read_votes(box.path) == box.votes == [ONE]
        box.append([TWO])
        assert read_votes(box.path) == [ONE, TWO]


def test_what_stands_in_the_end():
    votes = [
        say("ann", "a", "real", key="1"), say("ann", "a", "bogus", key="2"), say("ben", "a", "unsure", key="3"),
        say("ann", "b", "real", key="4"), say("ann", "b", "real", key="5", undo="4"),
        say("ann", "a", "real", key="6", repeat=True),
    ]  # fmt: skip
    assert {place: vote.vote for place, vote in standing(votes).items()} == {
        ("ann", "a"): "bogus",
        ("ben", "a"): "unsure",
    }
    assert {place: vote.vote for place, vote in standing(votes, repeat=True).items()} == {("ann", "a"): "real"}
    again = [*votes, say("ann", "a", "bogus", key="7", undo="2")]
    assert standing(again)["ann", "a"].vote == "real"  # the vote before it was not taken back
