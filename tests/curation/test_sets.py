"""Sets are written whole, and nothing of anybody else's is replaced."""

from __future__ import annotations

import numpy as np
import pytest

from realbogus.curation.sets import check_apart, open_stamps, write_set
from realbogus.errors import InputError, OutputError
from realbogus.stamps import StampSet
from realbogus.tables import write_parquet


def test_rows_of_several_sets_in_blocks(make_set, tmp_path, monkeypatch):
    monkeypatch.setattr("realbogus.curation.sets._BLOCK", 3)
    first, second = make_set(8), make_set(5, seed=1)
    rows = [np.array([7, 0, 3, 3, 1]), np.array([4])]
    catalogue = first.catalogue[[0] * 6]
    made = write_set(tmp_path / "s", [(first, rows[0]), (second, rows[1])], catalogue, ["difference"], {"origin": "t"})
    assert np.array_equal(made.pixels, np.concatenate([first.pixels[rows[0]], second.pixels[rows[1]]]))
    assert len(StampSet.load(tmp_path / "s")) == 6


def test_an_earlier_set_of_the_same_tool_is_replaced_and_votes_never(make_set, tmp_path):
    stamps, rows = make_set(2), np.arange(2)
    for _ in range(2):
        write_set(tmp_path / "s", [(stamps, rows)], stamps.catalogue, ["difference"], {"origin": "screen"})
    with pytest.raises(OutputError, match="a set of another tool"):
        write_set(tmp_path / "s", [(stamps, rows)], stamps.catalogue, ["difference"], {"origin": "audit"})
    (tmp_path / "s" / "votes.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match=r"holds votes\.jsonl, which would be lost"):
        write_set(tmp_path / "s", [(stamps, rows)], stamps.catalogue, ["difference"], {"origin": "screen"})
    assert (tmp_path / "s" / "votes.jsonl").exists()


def test_a_row_a_stamp(make_set, tmp_path):
    stamps = make_set(2)
    with pytest.raises(InputError, match="1 stamps"):
        write_set(tmp_path / "s", [(stamps, np.array([0]))], stamps.catalogue, ["difference"], {"origin": "t"})
    with pytest.raises(InputError, match="lacks"):
        write_set(tmp_path / "s", [(stamps, np.arange(2))], stamps.catalogue, ["science"], {"origin": "t"})


def test_outputs_never_meet_inputs(tmp_path):
    for out, given in (("a", "a"), ("a/b", "a"), ("a", "a/b")):
        with pytest.raises(OutputError, match="which is read"):
            check_apart(tmp_path / out, [tmp_path / given])
    assert check_apart(tmp_path / "ab", [tmp_path / "a"]) == tmp_path / "ab"


def test_a_night_is_opened_by_its_folder(make_set, tmp_path):
    stamps = make_set(2)
    stamps.save(tmp_path / "stamps")
    write_parquet(stamps.catalogue, tmp_path / "candidates.parquet")
    assert len(open_stamps(tmp_path)) == 2
    with pytest.raises(InputError, match="no readable stamp set"):
        open_stamps(tmp_path / "nothing")
