"""Breakdowns: every candidate in one bin, counts as counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from realbogus.errors import InputError
from realbogus.evaluation.breakdown import break_down, table_of

SCORES, LABELS = np.array([0.9, 0.2, 0.8, 0.1, 0.6]), np.array([1, 1, 0, 0, 1])


def counts(part) -> list[tuple]:
    return [(b.name, b.real, b.found, b.bogus, b.passed) for b in part.bins]


def test_kinds_by_name_and_unknown() -> None:
    kinds = np.ma.array(["star", "dipole", "dipole", " ", "star"], mask=[0, 0, 0, 0, 1])
    (part,) = break_down(SCORES, LABELS, 0.5, {"kind": kinds})
    assert counts(part) == [("dipole", 1, 0, 1, 1), ("star", 1, 1, 0, 0)]
    assert part.unknown == 2


def test_signs_of_snr_do_not_matter_and_nan_is_unknown() -> None:
    (part,) = break_down(SCORES, LABELS, 0.5, {"snr": [-6.0, 5.0, 7.0, np.nan, 60.0]})
    assert counts(part) == [("5 to 7", 2, 1, 0, 0), ("7 to 10", 0, 0, 1, 1), ("above 50", 1, 1, 0, 0)]
    assert part.unknown == 1
    assert part.bins[0].recall.value == 0.5
    assert np.isnan(part.bins[0].specificity.value)


@pytest.mark.parametrize(
    "values",
    [np.linspace(14.03, 21.9, 500), np.linspace(1.9, 4.1, 500), np.full(500, 2.5), np.linspace(-3e-4, 1e-4, 500)],
)
def test_round_edges_hold_everything(values: np.ndarray) -> None:
    labels = np.arange(500) % 2
    (part,) = break_down(np.full(500, 0.7), labels, 0.5, {"mag": values})
    assert part.unknown == 0
    assert sum(b.real + b.bogus for b in part.bins) == 500
    assert 1 <= len(part.bins) <= 8
    for b in part.bins:
        inside = (values >= b.low - 1e-12) & (values < b.high)
        assert b.real + b.bogus == pytest.approx(inside.sum(), abs=1)
        assert len(b.name) < 20


def test_one_outlier_does_not_ruin_the_bins() -> None:
    values = np.append(np.linspace(15, 19, 499), 40.0)
    (part,) = break_down(np.full(500, 0.7), np.arange(500) % 2, 0.5, {"mag": values})
    assert len(part.bins) >= 5
    assert (part.bins[-1].name, part.bins[-1].real + part.bins[-1].bogus) == ("above 19", 2)
    assert part.to_dict()["bins"][-1]["high"] is None


def test_seeing_is_preferred_to_pixels() -> None:
    columns = {"fwhm": [3.0] * 5, "seeing": [2.1] * 5, "mag": [np.nan] * 5, "other": [1] * 5}
    assert [part.column for part in break_down(SCORES, LABELS, 0.5, columns)] == ["seeing"]
    del columns["seeing"]
    assert [part.column for part in break_down(SCORES, LABELS, 0.5, columns)] == ["fwhm"]


def test_table_and_values() -> None:
    (part,) = break_down(SCORES, LABELS, 0.5, {"kind": ["a", "a", "b", "b", "a"]})
    assert table_of(part).to_markdown().splitlines()[2] == "| a | 3 | 2 | 66.7 [20.8, 93.9] | 0 | 0 | – |"
    values = part.to_dict()["bins"]
    assert [row["recall"] for row in values] == [pytest.approx(2 / 3), None]
    assert values[1]["specificity"] == 0.5
    assert values[0]["low"] is None


def test_other_lengths_are_named() -> None:
    with pytest.raises(InputError, match="column mag has shape"):
        break_down(SCORES, LABELS, 0.5, {"mag": [1.0, 2.0]})
    with pytest.raises(InputError, match="column kind has shape"):
        break_down(SCORES, LABELS, 0.5, {"kind": ["a"]})


def test_a_column_of_words_is_passed_over() -> None:
    """A card SEEING = '1.2 arcsec' has a unit that nobody knows; the pixels are there instead."""
    columns = {"seeing": ["1.2 arcsec"] * 5, "mag": np.array([b"17.2"] * 5), "fwhm": [2.0, 2.5, 3.0, 3.5, 4.0]}
    assert [part.column for part in break_down(SCORES, LABELS, 0.5, columns)] == ["fwhm"]
