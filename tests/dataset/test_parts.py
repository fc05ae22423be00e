"""Sets made part by part: what was there before a kill is there after it, and nothing is mixed."""

import numpy as np
import pytest
from astropy.table import Table

from realbogus.dataset.parts import PartStore
from realbogus.errors import InputError, OutputError
from realbogus.stamps import StampSet


def part(start, count):
    pixels = np.random.default_rng(start).normal(size=(count, 2, 16, 16)).astype(np.float32)
    rows = Table({"id": [f"r{start + k}" for k in range(count)], "noise": [1.0] * count, "fwhm": [3.0] * count})
    return StampSet(pixels, rows, ("difference", "science"))


def test_parts_join_in_the_order_asked_for(tmp_path):
    store = PartStore(tmp_path / "set", {"seed": 1})
    first, second = part(0, 3), part(3, 1500)
    store.put("b", second)
    store.put("a", first)
    whole = store.join(["a", "b"])
    assert np.array_equal(whole.pixels, np.concatenate([first.pixels, second.pixels]))
    assert list(whole.catalogue["id"]) == [f"r{k}" for k in range(1503)]
    assert whole.provenance["seed"] == 1
    assert not list((tmp_path / "set").rglob("*.part"))


def test_a_second_start_finds_what_was_kept(tmp_path):
    PartStore(tmp_path, {"seed": 1}).put("a", part(0, 2))
    (tmp_path / "parts" / "b.part").mkdir()  # killed while b was written
    again = PartStore(tmp_path, {"seed": 1})
    assert again.has("a")
    assert not again.has("b")
    assert again.whole() is None
    again.put("b", part(2, 2))
    assert len(again.join(["a", "b"])) == 4
    assert len(PartStore(tmp_path, {"seed": 1}).whole()) == 4


def test_a_kill_while_joining_costs_nothing(tmp_path, monkeypatch):
    store = PartStore(tmp_path, {"seed": 1})
    store.put("a", part(0, 2))

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("realbogus.dataset.parts.write_parquet", die)
        store.join(["a"])
    again = PartStore(tmp_path, {"seed": 1})
    assert again.whole() is None
    assert list(again.join(["a"]).catalogue["id"]) == ["r0", "r1"]


def test_another_set_is_refused(tmp_path):
    PartStore(tmp_path / "mine", {"seed": 1})
    with pytest.raises(InputError, match="begun as another set"):
        PartStore(tmp_path / "mine", {"seed": 2})
    part(0, 2).save(tmp_path / "stamps")
    with pytest.raises(InputError, match="holds other stamps"):
        PartStore(tmp_path / "stamps", {"seed": 1})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        PartStore(tmp_path / "file", {"seed": 1})
