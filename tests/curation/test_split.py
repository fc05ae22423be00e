"""Splits keep groups together, refuse leakage, and count what it would be."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from realbogus.curation.parts import read_split, save_split, shared_table
from realbogus.curation.split import leakage, nights, split
from realbogus.errors import ConfigError, InputError, UnknownNameError
from realbogus.stamps import IGNORE, StampSet


@pytest.fixture
def archive() -> StampSet:
    """1,200 rows: 10 fields of 12 sources, seen in 10 nights; pixels are of no interest."""
    field, source, night = (part.ravel() for part in np.meshgrid(*map(np.arange, (10, 12, 10)), indexing="ij"))
    count = len(field)
    rows = Table({"id": [f"r{k}" for k in range(count)], "noise": np.ones(count), "fwhm": np.full(count, 3.0)})
    rows["field"], rows["source"] = [f"f{k}" for k in field], [f"f{f}s{s}" for f, s in zip(field, source, strict=True)]
    rows["mjd"] = 60000.4 + night + 0.01 * field
    rows["label"] = (source % 4 == 0).astype(int)
    return StampSet(np.zeros((count, 1, 64, 64), np.float32), rows)


def sides_of(values, side) -> int:
    """How many values lie on more than one side."""
    return sum(len(set(side[values == value]) - {""}) > 1 for value in np.unique(values))


@pytest.mark.parametrize("by", ["source", "field"])
def test_groups_stay_together(archive, by):
    parts = split(archive, by, seed=3)
    assert sides_of(np.asarray(archive.catalogue[by]), parts.side) == 0
    assert parts.shared["source"] == (0, len(parts.rows("test")))
    shares = [len(parts.rows(name)) / 1200 for name in ("train", "valid", "test")]
    assert np.allclose(shares, (0.7, 0.1, 0.2), atol=0.11)
    assert split(archive, by, seed=3).side.tolist() == parts.side.tolist()


@pytest.mark.parametrize("by", ["stamp", "night", "time"])
def test_a_source_on_two_sides_is_refused_unless_allowed(archive, by):
    with pytest.raises(InputError, match=r"of 120 sources lie on two sides \(.*--allow-leakage"):
        split(archive, by)
    parts = split(archive, by, allow_leakage=True)
    shared, test = parts.shared["source"]
    # counted by hand
    train = set(np.asarray(archive.catalogue["source"])[parts.side == "train"])
    assert shared == sum(name in train for name in np.asarray(archive.catalogue["source"])[parts.side == "test"])
    assert shared > 0.9 * test


def test_time_goes_forward(archive):
    parts = split(archive, "time", allow_leakage=True)
    mjd = np.asarray(archive.catalogue["mjd"])
    ends = [mjd[parts.rows(name)] for name in ("train", "valid", "test")]
    assert ends[0].max() < ends[1].min()
    assert ends[1].max() < ends[2].min()
    assert [len(part) for part in ends] == pytest.approx([840, 120, 240], abs=13)  # what is of one moment is together


def test_nights_are_parted_by_six_hours(archive):
    found = nights(archive.catalogue)
    assert len(set(found)) == 10
    parts = split(archive, "night", allow_leakage=True)
    assert sides_of(found, parts.side) == 0
    assert parts.shared["night"][0] == 0
    assert nights(Table({"id": ["a", "b"], "night": ["n1", "n2"]})).tolist() == ["n1", "n2"]


def test_rows_without_a_label_are_on_no_side(archive):
    archive.catalogue["label"][:7] = IGNORE
    parts = split(archive, "source")
    assert parts.side[:7].tolist() == [""] * 7
    assert (parts.side[7:] != "").all()


def test_leakage_by_hand():
    rows = Table({"id": list("abcde"), "source": ["s", "t", "s", "u", ""], "frame": ["1", "1", "2", "2", "1"]})
    found = leakage(rows, np.array(["train", "train", "test", "test", "test"]))
    assert found == {"source": (1, 3), "frame": (1, 3)}


def test_the_table_is_read_back_for_these_stamps_alone(archive, tmp_path):
    parts = split(archive, "source")
    small = archive.select(np.flatnonzero(parts.side != "")[:60])
    few = split(small, "stamp", allow_leakage=True)
    written = save_split(few, small, tmp_path, "text")
    assert [path.name for path in written] == ["split.parquet", "train", "valid", "test"]
    back = read_split(tmp_path / "split.parquet", small)
    assert back.test.tolist() == few.rows("test").tolist()
    loaded = StampSet.load(tmp_path / "test")
    assert loaded.catalogue["id"].tolist() == small.catalogue["id"][back.test].tolist()
    with pytest.raises(InputError, match="no split of these"):
        read_split(tmp_path / "split.parquet", archive)


def test_the_looser_split_shares_more(archive):
    looser, stricter = split(archive, "stamp", allow_leakage=True), split(archive, "field")
    rows = {row[0]: row[1:] for row in shared_table(looser, stricter).rows}
    assert rows["source"][0] > 200
    assert rows["source"][2] == 0


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({}, {"by": "galaxy"}, UnknownNameError, "known are field, night, source, stamp, time"),
        ({}, {"fractions": (0.5, 0.5, 0.5)}, ConfigError, "sum to 1"),
        ({}, {"fractions": (np.nan, 0.5, 0.5)}, ConfigError, "sum to 1"),
        ({"label": 1}, {}, InputError, "0 bogus"),
        ({"label": IGNORE}, {}, InputError, "nothing to split"),
        ({"mjd": np.nan}, {"by": "time"}, InputError, "1200 of 1200 rows have no time"),
        ({"field": ""}, {"by": "field"}, InputError, "no values in a column 'field'"),
        ({"source": ""}, {"by": "stamp"}, InputError, "names no `source`"),
    ],
)
def test_what_cannot_be_split_is_said(archive, change, options, error, words):
    for name, value in change.items():
        archive.catalogue[name] = value
    with pytest.raises(error, match=words):
        split(archive, **options)


def test_an_empty_column_of_nights_is_no_column(archive):
    """`adapt` writes one for every set, null where no night is known."""
    archive.catalogue["night"] = MaskedColumn(["" for _ in range(len(archive))], mask=True)
    by_night = split(archive, "night", fractions=(0.6, 0.2, 0.2), allow_leakage=True)
    assert by_night.shared["night"][0] == 0 and len(np.unique(nights(archive.catalogue))) == 10
    assert split(archive, "source").shared["source"][0] == 0


def test_sides_of_an_earlier_split_do_not_stay(archive, tmp_path):
    save_split(split(archive, "source", fractions=(0.6, 0.2, 0.2)), archive, tmp_path, "")
    assert (tmp_path / "valid").exists()
    save_split(split(archive, "source", fractions=(0.8, 0.0, 0.2), seed=1), archive, tmp_path, "")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["test", "train"]
    save_split(split(archive, "source", fractions=(0.8, 0.0, 0.2), seed=1), archive, tmp_path, "", sets=False)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
