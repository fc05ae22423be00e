"""Fingerprints see what matters and forgive what machines do."""

import numpy as np
import pytest
from astropy.table import Table

from realbogus.dataset.benchmark import SCALES
from realbogus.dataset.fingerprint import differences, fingerprint, recorded
from realbogus.errors import InputError
from realbogus.stamps import StampSet


def stamps(**changes):
    rng = np.random.default_rng(0)
    count = 300
    columns = {
        "id": [f"r{k}" for k in range(count)], "noise": np.full(count, 2.0), "fwhm": np.full(count, 3.0),
        "label": np.arange(count) % 10 == 0, "snr": rng.uniform(8, 90, count), "mag": rng.uniform(16, 20, count),
        "seeing": rng.uniform(2, 4, count), "x": rng.uniform(40, 600, count), "y": rng.uniform(40, 600, count),
        "kind": np.where(np.arange(count) % 10 == 0, "variable", "hot"), "source": [f"s{k % 40}" for k in range(count)],
        "field": [f"f{k % 4}" for k in range(count)], "frame": [f"e{k % 20}" for k in range(count)],
    }  # fmt: skip
    columns |= changes
    columns["label"] = np.asarray(columns["label"]).astype(int)
    pixels = rng.normal(0, 2, (count, 3, 64, 64)).astype(np.float32)
    return StampSet(pixels, Table(columns), ("difference", "science", "reference"))


def test_it_counts_what_is_there():
    found = fingerprint(stamps())
    assert (found["rows"], found["real"], found["bogus"]) == (300, 30, 270)
    assert found["kinds"] == {"hot": 270, "variable": 30}
    assert (found["fields"], found["frames"], found["real_sources"]) == (4, 20, 4)
    assert differences(found, found) == []


def test_last_digits_are_forgiven_and_changes_are_not():
    base = fingerprint(stamps())
    shifted = stamps(mag=np.asarray(stamps().catalogue["mag"]) + 1e-9)
    assert fingerprint(shifted)["sha256"] == base["sha256"]
    brighter = fingerprint(stamps(snr=1.1 * np.asarray(stamps().catalogue["snr"])))
    assert brighter["sha256"] != base["sha256"]
    assert any("snr" in line for line in differences(brighter, base))
    other = np.where(np.arange(300) % 10 == 0, "variable", np.where(np.arange(300) < 30, "cosmic", "hot"))
    assert any("cosmic" in line for line in differences(fingerprint(stamps(kind=other)), base))


def test_pixels_are_in_the_hash():
    one = stamps()
    two = StampSet(one.pixels + np.float32(1.0), one.catalogue, one.channels)
    assert fingerprint(one)["sha256"] != fingerprint(two)["sha256"]


@pytest.mark.parametrize("name", list(SCALES))
def test_every_scale_has_a_record_that_agrees_with_its_plan(name):
    record, scale = recorded(name), SCALES.resolve(name)
    assert (record["real"], record["bogus"], record["fields"]) == (scale.reals, scale.bogus, scale.fields)
    assert record["seed"] == scale.seed
    if record["made"]:
        assert sum(record["kinds"].values()) == scale.reals + scale.bogus
        assert record["real_sources"] == scale.variables


def test_an_unknown_record_lists_the_known():
    with pytest.raises(InputError, match="smoke"):
        recorded("large")
