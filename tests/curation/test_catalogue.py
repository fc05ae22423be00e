"""Catalogues of known objects, as other people write them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from realbogus.curation.catalogue import as_catalogue, read_catalogue
from realbogus.errors import InputError
from realbogus.tables import write_parquet


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "vot", "fits", "parquet"])
def test_any_format_is_read(tmp_path, suffix):
    table = Table({"Name": ["a", "b"], "RAJ2000": [10.0, 350.0], "DEJ2000": [-5.0, 60.0]})
    path = tmp_path / f"known.{suffix}"
    if suffix == "parquet":
        write_parquet(table, path)
    else:
        table.write(path, format={"vot": "votable", "csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(suffix, suffix))
    found = read_catalogue(path)
    assert found["name"].tolist() == ["a", "b"]
    assert found["ra"].tolist() == [10.0, 350.0]
    assert found["dec"].tolist() == [-5.0, 60.0]


def test_sexagesimal_text_and_numbers_as_text():
    found = as_catalogue(Table({"ra": ["01:00:00", "15.0", ""], "dec": ["-00:30:00", "1.5", "3"]}))
    assert found["ra"].tolist() == pytest.approx([15.0, 15.0])
    assert found["dec"].tolist() == pytest.approx([-0.5, 1.5])
    assert found.meta["rows"] == 3  # the third has no place


def test_what_is_masked_is_no_place():
    ra = MaskedColumn([10.0, 0.0], mask=[False, True])
    assert len(as_catalogue(Table({"ra": ra, "dec": [1.0, 2.0]}))) == 1


@pytest.mark.parametrize(
    "times",
    [[61041.25], [2461041.75], ["2026-01-01T06:00:00"], ["61041.25"]],
    ids=["mjd", "jd", "iso", "text"],
)
def test_times_of_every_kind(times):
    found = as_catalogue(Table({"ra": [1.0], "dec": [2.0], "time": times}), moving=True)
    assert found["mjd"][0] == pytest.approx(Time("2026-01-01T06:00:00", scale="utc").mjd, abs=1e-9)


def test_two_variables_of_one_name_are_two_but_one_asteroid_is_one():
    rows = {"name": ["x", "x"], "ra": [1.0, 2.0], "dec": [0.0, 0.0], "mjd": [60000.0, 60001.0]}
    assert len(set(as_catalogue(Table(rows))["name"])) == 2
    assert set(as_catalogue(Table(rows), moving=True)["name"]) == {"x"}


@pytest.mark.parametrize(
    ("columns", "moving", "words"),
    [
        ({"a": [1.0]}, False, "expected `ra` and `dec`"),
        ({"ra": [1.0], "dec": [1.0]}, True, "has no time"),
        ({"ra": [1.0], "dec": [100.0]}, False, "dec holds 100"),
        ({"ra": [np.nan], "dec": [np.nan]}, False, "not one of its 1 rows has a place"),
        ({"ra": ["north"], "dec": ["1"]}, False, "'north' cannot be read"),
        ({"ra": [1.0], "dec": [1.0], "time": ["soon"]}, True, "times cannot be read"),
        ({"ra": [1.0], "dec": [1.0], "mjd": [3.0]}, True, "neither MJD nor JD"),
        ({"x": ["left"], "y": ["1"]}, False, "holds no numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(columns, moving, words):
    with pytest.raises(InputError, match=words):
        as_catalogue(Table(columns), moving=moving)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_catalogue(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("suffix", "format"),
    [("fit", "fits"), ("fits.gz", "fits"), ("FITS", "fits"), ("votable", "votable"), ("xml", "votable"),
     ("CSV", "ascii.csv"), ("dat", "ascii")],
)  # fmt: skip
def test_what_a_suffix_does_not_say_the_first_bytes_do(tmp_path, suffix, format):
    path = tmp_path / f"known.{suffix}"
    Table({"id": [7], "ra": [10.0], "dec": [-5.0]}).write(path, format=format)
    assert read_catalogue(path).as_array().tolist() == [("7", 10.0, -5.0)]


def test_units_of_columns_are_obeyed():
    table = Table({"name": ["a"], "ra": [17.5], "dec": [0.5]})
    table["ra"].unit, table["dec"].unit = "hourangle", "rad"
    found = as_catalogue(table)
    assert found["ra"][0] == pytest.approx(262.5) and found["dec"][0] == pytest.approx(np.degrees(0.5))
    table["ra"].unit = table["dec"].unit = "mag"  # says nothing of an angle
    assert as_catalogue(table)["ra"][0] == 17.5
    words = Table({"name": ["a"], "ra": ["17.5"], "dec": ["30"]})
    words["ra"].unit, words["dec"].unit = "h", "arcmin"
    assert as_catalogue(words)["ra", "dec"].as_array().tolist() == [(262.5, 0.5)]
