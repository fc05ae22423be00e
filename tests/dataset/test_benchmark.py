"""The benchmark data: exact counts, the same rows however it is made, and known again elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from realbogus.config import SplitConfig
from realbogus.dataset import benchmark
from realbogus.dataset.benchmark import SCALES, benchmark_stamps, excluded_stamps
from realbogus.dataset.fingerprint import differences, fingerprint, recorded
from realbogus.dataset.look import look
from realbogus.dataset.split import split
from realbogus.dataset.survey import field_stamps, pick_reals
from realbogus.errors import InputError, OutputError, UnknownNameError
from realbogus.files import FolderLock
from realbogus.images.simulate.causes import KINDS

TINY = replace(SCALES.resolve("smoke"), name="tiny", fields=2, bogus=9, reals=4, variables=2, cap=3, epochs=1, size=352)


@pytest.fixture(scope="module")
def tiny():
    return benchmark_stamps(TINY)


def same(one, other):
    rows = [[tuple(map(str, row)) for row in part.catalogue] for part in (one, other)]
    return rows[0] == rows[1] and np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize(
    ("name", "bogus", "reals", "variables"),
    [("smoke", 400, 80, 32), ("small", 20_000, 600, 127), ("paper", 190_000, 3_000, 127)],
)
def test_plans_add_up_to_the_scale(name, bogus, reals, variables):
    plans = SCALES.resolve(name).plans()
    assert sum(plan.bogus for plan in plans) == bogus
    assert sum(plan.reals for plan in plans) == reals
    assert sum(plan.variables for plan in plans) == variables
    assert len({plan.seed for plan in plans}) == len(plans) == len({plan.name for plan in plans})
    assert all(plan.variables * plan.cap >= plan.reals for plan in plans)


def test_scales_share_no_seed():
    assert len({SCALES.resolve(name).seed for name in SCALES}) == len(SCALES)


def test_a_set_has_the_rows_and_columns_that_were_promised(tiny):
    rows, labels = tiny.catalogue, tiny.labels
    assert (np.bincount(labels)).tolist() == [9, 4]
    assert tiny.channels == ("difference", "science", "reference")
    wanted = "id source field frame x y snr flux sign mag seeing noise fwhm label kind origin usable true_snr"
    assert set(wanted.split()) <= set(rows.colnames)
    assert len(set(rows["id"])) == len(rows)
    assert set(rows["kind"][labels == 0]) <= set(KINDS)
    assert set(rows["kind"][labels == 1]) <= {"variable", "transient"}
    assert len(set(rows["source"][labels == 1])) == 2
    assert np.isfinite(tiny.pixels).all()
    assert rows["usable"].all()


def test_reals_are_clear_and_in_the_middle_of_their_stamp(tiny):
    real = tiny.select(tiny.labels == 1)
    snr = np.asarray(real.catalogue["true_snr"])
    assert (np.abs(snr) >= TINY.least_snr).all()
    assert np.array_equal(np.sign(snr), np.asarray(real.catalogue["sign"]))
    middle = real.pixels[:, 0, 31:34, 31:34].mean(axis=(1, 2)) / real.noise
    assert (middle * np.sign(snr) > 1).all()
    # S/N measured is S/N injected, within what noise and the reference's noise do
    assert np.allclose(np.asarray(real.catalogue["snr"]), snr, rtol=0.35, atol=2.5)


def test_reals_that_a_look_sets_aside_are_not_in_the_set(tiny):
    reals = tiny.select(tiny.labels == 1)
    signs = np.asarray(reals.catalogue["sign"])
    looks = [look(p[0] * s, f) for p, s, f in zip(reals.pixels, signs, reals.catalogue["fwhm"], strict=True)]
    assert looks == [""] * len(reals)
    aside = excluded_stamps(TINY, 2)
    assert len(aside) == 2 and (aside.labels == 1).all()
    assert set(aside.catalogue["look"]) <= {"faint", "spurious"}
    assert (np.abs(aside.catalogue["true_snr"]) >= TINY.least_snr).all()
    assert not set(aside.catalogue["id"]) & set(tiny.catalogue["id"])


def test_a_field_is_on_one_side_and_no_source_is_in_two_fields(tiny):
    sources = {}
    for source, field in zip(tiny.catalogue["source"], tiny.catalogue["field"], strict=True):
        assert sources.setdefault(str(source), str(field)) == str(field)
    parts = split(tiny, SplitConfig(by="field", fractions=(0.5, 0.0, 0.5)), seed=0)
    assert len(parts.train) + len(parts.test) == len(tiny)


def test_a_killed_run_carries_on_to_the_same_rows(tiny, tmp_path, monkeypatch):
    calls = []

    def once(plan):
        if calls:
            raise KeyboardInterrupt
        calls.append(plan.name)
        return field_stamps(plan)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(benchmark, "field_stamps", once)
        benchmark_stamps(TINY, out=tmp_path)
    done = []
    whole = benchmark_stamps(TINY, out=tmp_path, progress=lambda at, of: done.append((at, of)))
    assert done == [(2, 2)]
    assert same(whole, tiny)
    monkeypatch.setattr(benchmark, "field_stamps", None)  # nothing is made a third time
    assert same(benchmark_stamps(TINY, out=tmp_path), tiny)
    with pytest.raises(InputError, match="another set"):
        benchmark_stamps(replace(TINY, seed=5), out=tmp_path)


def test_of_two_runs_into_one_folder_the_second_is_refused(tiny, tmp_path):
    with FolderLock(tmp_path), pytest.raises(OutputError, match="another run is writing"):
        benchmark_stamps(TINY, out=tmp_path)
    assert same(benchmark_stamps(TINY, out=tmp_path), tiny)
    with FolderLock(tmp_path):  # a whole set is read by as many as like
        assert same(benchmark_stamps(TINY, out=tmp_path), tiny)


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="paper, small, smoke"):
        benchmark_stamps("huge")
    with pytest.raises(InputError, match="jobs 0"):
        benchmark_stamps("smoke", jobs=0)


def test_reals_are_shared_out_evenly_and_reproducibly():
    sources = np.array(["a"] * 10 + ["b"] * 3 + ["c"])
    turn = np.random.default_rng(0).random(len(sources))
    chosen = pick_reals(sources, 8, 4, turn)
    assert sorted(sources[chosen].tolist()) == ["a"] * 4 + ["b"] * 3 + ["c"]
    assert len(pick_reals(sources, 12, 4, turn)) == 8  # no more within the cap
    # a row more, late in the draw, moves nobody else's place
    more = pick_reals(np.append(sources, "a"), 8, 4, np.append(turn, 1.0))
    assert np.array_equal(more, chosen)


@pytest.mark.parametrize(
    "scale", ["smoke", pytest.param("small", marks=pytest.mark.slow), pytest.param("paper", marks=pytest.mark.slow)]
)
def test_the_first_field_is_the_one_on_record(scale):
    found = fingerprint(field_stamps(SCALES.resolve(scale).plans()[0]))
    assert differences(found, recorded(f"{scale}/first field")) == []


@pytest.mark.slow
def test_smoke_is_the_one_on_record_and_jobs_change_nothing(tmp_path):
    one = benchmark_stamps("smoke", jobs=2, out=tmp_path)
    assert differences(fingerprint(one), recorded("smoke")) == []
    first = one.select(np.asarray(one.catalogue["field"]) == "smoke000")
    assert same(first, field_stamps(SCALES.resolve("smoke").plans()[0]))
