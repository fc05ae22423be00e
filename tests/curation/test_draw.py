"""The sample of the operational check: fair, blind, and standing for all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from realbogus.curation.draw import STRATA, draw, save_sample
from realbogus.errors import ConfigError, InputError
from realbogus.stamps import StampSet
from realbogus.tables import read_parquet


def candidates(count: int = 2000, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    rows = Table({"id": [f"c{k}" for k in range(count)], "score": rng.beta(0.3, 3, count)})
    rows["threshold"] = 0.6
    return rows


def test_weights_sum_to_the_candidates_and_give_back_their_mean():
    rows = candidates()
    for strata in ((), STRATA):
        sample = draw(rows, 400, strata=strata, seed=1)
        assert len(sample.table) == 400
        assert sample.table["weight"].sum() == pytest.approx(2000)
        assert len(set(sample.table["id"])) == 400
        mean = np.average(sample.table["score"], weights=sample.table["weight"])
        assert mean == pytest.approx(rows["score"].mean(), abs=0.02)
    high = [(draw(rows, 400, strata=strata).table["score"] > 0.5).sum() for strata in ((), STRATA)]
    assert high[1] > 3 * high[0]  # strata put the eyes where the score is high


def test_a_small_stratum_is_drawn_whole():
    rows = Table({"id": [f"c{k}" for k in range(103)], "score": [0.95] * 3 + [0.05] * 100})
    sample = draw(rows, 20, strata=STRATA)
    high = sample.table["score"] > 0.9
    assert high.sum() == 3
    assert set(sample.table["weight"][high]) == {1.0}
    assert sample.table["weight"].sum() == pytest.approx(103)


def test_what_has_no_score_and_what_was_injected_is_not_drawn():
    rows = candidates(10)
    rows["score"] = MaskedColumn(rows["score"], mask=[True] + [False] * 9)
    rows["injected"] = [False] * 8 + [True] * 2
    sample = draw(rows, 100)
    assert sorted(sample.table["id"]) == [f"c{k}" for k in range(1, 8)]
    assert (sample.candidates, sample.unscored) == (8, 1)


def test_the_threshold_is_the_nights_and_equal_is_real():
    rows = Table({"id": ["a", "b"], "score": [0.6, 0.59], "threshold": [0.6, 0.6]})
    table = draw(rows, 2).table
    assert dict(zip(table["id"], table["called"], strict=True)) == {"a": True, "b": False}
    assert draw(rows, 2, threshold=0.5).table["called"].all()


def test_the_set_to_vet_tells_nothing(make_set, tmp_path):
    stamps = make_set(30, score=np.linspace(0, 1, 30), real=[True] * 30, label=[1] * 30, rank=range(30), snr=range(30))
    sample = draw(stamps.catalogue, 12, seed=2)
    save_sample(sample, stamps, tmp_path)
    shown = StampSet.load(tmp_path / "sample")
    assert not {"score", "real", "label", "rank"} & set(shown.catalogue.colnames)
    assert "snr" in shown.catalogue.colnames
    rows = np.asarray(sample.table["row"])
    assert np.array_equal(shown.pixels, stamps.pixels[rows])
    assert rows.tolist() != sorted(rows)  # nor does the order
    kept = read_parquet(tmp_path / "draw.parquet")
    assert kept["id"].tolist() == shown.catalogue["id"].tolist()
    assert json.loads((tmp_path / "draw.json").read_text())["drawn"] == 12


@pytest.mark.parametrize(
    ("table", "options", "error", "words"),
    [
        (Table({"id": ["a"]}), {"count": 1}, InputError, "none of 1 candidates has a score"),
        (candidates(5), {"count": 0}, ConfigError, "at least 1"),
        (candidates(5), {"count": 1, "strata": [0.5, 0.1]}, ConfigError, "rising"),
        (candidates(5), {"count": 1, "threshold": 2.0}, ConfigError, "threshold 2"),
        (Table({"id": ["a", "a"], "score": [0.1, 0.2]}), {"count": 1}, InputError, "not unique"),
        (Table({"id": ["a"], "score": [3.0]}), {"count": 1}, InputError, "outside 0 to 1"),
        (Table({"id": ["a", "b"], "score": [0.1, 0.2], "threshold": [0.1, 0.2]}), {"count": 1}, InputError, "name one"),
    ],
)
def test_what_cannot_be_drawn_is_said(table, options, error, words):
    with pytest.raises(error, match=words):
        draw(table, **options)
