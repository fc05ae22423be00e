"""Votes leave the file: labels of a set, subjects for Zooniverse, and the verb that does it."""

from __future__ import annotations

import csv
import json
import socket

import numpy as np
import pytest
from astropy.table import Table
from ballots import make_stamps, say
from PIL import Image

from realbogus.cli import main
from realbogus.errors import InputError, OutputError
from realbogus.stamps import IGNORE, UNLABELLED, StampSet
from realbogus.vetting.consensus import consensus
from realbogus.vetting.export import with_votes, write_zooniverse
from realbogus.vetting.votes import VoteFile


@pytest.fixture
def vetted(tmp_path):
    """A saved set of 30, ten of them voted on by three: five real, four bogus, one unsure."""
    stamps = make_stamps(30)
    folder = stamps.save(tmp_path / "stamps [1]")
    answers = ["real"] * 5 + ["bogus"] * 4 + ["unsure"]
    with VoteFile(folder / "votes.jsonl") as box:
        box.append([say(name, f"s{k:04d}", said) for name in ("ann", "ben", "cid") for k, said in enumerate(answers)])
    return folder


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_labels_come_back_into_the_set(vetted):
    stamps = StampSet.load(vetted)
    stamps.catalogue["label"], stamps.catalogue["origin"] = np.full(30, 1), ["catalogue"] * 30
    stamps.catalogue["weight"] = np.full(30, 0.25)
    from realbogus.vetting.votes import read_votes

    found = consensus(read_votes(vetted / "votes.jsonl"), list(stamps.catalogue["id"]))
    labelled = with_votes(stamps, found.table)
    rows = labelled.catalogue
    assert rows["label"].tolist() == [1] * 5 + [0] * 4 + [IGNORE] + [1] * 20
    assert rows["label_before"].tolist() == [1] * 30
    assert rows["origin"].tolist() == ["vote"] * 10 + ["catalogue"] * 20
    assert (rows["weight"][:9] > 0.8).all() and rows["weight"][9] == 0 and (rows["weight"][10:] == 0.25).all()
    np.testing.assert_allclose(rows["weight"][:9], found.table["confidence"][:9], rtol=1e-6)
    assert np.array_equal(labelled.pixels, stamps.pixels)
    assert with_votes(stamps, found.table, voted_only=True).catalogue["id"].tolist() == rows["id"][:10].tolist()


def test_a_set_without_labels_gets_them(vetted):
    stamps = StampSet.load(vetted)
    from realbogus.vetting.votes import read_votes

    rows = with_votes(
        stamps, consensus(read_votes(vetted / "votes.jsonl"), list(stamps.catalogue["id"])).table
    ).catalogue
    assert "label_before" not in rows.colnames
    assert rows["label"].tolist()[10:] == [UNLABELLED] * 20 and rows["weight"].tolist()[10:] == [1.0] * 20


def test_a_consensus_of_another_set_is_refused(vetted):
    with pytest.raises(InputError, match="other stamps"):
        with_votes(StampSet.load(vetted), consensus([], ["a", "b"]).table)


def test_the_verb_writes_what_it_is_asked_for(vetted, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["-o", out, "--table", out / "consensus.ecsv", "--labelled", out / "labelled", "--zooniverse", out / "zoo"]
    assert run("votes", vetted, *words) == 0
    told = capsys.readouterr().out
    assert "10 of 30 stamps voted on: 5 real, 4 bogus, 1 undecided" in told and "ann" in told
    table = Table.read(out / "consensus.ecsv")
    assert table["label"].tolist()[:10] == [1] * 5 + [0] * 4 + [IGNORE]
    assert json.loads((out / "votes.json").read_text())["stamps"]["voted"] == 10
    assert StampSet.load(out / "labelled").labels.tolist()[:5] == [1] * 5
    assert len(list((out / "zoo").glob("*.png"))) == 90
    for name in ("a.csv", "a.parquet"):
        assert run("votes", vetted, "--table", out / name) == 0
    assert Table.read(out / "a.csv", format="ascii.csv")["probability"][0] > 0.9


def test_the_verb_says_why_it_cannot(vetted, tmp_path, capsys):
    full = tmp_path / "full"
    full.mkdir()
    (full / "something").touch()
    wrong = {
        ("--labelled", str(full)): "not empty",
        ("--labelled", str(vetted)): "not empty",
        ("--table", "votes.docx"): "write a table as",
        ("--votes", str(tmp_path / "none.jsonl")): "cannot be read",
        ("--min-confidence", "0.2"): "between 0.5 and 1",
        ("--stretch", "sqrt"): "unknown stretch",
    }
    for words, reason in wrong.items():
        assert run("votes", vetted, *words) == 1
        assert reason in " ".join(capsys.readouterr().err.split())
    (vetted / "votes.jsonl").unlink()
    assert run("votes", vetted) == 1 and "cannot be read" in capsys.readouterr().err
    assert run("votes", vetted, "--zooniverse", tmp_path / "zoo") == 0  # subjects need no votes


def test_zooniverse_takes_the_manifest(tmp_path):
    stamps = make_stamps(3)
    stamps.catalogue["id"] = ["=cmd()", "../../b c", "<b>é</b>"]
    stamps.catalogue["score"] = [0.1, 0.2, 0.3]
    manifest = write_zooniverse(stamps, tmp_path / "zoo")
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["image1", "image2", "image3", "#id"]
    assert rows[0]["#id"] == "'=cmd()" and rows[0]["#S/N"] == "40.0" and "#score" not in rows[0]
    files = {row[f"image{k}"] for row in rows for k in (1, 2, 3)}
    assert files == {path.name for path in (tmp_path / "zoo").glob("*.png")} and len(files) == 9
    assert all(name.isascii() and "/" not in name and " " not in name for name in files)
    with Image.open(tmp_path / "zoo" / rows[0]["image1"]) as picture:
        assert picture.size == (256, 256)
    (tmp_path / "flat").write_text("")
    with pytest.raises(OutputError, match="choose another folder"):
        write_zooniverse(stamps, tmp_path / "flat")


def test_vet_says_why_it_cannot(vetted, tmp_path, capsys):
    pytest.importorskip("fastapi", reason='the page needs FastAPI: pip install "realbogus[vet]"')
    empty = make_stamps(3).select(np.zeros(3, bool)).save(tmp_path / "empty")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wrong = {
            (vetted, "--port", taken.getsockname()[1]): "is in use by another program",
            (vetted, "--port", 99999): "from 1 to 65535",
            (vetted, "--host", "no.such.host.invalid", "--port", 0): "no address",
            (vetted, "--host", "203.0.113.7", "--port", 0): "cannot be had",
            (vetted, "--token", "short", "--port", 0): "16 or more",
            (vetted, "--order", "score", "--port", 0): "no column `score`",
            (vetted, "--order", "beauty", "--port", 0): "unknown order",
            (vetted, "--repeats", 2, "--port", 0): "between 0 and 1",
            (vetted, "--votes", tmp_path / "nowhere" / "v.jsonl", "--port", 0): "choose a place you may write",
            (empty, "--port", 0): "holds no stamps",
            (tmp_path / "none", "--port", 0): "no readable stamp set",
        }
        for words, reason in wrong.items():
            assert run("vet", *words, "--no-browser") == 1, words
            assert reason in " ".join(capsys.readouterr().err.split())


def test_without_the_extra_it_says_what_to_install(vetted, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "realbogus.vetting.app", None)
    assert run("vet", vetted) == 1
    assert 'pip install "realbogus[vet]"' in " ".join(capsys.readouterr().err.split())
