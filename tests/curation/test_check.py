"""The operational check: the paper's numbers, weighted ones against the truth, and what people left open."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table
from scipy.stats import binomtest

from realbogus.curation.check import check, check_sample, save_check
from realbogus.curation.draw import STRATA, draw, save_sample
from realbogus.errors import InputError
from realbogus.stamps import IGNORE, UNLABELLED


def test_the_papers_five_thousand():
    called = np.repeat([True, True, False, False], [68, 9, 6, 4917])
    found = check(called, np.repeat([1, 0, 1, 0], [68, 9, 6, 4917]))
    assert [round(100 * part.value, 2) for part in (found.precision, found.recall, found.specificity)] \
        == [88.31, 91.89, 99.82]  # fmt: skip
    for part, k, n in ((found.precision, 68, 77), (found.recall, 68, 74), (found.specificity, 4917, 4926)):
        wilson = binomtest(k, n).proportion_ci(method="wilson")
        assert (part.low, part.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)
    assert "88.31" in found.report()
    assert "91.89" in found.report()
    assert "99.82" in found.report()


def test_strata_give_the_ratios_of_all_candidates_and_intervals_that_hold_them():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.03
    score = np.clip(rng.normal(0.75, 0.2, 20_000) * truth + rng.normal(0.15, 0.15, 20_000) * ~truth, 0, 1)
    called = score >= 0.5
    recall, precision = (called & truth).sum() / truth.sum(), (called & truth).sum() / called.sum()
    rows = Table({"id": [f"c{k}" for k in range(20_000)], "score": score})
    held, values = np.zeros(2), []
    for seed in range(20):
        table = draw(rows, 1500, strata=STRATA, seed=seed).table
        found = check(
            table["called"], truth[table["row"]].astype(int), weights=table["weight"], strata=table["stratum"],
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        assert found.weighted
        held += [
            found.recall.low <= recall <= found.recall.high,
            found.precision.low <= precision <= found.precision.high,
        ]
        values.append((found.recall.value, found.precision.value, found.estimated.total))
    assert np.mean(values, axis=0) == pytest.approx([recall, precision, 20_000], rel=0.03)
    assert (held >= 16).all()  # 95 % of 20 is 19


def test_who_did_not_decide_is_counted_apart():
    found = check([True] * 4 + [False] * 2, [1, 0, IGNORE, UNLABELLED, 1, 0])
    assert (found.counts.tp, found.counts.fp, found.counts.fn, found.counts.tn) == (1, 1, 1, 1)
    assert (found.undecided, found.missing) == (1, 1)
    assert "1 undecided or unsure, 1 not voted on" in found.report()


def test_missing_verdicts_are_stood_for_by_their_stratum():
    called, strata = [True] * 10 + [False] * 10, [1] * 10 + [0] * 10
    weights = [1.0] * 10 + [50.0] * 10
    truth = np.array([1] * 8 + [0] * 2 + [0] * 10)
    whole = check(called, truth, weights=weights, strata=strata)
    truth[[10, 11, 12, 13, 14]] = UNLABELLED
    half = check(called, truth, weights=weights, strata=strata)
    assert half.estimated.tn == whole.estimated.tn == 500
    assert half.specificity.value == pytest.approx(whole.specificity.value)


def test_what_is_not_there_is_not_known():
    found = check([False, False], [0, 0])
    assert np.isnan(found.precision.value)
    assert np.isnan(found.recall.value)
    assert found.to_dict()["recall"] == {"value": None, "low": None, "high": None}


def test_a_drawn_sample_goes_through(make_set, tmp_path):
    stamps = make_set(40, score=np.linspace(0, 1, 40))
    save_sample(draw(stamps.catalogue, 20, seed=1), stamps, tmp_path)
    names = [f"c{k:03d}" for k in range(40)]
    said = Table({"id": names, "label": [int(k >= 20) for k in range(40)]})
    found = check_sample(tmp_path, said)
    assert found.counts.fp == found.counts.fn == 0
    assert found.strangers == 20  # 40 verdicts on 20 stamps
    save_check(found, tmp_path)
    assert {"figure7.png", "figure7.pdf", "result.md", "result.json"} <= {path.name for path in tmp_path.iterdir()}
    assert json.loads((tmp_path / "result.json").read_text())["counts"]["tp"] == found.counts.tp
    with pytest.raises(InputError, match="lack label"):
        check_sample(tmp_path, Table({"id": ["a"]}))
    with pytest.raises(InputError, match="twice"):
        check_sample(tmp_path, Table({"id": ["a", "a"], "label": [1, 1]}))
    with pytest.raises(InputError, match="holds no sample"):
        check_sample(tmp_path / "nothing", said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([True], [1, 0]), "expected one each"),
        (([True], [3]), "verdict 3"),
        (([True], [IGNORE]), "1 are undecided"),
        (([], []), "of 0 drawn stamps"),
    ],
)
def test_what_cannot_be_checked_is_said(arguments, words):
    with pytest.raises(InputError, match=words):
        check(*arguments)


def test_what_was_not_seen_in_a_stratum_is_not_ruled_out():
    # 25 of 400 looked at in the low stratum, none of them real: the recall is not sure to be 100 %
    called, strata = [False] * 25 + [True] * 25, [0] * 25 + [1] * 25
    found = check(called, [0] * 25 + [1] * 25, weights=[16.0] * 25 + [2.0] * 25, strata=strata)
    assert found.recall.value == found.recall.high == 1.0
    assert found.recall.low < 0.85


def test_a_stratum_of_which_nothing_is_known_is_no_zero():
    with pytest.raises(InputError, match=r"of the strata \[1\] not one stamp is decided"):
        check([True, False], [UNLABELLED, 0], weights=[1.0, 9.0], strata=[1, 0])
    with pytest.raises(InputError, match="above 0"):
        check([True, False], [1, 0], weights=[np.nan, 1.0])
