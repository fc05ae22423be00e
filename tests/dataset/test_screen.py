"""Screening bands and hand-picked examples, against the paper's own sums."""

import numpy as np
import pytest
from astropy.table import Table

from realbogus.dataset.screen import bands, hand_picked
from realbogus.errors import InputError
from realbogus.stamps import StampSet


def stamps(labels, kinds):
    count = len(labels)
    rows = Table({"id": range(count), "noise": [1.0] * count, "fwhm": [3.0] * count, "label": labels, "kind": kinds})
    return StampSet(np.zeros((count, 1, 16, 16), np.float32), rows)


def paper_scores():
    rng = np.random.default_rng(0)
    parts = [rng.uniform(0, 0.199, 168_689), rng.uniform(0.2, 0.9, 9_994), rng.uniform(0.901, 1, 11_317)]
    return rng.permutation(np.concatenate(parts))


def test_the_papers_sums_come_out():
    scores = paper_scores()
    names, counts = np.unique(bands(scores), return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"hard": 11_317, "keep": 168_689, "review": 9_994}


def test_nobody_picks_the_lone_residual_of_a_star():
    kinds = ["star", "hot", "dipole", "star", "cosmic", "variable"]
    picked = hand_picked(stamps([0, 0, 0, 0, 0, 1], kinds), np.random.default_rng(1), 3, recognised=0.0)
    assert picked.tolist() == [1, 2, 4]


def test_only_a_share_of_the_lookalikes_is_recognised():
    many = stamps([0] * 2000, ["star", "hot"] * 1000)
    for share in (0.0, 0.3, 1.0):
        clear = 1000 + round(1000 * share)
        picked = hand_picked(many, np.random.default_rng(2), 900, recognised=share)
        stars = (np.asarray(many.catalogue["kind"])[picked] == "star").mean()
        assert stars == pytest.approx(1000 * share / clear, abs=0.05)
    with pytest.raises(InputError, match="recognise lies in 0 to 1"):
        hand_picked(many, np.random.default_rng(2), 10, recognised=1.5)


def test_picking_is_seeded_and_without_repetition():
    many = stamps([0] * 50, ["hot"] * 50)
    first, again = (hand_picked(many, np.random.default_rng(3), 20) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert len(set(first.tolist())) == 20


def test_where_few_are_clear_all_of_them_are_picked():
    few = stamps([0, 0, 0, 1, 0], ["hot", "hot", "hot", "variable", "star"])
    assert hand_picked(few, np.random.default_rng(0), 4, recognised=0.0).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="clear bogus"):
        hand_picked(few, np.random.default_rng(0), 0, recognised=0.0)
    with pytest.raises(InputError, match="clear bogus"):
        hand_picked(stamps([0, 1], ["star", "variable"]), np.random.default_rng(0), 1, recognised=0.0)


def test_bad_scores_and_limits_are_refused():
    with pytest.raises(InputError, match="not finite"):
        bands([0.1, np.nan])
    with pytest.raises(InputError, match="low <= high"):
        bands([0.1], 0.9, 0.2)
