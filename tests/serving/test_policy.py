"""Policies against brute force over all scores, and the file they may change in."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from realbogus.classifier import Card
from realbogus.errors import ConfigError, OutputError, UnknownNameError
from realbogus.serving.batch import Batch
from realbogus.serving.policy import POLICIES, Policy, policy_of
from realbogus.serving.policy_file import PolicyFile, change_policy, history_of
from realbogus.serving.scorer import Scorer

PLAIN = Card(name="toy", architecture="none", threshold=0.6)
CALIBRATED = Card(name="toy", architecture="none", threshold=0.6, calibration={"method": "platt"})
ONE_NIGHT = np.array([""])


@pytest.fixture(scope="module")
def flow() -> tuple[np.ndarray, np.ndarray]:
    """Scores that are probabilities, many small and a few large."""
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.beta(1, 12, 18000), rng.beta(9, 1.2, 2000)]).astype(np.float32)
    rng.shuffle(scores)
    return scores, scores


def last_threshold(text: str, scores: np.ndarray, probabilities: np.ndarray) -> float:
    policy = policy_of(text, CALIBRATED)
    thresholds = np.zeros(1)
    for start in range(0, len(scores), 500):
        part = slice(start, start + 500)
        thresholds = policy(scores[part], probabilities[part], np.full(500, ""))
    return float(thresholds[-1])


def test_a_number_is_itself_and_the_model_is_its_card() -> None:
    scores = np.float32([0.1, np.nan])
    for text, threshold in ((None, 0.6), ("model", 0.6), ("0.7", 0.7), ("fixed=0.25", 0.25)):
        policy = policy_of(text, PLAIN)
        assert policy(scores, None, np.array(["", ""])).tolist() == [threshold, threshold]


@pytest.mark.parametrize("share", [0.7, 0.9, 0.95])
def test_purity_is_that_of_the_probabilities(flow, share) -> None:
    scores, probabilities = flow
    threshold = last_threshold(f"purity={share}", scores, probabilities)
    assert probabilities[scores >= threshold].mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_completeness_is_that_of_the_probabilities(flow, share) -> None:
    scores, probabilities = flow
    threshold = last_threshold(f"completeness={share}", scores, probabilities)
    assert probabilities[scores >= threshold].sum() / probabilities.sum() == pytest.approx(share, abs=0.01)


def test_precision_equals_recall(flow) -> None:
    scores, probabilities = flow
    above = probabilities[scores >= last_threshold("precision=recall", scores, probabilities)]
    assert above.mean() == pytest.approx(above.sum() / probabilities.sum(), rel=0.02)


def test_an_impossible_purity_lets_nothing_through(flow) -> None:
    scores, _ = flow
    assert last_threshold("purity=0.9", scores, np.full(len(scores), 0.1, np.float32)) > 1


@pytest.mark.parametrize("size", [1, 7, 500])
def test_at_most_is_never_passed_and_takes_the_best_of_a_batch(size) -> None:
    rng = np.random.default_rng(4)
    policy = policy_of("at-most=30", PLAIN)
    for night in ("1", "2", "3"):
        scores = rng.random(2000).astype(np.float32)
        real = []
        for start in range(0, 2000, size):
            part = scores[start : start + size]
            thresholds = policy(part, None, np.full(len(part), night)).astype(np.float32)
            real.append(part[part >= thresholds])
        found = np.concatenate(real)
        assert len(found) <= 30
        if night == "1":
            assert len(found) == 30 and (found >= 0.6).all()
        else:  # the threshold is that of the night before: few of the budget go to the middling
            assert len(found) >= 15 and (found >= 0.97).all()


def test_at_most_keeps_nights_apart_within_a_batch() -> None:
    policy = policy_of("at-most=2", PLAIN)
    scores = np.float32([0.9, 0.8, 0.95, 0.7, np.nan, 0.99])
    nights = np.array(["1", "1", "1", "2", "2", "2"])
    assert (scores >= policy(scores, None, nights).astype("f4")).tolist() == [True, False, True, True, False, True]


def test_at_most_gives_no_last_place_to_one_of_several_equals() -> None:
    policy = policy_of("at-most=2", PLAIN)
    scores = np.float32([0.9, 0.8, 0.8])
    assert (scores >= policy(scores, None, np.full(3, "")).astype("f4")).tolist() == [True, False, False]


def _real(policy: Policy, scores: np.ndarray, nights: list[str]) -> np.ndarray:
    return scores >= policy(scores, None, np.array(nights)).astype("f4")


def test_at_most_is_not_passed_where_nights_alternate_or_are_unknown() -> None:
    policy = policy_of("at-most=2", PLAIN)
    rng = np.random.default_rng(5)
    real = 0
    for _ in range(20):  # one row a batch: no night, one, no night, the other
        for name in ("", "a", "", "b"):
            real += int(_real(policy, rng.uniform(0.6, 1, 1).astype(np.float32), [name])[0])
    assert real == 4
    assert not _real(policy, np.float32([1, 1, 1]), ["a", "b", ""]).any()
    # a night that was long ago has not got its number back
    for name in range(50):
        assert _real(policy, np.float32([0.9]), [f"n{name}"]).all()
    assert not _real(policy, np.float32([1]), ["a"]).any()


def test_what_comes_before_the_first_named_night_is_of_that_night() -> None:
    policy = policy_of("at-most=1", PLAIN)
    assert _real(policy, np.float32([0.9, 0.95]), ["", "1"]).tolist() == [True, False]
    assert _real(policy, np.float32([0.9]), ["2"]).all()


def test_nights_change_at_the_telescopes_noon() -> None:
    card = Card(name="toy", architecture="none", threshold=0.5)

    class Sure:
        def __init__(self) -> None:
            self.card = card

        def predict(self, pixels, *, noise=None, fwhm=None):
            return np.full(len(pixels), 0.9, np.float32)

    # 19 h and 21 h at Xinglong lie about noon UT
    rows = Table({"id": ["a", "b"], "noise": [1.0, 1.0], "fwhm": [3.0, 3.0], "mjd": [60000.47, 60000.55]})
    batch = Batch(rows, np.zeros((2, 1, 64, 64), np.float32))
    for longitude, real in ((0.0, 2), (117.6, 0)):  # in one night they are equals, and neither is the one
        scored = Scorer(Sure(), "at-most=1", longitude_deg=longitude)(batch)
        assert int(scored.real.sum()) == real
    with pytest.raises(ConfigError, match="longitude 500"):
        Scorer(Sure(), longitude_deg=500)


def test_a_change_in_the_last_digit_is_another_policy(tmp_path: Path) -> None:
    path = change_policy(tmp_path / "policy.json", "0.9999991")
    policy = PolicyFile(path, CALIBRATED)
    change_policy(path, "0.9999992")
    assert _threshold(policy) == 0.9999992 and policy.text == "fixed=0.9999992"
    change_policy(path, "purity=0.99999991")
    policy.look()
    assert policy.text == "purity=0.99999991"
    assert [line["new"] for line in history_of(path)][1:] == ["fixed=0.9999992", "purity=0.99999991"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("purity=0.9", "holds no calibration"), ("completeness=0.9", "holds no calibration"),
        ("precision=recall", "holds no calibration"), ("purity=2", "a share between 0 and 1"),
        ("purity", "a share between"), ("at-most=0", "a number of candidates"),
        ("at-most=-3", "a number of candidates"),
        ("1.5", "scores lie in 0 to 1"), ("nan", "unknown policy 'nan'"),
        ("precision=0.9", "known is precision=recall"),
        ("fixed=x", "give a number"), ("model=2", "takes no value"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(text, says) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=re.escape(says)):
        policy_of(text, PLAIN)


def test_an_unknown_policy_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="known are at-most, completeness, fixed, model, precision, purity"):
        policy_of("best=3", PLAIN)
    assert len(POLICIES) == 6


def _threshold(policy: PolicyFile) -> float:
    return float(policy(np.float32([0.5]), None, ONE_NIGHT)[0])


def test_a_file_is_followed_and_every_change_recorded(tmp_path: Path) -> None:
    path = change_policy(tmp_path / "policy.json", "0.6", who="Ada", why="start")
    said: list[str] = []
    policy = PolicyFile(path, CALIBRATED, said.append)
    other = PolicyFile(path, CALIBRATED)  # a second process on the same file
    assert _threshold(policy) == 0.6
    change_policy(path, "0.8", who="Bo", why="too many")
    assert _threshold(policy) == _threshold(other) == 0.8
    change_policy(path, "best=3")
    assert _threshold(policy) == 0.8
    path.write_text("{broken")
    assert _threshold(policy) == 0.8
    path.unlink()
    assert _threshold(policy) == 0.8
    change_policy(path, "purity=0.9")
    assert _threshold(policy) == pytest.approx(0.6)  # the card's, until enough has been seen
    lines = history_of(path)
    assert [(line["old"], line["new"], line["who"], line["why"]) for line in lines if "refused" not in line] == [
        (None, "fixed=0.6", "Ada", "start"), ("fixed=0.6", "fixed=0.8", "Bo", "too many"),
        ("fixed=0.8", "purity=0.9", lines[-1]["who"], ""),
    ]  # fmt: skip
    assert lines[-1]["who"]
    assert len([line for line in lines if "refused" in line]) == 3
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert any("stays fixed=0.8" in text for text in said) and "purity=0.9 now, it was fixed=0.8" in said[-1]


def test_a_touched_file_changes_nothing(tmp_path: Path) -> None:
    path = change_policy(tmp_path / "policy.json", "at-most=1")
    policy = PolicyFile(path, PLAIN)
    scores = np.float32([0.9])
    assert policy(scores, None, ONE_NIGHT)[0] <= 0.9
    os.utime(path, (1, 1))
    assert policy(scores, None, ONE_NIGHT)[0] > scores[0]  # the night's one is taken, and stays so
    assert len(history_of(path)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"policy": true}', '{"policy": "other.json"}', '{"policy": "x"}'])
def test_a_file_without_a_policy_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises((ConfigError, UnknownNameError)):
        policy_of(str(path), PLAIN)


def test_the_history_is_only_appended_to(tmp_path: Path) -> None:
    path = change_policy(tmp_path / "policy.json", "0.6")
    policy = PolicyFile(path, PLAIN)
    history = tmp_path / "policy.history.jsonl"
    before = history.read_bytes()
    change_policy(path, "0.7")
    policy.look()
    assert history.read_bytes().startswith(before) and len(history.read_bytes()) > len(before)
    assert json.loads(history.read_text().splitlines()[-1])["by"].endswith(f":{os.getpid()}")


def test_a_torn_line_of_the_history_is_passed_over_and_ended(tmp_path: Path) -> None:
    path = change_policy(tmp_path / "policy.json", "0.6")
    PolicyFile(path, PLAIN)
    history = tmp_path / "policy.history.jsonl"
    with history.open("ab") as stream:
        stream.write(b'{"time": "2026-01-01", "new": "fix\xc3')  # cut off in the middle of a letter
    policy = PolicyFile(path, PLAIN)
    policy.change("0.7", who="Ada", why="sharper")
    assert _threshold(policy) == 0.7
    assert [(line["new"], line["who"]) for line in history_of(path)][1:] == [("fixed=0.7", "Ada")]
    assert len(history.read_bytes().splitlines()) == 3


def test_a_change_that_cannot_be_recorded_is_not_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = change_policy(tmp_path / "policy.json", "0.6")
    said: list[str] = []
    policy = PolicyFile(path, PLAIN, said.append)

    def full(*_: object) -> None:
        raise OutputError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("realbogus.serving.policy_file.append_json", full)
        with pytest.raises(OutputError, match="no room"):
            policy.change("0.7")
        assert json.loads(path.read_text())["policy"] == "0.6" and _threshold(policy) == 0.6
        change_policy(path, "0.8")  # by hand, past the record
        assert _threshold(policy) == _threshold(policy) == 0.6
        assert said == ["no room; the policy stays fixed=0.6 until the change can be recorded"]
    assert _threshold(policy) == 0.8 and history_of(path)[-1]["new"] == "fixed=0.8"


def test_changes_side_by_side_are_all_whole(tmp_path: Path) -> None:
    path = change_policy(tmp_path / "policy.json", "0.5")
    policy = PolicyFile(path, PLAIN)
    problems: list[BaseException] = []

    def change(first: int) -> None:
        try:
            for value in range(first, first + 20):
                policy.change(f"0.{value}")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=change, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == [] and len(history_of(path)) == 61
    policy.look()
    assert history_of(path)[-1]["new"] == policy.text
