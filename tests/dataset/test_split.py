"""Splits: every row once, the right shares, no source on two sides."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from realbogus.config import SplitConfig
from realbogus.dataset.split import Split, split
from realbogus.errors import InputError
from realbogus.stamps import StampSet


def catalogue(seed: int = 0, stars: int = 60, bogus: int = 2000) -> Table:
    """Variables seen 1 to 30 times, and bogus that are each a source of their own."""
    rng = np.random.default_rng(seed)
    times = rng.integers(1, 31, stars)
    source = [f"star{i}" for i, n in enumerate(times) for _ in range(n)] + [f"b{i}" for i in range(bogus)]
    label = [1] * int(times.sum()) + [0] * bogus
    order = rng.permutation(len(label))
    return Table({"source": np.array(source)[order], "label": np.array(label)[order]})


def rows_of(parts: Split) -> list[int]:
    return sorted([*parts.train, *parts.valid, *parts.test])


def test_no_source_on_two_sides_and_the_shares_hold_in_both_classes() -> None:
    table = catalogue()
    parts = split(table, rng=np.random.default_rng(1))
    assert rows_of(parts) == list(range(len(table)))
    sources = [set(table["source"][rows]) for rows in (parts.train, parts.valid, parts.test)]
    assert not (sources[0] & sources[1] or sources[0] & sources[2] or sources[1] & sources[2])
    for value in (0, 1):
        total = (table["label"] == value).sum()
        shares = [(table["label"][rows] == value).sum() / total for rows in (parts.train, parts.valid, parts.test)]
        np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.03)


def test_the_seed_decides() -> None:
    table = catalogue()
    one, same, other = (split(table, seed=seed) for seed in (3, 3, 4))
    assert one.test.tolist() == same.test.tolist() != other.test.tolist()
    assert split(table, rng=np.random.default_rng(3)).test.tolist() == one.test.tolist()


def test_the_papers_split_leaks_and_must_be_asked_for() -> None:
    table = catalogue()
    with pytest.raises(InputError, match=r"of 2060 sources on two sides.*allow_leakage"):
        split(table, SplitConfig(by="stamp"))
    parts = split(table, SplitConfig(by="stamp", allow_leakage=True))
    assert rows_of(parts) == list(range(len(table)))
    assert set(table["source"][parts.train]) & set(table["source"][parts.test])


def test_any_column_makes_groups_but_sources_must_not_be_torn() -> None:
    table = catalogue(bogus=200)
    table["frame"] = np.arange(len(table)) // 10
    with pytest.raises(InputError, match="split by 'frame' puts"):
        split(table, SplitConfig(by="frame"))
    del table["source"]
    parts = split(table, SplitConfig(by="frame"))
    assert not set(table["frame"][parts.train]) & set(table["frame"][parts.test])


def test_rows_without_a_source_stand_alone() -> None:
    source = MaskedColumn(["a", "a", "", "", "x", "x"] * 50, mask=[False, False, False, False, True, True] * 50)
    parts = split(Table({"source": source}), seed=2)
    assert rows_of(parts) == list(range(300))
    assert len(parts.valid) == 30  # the 100 of "a" together, the other 200 one by one


def test_a_set_may_stay_empty() -> None:
    parts = split(catalogue(), SplitConfig(fractions=(0.9, 0.1, 0.0)))
    assert len(parts.test) == 0
    assert len(parts.valid) > 0


def test_a_stamp_set_does_for_a_catalogue(toy_stamps: StampSet) -> None:
    assert split(toy_stamps).test.tolist() == split(toy_stamps.catalogue).test.tolist()


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (1.2, -0.1, -0.1)])
def test_impossible_fractions(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="must sum to 1"):
        split(catalogue(), SplitConfig(fractions=fractions))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="cannot split by 'source': the catalogue has the columns"):
        split(Table({"label": [0, 1]}))


@given(st.lists(st.integers(0, 12), min_size=0, max_size=80), st.integers(0, 3))
def test_always_every_row_once(sources: list[int], seed: int) -> None:
    table = Table({"source": np.array(sources, dtype=int)})
    parts = split(table, seed=seed)
    assert rows_of(parts) == list(range(len(sources)))
    side = {source: {k for k, rows in enumerate((parts.train, parts.valid, parts.test)) if i in rows}
            for i, source in enumerate(sources)}  # fmt: skip
    for i, source in enumerate(sources):
        assert side[source] == {k for k, rows in enumerate((parts.train, parts.valid, parts.test)) if i in rows}
