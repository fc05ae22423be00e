"""The verbs `assemble screen audit split check` end to end, and what they say when they cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table

from realbogus.cli import main
from realbogus.stamps import StampSet
from realbogus.tables import read_parquet, write_parquet


@pytest.fixture
def run(capsys):
    """Run a verb that must succeed, and return what it says."""

    def check(*words: object) -> str:
        capsys.readouterr()
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        assert status == 0, said.err
        return said.out

    return check


@pytest.fixture
def fails(capsys):
    """Run a verb that must fail with status 1, and return what it says."""

    def check(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 1
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return " ".join(said.err.split())

    return check


@pytest.fixture
def night(make_set, tmp_path):
    """The folder of a night as `realbogus night` leaves it: 30 detections of 10 places, in two frames and more."""
    source = np.arange(30) % 10
    stamps = make_set(
        30, ra=source.astype(float), dec=np.zeros(30), frame=[f"f{k // 10}.fits" for k in range(30)],
        source=[f"s{k}" for k in source], mjd=60000.0 + np.arange(30) // 10, score=np.linspace(0, 1, 30),
        threshold=np.full(30, 0.7), injected=[False] * 30,
    )  # fmt: skip
    stamps.save(tmp_path / "night" / "stamps")
    write_parquet(stamps.catalogue, tmp_path / "night" / "candidates.parquet")
    Table({"name": ["A", "B", "C"], "ra": [0.0, 1.0, 2.0], "dec": [0.0] * 3}).write(tmp_path / "vars.csv")
    return tmp_path / "night"


def test_from_a_night_to_parts(night, tmp_path, run, fails):
    said = run("assemble", night, "--variables", tmp_path / "vars.csv", "-o", tmp_path / "set", "--cap", 2,
               "--weight", "catalogue=0.5")  # fmt: skip
    assert "over the cap of its source" in said
    made = StampSet.load(tmp_path / "set")
    assert [int((made.labels == value).sum()) for value in (1, 0, -1)] == [6, 21, 3]
    assert set(made.catalogue["weight"][made.labels == 1]) == {0.5}
    said = run("split", tmp_path / "set", "--by", "source", "-o", tmp_path / "parts", "--fractions", 0.6, 0, 0.4)
    assert "| source |" in said
    rows = {name: StampSet.load(tmp_path / "parts" / name) for name in ("train", "test")}
    shared = set(rows["train"].catalogue["source"]) & set(rows["test"].catalogue["source"])
    assert not shared
    assert len(rows["train"]) + len(rows["test"]) == 27
    assert "lie on two sides" in fails("split", tmp_path / "set", "--by", "night", "-o", tmp_path / "other",
                                       "--fractions", 0.6, 0, 0.4)  # fmt: skip
    run("split", tmp_path / "set", "--by", "time", "-o", tmp_path / "other", "--allow-leakage", "--table-only",
        "--fractions", 0.6, 0, 0.4)  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["split.parquet", "summary.md"]


def test_a_check_from_the_draw_to_the_figure(night, tmp_path, run, fails):
    said = run("check", "draw", night, "-n", 20, "-o", tmp_path / "check", "--seed", 3)
    assert "20 of 30 candidates" in said
    drawn = read_parquet(tmp_path / "check" / "draw.parquet")
    # two of three vetters say what the model says but for one stamp; one vote is taken back, one is on a repeat
    lines, wrong = [], str(drawn["id"][0])
    for name, called in zip(drawn["id"], drawn["called"], strict=True):
        for vetter in ("ann", "ben", "cat"):
            vote = "real" if called != (name == wrong) else "bogus"
            vote = "unsure" if vetter == "cat" else vote
            lines.append({"id": str(name), "vote": vote, "vetter": vetter, "time": "2026-01-01T00:00:00Z",
                          "key": f"{name}-{vetter}", "undo": None, "seconds": None, "repeat": False})  # fmt: skip
    lines.append(lines[0] | {"key": "again", "vote": "unsure", "repeat": True})
    votes = tmp_path / "check" / "sample" / "votes.jsonl"
    votes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = run("check", "result", tmp_path / "check")
    counts = json.loads((tmp_path / "check" / "result.json").read_text())["counts"]
    assert sum(counts.values()) == 20
    assert counts["fp"] + counts["fn"] == 1
    assert "| precision |" in said
    assert (tmp_path / "check" / "figure7.png").stat().st_size > 1000
    # a consensus in place of the votes
    Table({"id": drawn["id"], "label": drawn["called"].astype(int)}).write(tmp_path / "consensus.csv")
    run("check", "result", tmp_path / "check", "--consensus", tmp_path / "consensus.csv", "-o", tmp_path / "second")
    second = json.loads((tmp_path / "second" / "result.json").read_text())["counts"]
    assert second["fp"] == second["fn"] == 0
    # a second draw would lose the votes
    assert "votes.jsonl" in fails("check", "draw", night, "-n", 5, "-o", tmp_path / "check")
    assert "cannot be read" in fails("check", "result", tmp_path / "check", "--votes", tmp_path / "none.jsonl")


def test_scores_of_another_table(night, tmp_path, run, fails):
    Table({"id": ["c001", "c002"], "score": [0.2, 0.9], "threshold": [0.8, 0.8]}).write(tmp_path / "scores.csv")
    said = run("check", "draw", night / "stamps", "--scores", tmp_path / "scores.csv", "-o", tmp_path / "check",
               "--stratified")  # fmt: skip
    assert "2 of 30 candidates, 28 without a score; threshold 0.8" in said  # not the night's own 0.7
    Table({"name": ["a"]}).write(tmp_path / "bad.csv")
    assert "expected id and score" in fails(
        "check", "draw", night, "--scores", tmp_path / "bad.csv", "-o", tmp_path / "x"
    )
    assert "needs -o" in fails("check", "draw", night)


def test_screening_with_a_model_that_is_there(night, tmp_path, run):
    said = run("screen", night, "--model", "default", "-o", tmp_path / "screened")
    assert "| keep |" in said
    counts = json.loads((tmp_path / "screened" / "summary.json").read_text())["counts"]
    assert sum(counts.values()) == 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["assemble", "SET", "-o", "SET/x", "--variables", "v"], "lies in"),
        (["assemble", "SET", "-o", "OUT", "--variables", "nothing.csv"], "cannot be read as a table"),
        (["assemble", "SET", "SET", "-o", "OUT"], "named twice"),
        (["assemble", "SET", "-o", "OUT", "--weight", "vote"], "ORIGIN=NUMBER"),
        (["screen", "SET", "-o", "OUT", "--bands", "0.9", "0.2"], "low <= high"),
        (["screen", "SET", "-o", "OUT", "--network", "vgg99"], "known are"),
        (["screen", "SET", "-o", "OUT", "--model", "nothing.onnx"], "there is no model"),
        (["audit", "SET", "-o", "OUT", "--folds", "1"], "at least 2"),
        (["audit", "SET", "-o", "OUT", "--network", "vgg99"], "known are"),
        (["audit", "NOTHING", "-o", "OUT"], "no readable stamp set"),
        (["split", "SET", "-o", "OUT", "--by", "galaxy"], "known are"),
        (["check", "draw", "SET", "-o", "OUT"], "has a score"),
        (["check", "result", "SET"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_error(make_set, tmp_path, fails, words, said):
    make_set(20, label=[0, 1] * 10, source=[f"s{k}" for k in range(20)]).save(tmp_path / "SET")
    places = [str(tmp_path / word) if word.split("/")[0] in ("SET", "OUT", "NOTHING") else word for word in words]
    assert said in fails(*places)


def test_a_set_without_sources_is_split_by_stamp(make_set, tmp_path, run, fails):
    make_set(40, label=[0, 1] * 20).save(tmp_path / "set")
    words = ["split", tmp_path / "set", "-o", tmp_path / "parts", "--by", "stamp"]
    assert "names no `source`" in fails(*words)
    said = run(*words, "--allow-leakage")
    assert "Split by stamp" in said and len(StampSet.load(tmp_path / "parts" / "train")) == 28
    assert "--measure compares with a split by source" in fails(*words, "--allow-leakage", "--measure")


def test_verdicts_in_csv_whose_ids_begin_with_a_nought(make_set, tmp_path, run):
    stamps = make_set(12, ra=np.arange(12.0), dec=np.zeros(12))
    stamps.catalogue["id"] = [f"{k:04d}" for k in range(12)]
    stamps.save(tmp_path / "set")
    Table({"id": stamps.catalogue["id"], "label": [1, 0] * 6}).write(tmp_path / "said.csv")
    run("assemble", tmp_path / "set", "--verdicts", tmp_path / "said.csv", "-o", tmp_path / "made")
    assert StampSet.load(tmp_path / "made").labels.tolist() == [1, 0] * 6
