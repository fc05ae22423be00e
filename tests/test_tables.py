"""Tables in and out."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from realbogus.errors import InputError
from realbogus.tables import read_any, read_parquet, write_parquet


def test_every_kind_of_column_comes_back(tmp_path):
    table = Table(
        {
            "text": ["a", "bc"],
            "number": np.array([1, 2], ">i2"),
            "real": MaskedColumn(np.array([0.5, 0.0], np.float32), mask=[False, True], unit=u.deg),
            "flag": MaskedColumn([True, False], mask=[True, False]),
            "word": MaskedColumn(["x", "y"], mask=[False, True]),
        }
    )
    back = read_parquet(write_parquet(table, tmp_path / "t.parquet"))
    assert back.colnames == table.colnames
    assert list(back["text"]) == ["a", "bc"] and list(back["number"]) == [1, 2]
    assert back["real"].unit == u.deg and back["real"].dtype == np.float32
    assert back["real"].mask.tolist() == [False, True]
    assert back["flag"].mask.tolist() == [True, False]
    assert back["word"].mask.tolist() == [False, True]


def test_masked_values_are_nulls_to_everyone_else(tmp_path):
    write_parquet(Table({"score": MaskedColumn([0.5, 0.0], mask=[False, True])}), tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet")["score"].to_pylist() == [0.5, None]


def test_an_empty_table_is_written_and_read(tmp_path):
    assert len(read_parquet(write_parquet(Table({"x": np.zeros(0)}), tmp_path / "t.parquet"))) == 0


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "t.parquet").write_text("hello")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize(("name", "text"), [("a.csv", "id,n\n0001,7\n0020,8\n"), ("a.txt", "id n\n0001 7\n0020 8\n")])
def test_an_id_is_text(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    table = read_any(tmp_path / name)
    assert table["id"].tolist() == ["0001", "0020"] and table["n"].tolist() == [7, 8]
    assert read_any(tmp_path / name, ids="n")["n"].tolist() == ["7", "8"]


def test_what_is_no_table_is_said(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x00\xff\n\xfe,,,\n1")
    for name in ("a.csv", "none.txt", "none.parquet"):
        with pytest.raises(InputError, match=name):
            read_any(tmp_path / name)
