"""In which order stamps come, and which of them twice."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from realbogus.errors import ConfigError, InputError, UnknownNameError
from realbogus.vetting.orders import GAP, ORDERS, Given, counted, ordered, queue

IDS = [f"s{k}" for k in range(300)]


def given(seed: int = 0, counts: list[list[int]] | None = None, **columns: object) -> Given:
    rows = Table({"id": list("abcd"), **columns})
    return Given(rows, np.array(counts or [[0, 0, 0]] * 4), np.random.default_rng(seed))


def test_scores_best_first_and_unscored_last():
    scores = MaskedColumn([0.2, 0.9, 0.0, 0.5], mask=[False, False, True, False])
    assert ordered("score", given(score=scores)).tolist() == [1, 3, 0, 2]


def test_uncertain_is_what_lies_near_the_line():
    assert ordered("uncertainty", given(score=[0.2, 0.9, 0.55, 0.4])).tolist() == [2, 3, 0, 1]
    assert ordered("uncertainty", given(score=[0.2, 0.9, 0.55, 0.4], threshold=[0.9] * 4)).tolist() == [1, 2, 3, 0]


def test_disputed_is_what_vetters_say_differently():
    counts = [[2, 0, 0], [1, 1, 0], [3, 1, 0], [0, 0, 0]]
    assert ordered("disagreement", given(counts=counts)).tolist()[:2] == [1, 2]


def test_chance_is_seeded():
    first = [ordered("random", given(seed)).tolist() for seed in (1, 1, 2, 3, 4)]
    assert first[0] == first[1]
    assert len({tuple(order) for order in first}) > 1


@pytest.mark.parametrize("order", ["score", "uncertainty"])
@pytest.mark.parametrize("columns", [{}, {"score": [np.nan] * 4}])
def test_an_order_without_its_column_says_so(order, columns):
    with pytest.raises(InputError, match="choose another order"):
        ordered(order, given(**columns))


def test_an_unknown_order_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="disagreement, random, score, set, uncertainty"):
        ordered("beauty", given())


@pytest.mark.parametrize("order", list(ORDERS))
def test_every_order_shows_everything_once(order):
    rows = ordered(order, given(score=[0.1, 0.1, 0.1, 0.1]))
    assert sorted(rows.tolist()) == [0, 1, 2, 3]


def test_repeats_come_later_and_tell_nothing():
    shown = queue(np.arange(300)[::-1], IDS, "ann", repeats=0.1, seed=7, salt="x")
    first = {showing.id: place for place, showing in enumerate(shown) if not showing.repeat}
    again = {showing.id: place for place, showing in enumerate(shown) if showing.repeat}
    assert len(first) == 300 and len(again) == 30
    assert all(again[name] - first[name] >= GAP for name in again)
    assert len({showing.show for showing in shown}) == 330
    assert [showing.id for showing in shown if not showing.repeat] == IDS[::-1]


def test_vetters_have_repeats_of_their_own_and_the_same_again():
    def repeated(vetter: str, order: int = 1) -> list[str]:
        return [s.id for s in queue(np.arange(300)[::order], IDS, vetter, repeats=0.1, seed=7) if s.repeat]

    assert repeated("ann") == repeated("ann")
    assert repeated("ann") != repeated("ben")


def test_a_showing_has_the_same_word_in_every_order():
    words = [
        {(s.id, s.repeat): s.show for s in queue(np.arange(300)[::step], IDS, "ann", repeats=0.1, seed=7)}
        for step in (1, -1)
    ]
    assert all(words[1][place] == word for place, word in words[0].items() if place in words[1])


@pytest.mark.parametrize("count", [1, GAP, GAP + 1])
def test_small_sets(count):
    shown = queue(np.arange(count), IDS, "ann", repeats=1.0, seed=7)
    assert len(shown) == count + max(count - GAP, 0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share):
    with pytest.raises(ConfigError, match="share of stamps"):
        queue(np.arange(5), IDS, "ann", repeats=share, seed=0)


def test_counts_pass_over_strangers():
    found = counted({"a": 0, "b": 1}, [("a", "real"), ("a", "unsure"), ("b", "bogus"), ("z", "real")])
    assert found.tolist() == [[1, 0, 1], [0, 1, 0]]
