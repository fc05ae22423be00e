"""Consensus, vetters and the report, against crowd-kit and against known truth."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import pytest
from ballots import say
from rich.console import Console

from realbogus.errors import InputError
from realbogus.stamps import IGNORE, UNLABELLED
from realbogus.vetting.consensus import consensus, dawid_skene
from realbogus.vetting.report import markdown, print_report, summary, write_report
from realbogus.vetting.vetters import vetter_reports
from realbogus.vetting.votes import Vote

#: Chance that a vetter calls a real one real, and a bogus one bogus.
SKILLS = {"anna": (0.95, 0.97), "ben": (0.85, 0.92), "chen": (0.70, 0.90), "dora": (0.72, 0.75), "emil": (0.0, 1.0)}


def simulated(count: int = 600, seed: int = 0, skills=SKILLS) -> tuple[np.ndarray, list[Vote]]:
    """Truth, and the votes of vetters of known skill on it."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.35
    votes = []
    for name, (sensitivity, specificity) in skills.items():
        right = rng.random(count) < np.where(truth, sensitivity, specificity)
        said = np.where(right, truth, ~truth)
        votes += [say(name, f"s{k}", "real" if real else "bogus") for k, real in enumerate(said)]
    return truth, votes


def sparse(seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes of six vetters on 40 stamps, not each on each."""
    rng = np.random.default_rng(seed)
    truth, stamp, vetter = rng.random(40) < 0.4, *(index.ravel() for index in np.mgrid[:40, :6])
    chosen = rng.random(240) < 0.7
    stamp, vetter = stamp[chosen], vetter[chosen]
    right = rng.random(len(stamp)) < np.array([0.95, 0.9, 0.85, 0.8, 0.7, 0.6])[vetter]
    return stamp, vetter, np.where(right, truth[stamp], ~truth[stamp])


def test_crowd_kit_finds_the_same():
    """Numbers of crowd-kit 1.4.2, DawidSkene(n_iter=2000, tol=-1.0) on `sparse()`; asked where it is installed."""
    stamp, vetter, real = sparse()
    found = dawid_skene(stamp, vetter, real, stamps=40, vetters=6, prior=(0, 0), rounds=2000)
    theirs = {
        "prevalence": 0.235655,
        "right": [
            [1.0, 1.0],
            [1.0, 1.0],
            [0.788808, 0.330037],
            [0.677565, 0.835062],
            [0.603033, 0.0],
            [0.791944, 0.615215],
        ],
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandas as pd
            from crowdkit.aggregation.classification.dawid_skene import DawidSkene

            model = DawidSkene(n_iter=2000, tol=-1.0)
            model.fit(pd.DataFrame({"task": stamp, "worker": vetter, "label": real.astype(int)}))
            errors = model.errors_.sort_index()
            theirs = {
                "prevalence": model.priors_[1],
                "right": [[errors.loc[(v, k), k] for k in (0, 1)] for v in range(6)],
            }
            np.testing.assert_allclose(found.probability, model.probas_.sort_index()[1].to_numpy(), atol=1e-4)
    except ImportError:
        pass
    assert found.prevalence == pytest.approx(theirs["prevalence"], abs=1e-4)
    np.testing.assert_allclose(np.diagonal(found.confusion, axis1=1, axis2=2), theirs["right"], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_consensus_beats_the_majority_and_the_report_names_the_bad_one(seed):
    """The point of it all: five vetters of known skill, one of whom calls everything bogus."""
    truth, votes = simulated(seed=seed)
    found = consensus(votes, [f"s{k}" for k in range(len(truth))])
    right = {name: float((np.asarray(found.table[name]) == truth).mean()) for name in ("label", "majority")}
    assert right["label"] > right["majority"] + 0.02
    assert right["label"] > 0.94
    reports = vetter_reports(votes, found)
    assert summary(found, reports)["bad"] == ["emil"]
    for report in reports:
        sensitivity, specificity = SKILLS[report.name]
        assert report.sensitivity == pytest.approx(sensitivity, abs=0.08)  # 2.5 standard errors of 210 reals
        assert report.specificity == pytest.approx(specificity, abs=0.05)
    emil = next(report for report in reports if report.name == "emil")
    assert emil.remarks == ("calls everything bogus",) and emil.bogus == 600


def test_probabilities_mean_what_they_say():
    truth, votes = simulated(3000, seed=9)
    probability = np.asarray(consensus(votes, [f"s{k}" for k in range(3000)]).table["probability"])
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        inside = (probability >= low) & (probability <= high)
        assert abs(truth[inside].mean() - probability[inside].mean()) < 0.06


def test_who_is_always_wrong_is_turned_round_and_named():
    skills = SKILLS | {"emil": (0.1, 0.1)}
    truth, votes = simulated(skills=skills)
    found = consensus(votes, [f"s{k}" for k in range(len(truth))])
    assert (np.asarray(found.table["label"]) == truth).mean() > 0.95
    emil = next(report for report in vetter_reports(votes, found) if report.name == "emil")
    assert emil.bad and emil.remarks == ("says the opposite of the others",)


def test_a_coin_is_named():
    _, votes = simulated(skills=SKILLS | {"emil": (0.5, 0.5)})
    (emil,) = [r for r in vetter_reports(votes, consensus(votes)) if r.name == "emil"]
    assert emil.bad and emil.remarks == ("no better than chance",)


def test_repeats_undo_and_drift():
    truth, votes = simulated(200)
    tired = [  # ben answers as the truth has it for half of the time, and bogus from then on
        say("ben", f"s{k}", "real" if real and k < 100 else "bogus") for k, real in enumerate(truth)
    ]
    votes = [vote for vote in votes if vote.vetter in ("anna", "chen", "dora")] + tired
    votes += [say("anna", f"s{k}", "unsure", repeat=True) for k in range(10)]
    votes += [say("dora", "s0", "real", key="x"), say("dora", "s0", "real", key="y", undo="x")]
    reports = {report.name: report for report in vetter_reports(votes, consensus(votes))}
    assert (reports["anna"].repeats, reports["anna"].same) == (10, 0)
    assert "answered 10 of 10 repeats otherwise than at first" in reports["anna"].remarks
    assert reports["dora"].undone == 1 and reports["dora"].repeats == 0
    assert any(remark.startswith("got worse") for remark in reports["ben"].remarks)
    assert reports["ben"].drift[0] > reports["ben"].drift[-1] + 0.1
    assert not any("got" in remark for name in ("anna", "chen", "dora") for remark in reports[name].remarks)


def test_a_repeat_is_no_second_vote():
    votes = [say("ann", "a", "real"), say("ben", "a", "bogus")]
    again = [*votes, say("ann", "a", "real", repeat=True)]
    assert consensus(votes).table["probability"][0] == consensus(again).table["probability"][0]
    assert consensus(again).table["votes_real"][0] == 1


def test_stamps_without_a_decision():
    votes = [say("ann", "a", "unsure"), say("ann", "b", "real"), say("ben", "b", "bogus"), say("ann", "zzz", "real")]
    found = consensus(votes, ["a", "b", "c"], min_confidence=0.99)
    assert found.table["label"].tolist() == [IGNORE, IGNORE, UNLABELLED]
    assert found.table["majority"].tolist() == [IGNORE, IGNORE, UNLABELLED]
    assert np.isnan(found.table["probability"][2])
    assert found.strangers == 1


def test_nobody_and_one():
    assert consensus([], ["a"]).table["label"].tolist() == [UNLABELLED]
    with pytest.raises(InputError, match="nobody has voted"):
        dawid_skene(np.array([], int), np.array([], int), np.array([], bool), stamps=3, vetters=0)
    with pytest.raises(InputError, match=r"between 0\.5 and 1"):
        consensus([], ["a"], min_confidence=0.2)
    votes = [say("ann", f"s{k}", "real" if k % 2 else "bogus") for k in range(40)]
    found = consensus(votes)
    (report,) = vetter_reports(votes, found)
    assert not report.bad and report.remarks == ("too few votes beside others' to judge",)
    assert found.table["label"].tolist() == [k % 2 for k in range(40)]


def test_the_report_says_it_and_no_name_is_markup(tmp_path):
    votes = [vote for vote in simulated(120)[1] if vote.vetter != "emil"]
    votes += [say("[red]<b>|emil`", f"s{k}", "bogus") for k in range(120)]
    found = consensus(votes)
    reports = vetter_reports(votes, found)
    screen = io.StringIO()
    print_report(found, reports, Console(file=screen, width=80))
    assert "[red]<b>|emil`: calls everything bogus" in screen.getvalue()
    assert "bad: [red]<b>|emil`" in screen.getvalue()
    text = markdown(found, reports)
    assert "<b>" not in text and r"\|emil\`" in text
    paths = write_report(found, reports, tmp_path / "out")
    values = json.loads(paths[0].read_text())
    assert values["bad"] == ["[red]<b>|emil`"] and len(values["vetters"]) == 5
    assert paths[1].read_text() == text


@pytest.mark.parametrize("reals", [1, 10, 50, 90])
def test_a_lone_vetter_is_taken_at_his_word(reals):
    """One vote a stamp tells nothing of the vetter: rare calls must not be taken for errors."""
    votes = [say("ann", f"s{k}", "real" if k < reals else "bogus") for k in range(100)]
    found = consensus(votes).table
    assert found["label"].tolist() == found["majority"].tolist() == [int(k < reals) for k in range(100)]
    assert float(np.abs(found["confidence"] - 2 / 3).max()) < 1e-9  # the prior's, no more


def test_vetters_on_different_stamps_are_taken_at_their_word():
    votes = [say(name, f"{name}{k}", "real" if k < 8 else "bogus") for name in ("ann", "bob", "cho") for k in range(80)]
    found = consensus(votes).table
    assert found["label"].tolist() == found["majority"].tolist()


@pytest.mark.parametrize("shared", [1, 20, 60])
def test_stamps_with_one_vote_do_not_outweigh_those_with_two(shared):
    """Two who agree on some stamps, a tenth of them real, and look at a hundred more each alone."""
    votes = [
        say(name, f"both{k}", "real" if k % 10 == 0 else "bogus") for name in ("ann", "bob") for k in range(shared)
    ]
    votes += [say(name, f"{name}{k}", "real" if k < 10 else "bogus") for name in ("ann", "bob") for k in range(100)]
    found = consensus(votes).table
    assert found["label"].tolist() == found["majority"].tolist()
