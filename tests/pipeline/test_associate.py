"""What belongs together over a night."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from realbogus.errors import InputError
from realbogus.groups import groups
from realbogus.pipeline.associate import add_sources, detector_fixed, flag_known, read_known


def night_rows():
    """A star at one place in the sky and a hot pixel at one place on the detector, in five dithered frames."""
    rows = []
    for k, (dx, dy) in enumerate([(0, 0), (12, 3), (-9, 14), (20, -6), (5, 25)]):
        rows.append((f"f{k}", 100.0 - dx, 200.0 - dy, 100.0, 200.0))
        rows.append((f"f{k}", 50.1, 60.0, 50.1 + dx, 60.0 + dy))
    return Table(rows=rows, names=("frame", "x", "y", "ref_x", "ref_y"))


def test_a_star_is_one_source_and_a_hot_pixel_is_fixed_to_the_detector():
    rows = night_rows()
    add_sources(rows, 3.0)
    star = np.arange(10) % 2 == 0
    assert len(set(rows["source"][star])) == 1
    assert set(rows["epochs"][star]) == {5}
    assert set(rows["epochs"][~star]) == {1}
    assert detector_fixed(rows, 3.0).tolist() == (~star).tolist()


def test_nothing_is_fixed_where_the_sky_did_not_move():
    rows = night_rows()
    rows["ref_x"], rows["ref_y"] = rows["x"], rows["y"]
    assert not detector_fixed(rows, 3.0).any()


def test_two_detections_in_one_frame_are_one_epoch():
    rows = Table({"frame": ["a", "a"], "x": [1.0, 2.0], "y": [1.0, 1.0], "ref_x": [1.0, 2.0], "ref_y": [1.0, 1.0]})
    add_sources(rows, 3.0)
    assert rows["epochs"].tolist() == [1, 1] and len(set(rows["source"])) == 1


def test_no_rows_are_no_groups():
    assert len(groups(np.zeros((0, 2)), 1.0)) == 0


@pytest.mark.parametrize(
    ("name", "columns"), [("a.csv", ("RA", "Dec", "Name")), ("b.ecsv", ("RAJ2000", "DEJ2000", "OID"))]
)
def test_a_catalogue_of_any_column_names_is_read(tmp_path, name, columns):
    table = Table([[10.0, 20.0], [-5.0, 5.0], ["V1", "V2"]], names=columns)
    table.write(
        tmp_path / name,
        format="ascii.csv" if name.endswith("csv") and not name.endswith("ecsv") else "ascii.ecsv",
    )
    known = read_known(tmp_path / name)
    assert set(known.colnames) == {"ra", "dec", "name"} and list(known["name"]) == ["V1", "V2"]
    rows = Table({"ra": [10.0 + 2 / 3600, 10.1, np.nan], "dec": [-5.0, -5.0, np.nan]})
    flag_known(rows, known, 5.0)
    assert rows["known"].tolist() == ["V1", "", ""]


def test_sexagesimal_coordinates_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("ra,dec\n02:04:10.3,+46:41:16\n")
    known = read_known(tmp_path / "a.csv")
    assert known["ra"][0] == pytest.approx(31.0429, abs=1e-3) and known["dec"][0] == pytest.approx(46.6878, abs=1e-3)


def test_a_catalogue_without_coordinates_lists_its_columns(tmp_path):
    (tmp_path / "a.csv").write_text("star,mag\nV1,12.0\n")
    with pytest.raises(InputError, match=r"star.*expected `ra` and `dec`"):
        read_known(tmp_path / "a.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_known(tmp_path / "missing.csv")
    (tmp_path / "pixels.csv").write_text("x,y\n3.0,12.0\n")
    with pytest.raises(InputError, match="only pixel positions"):
        read_known(tmp_path / "pixels.csv")


def test_rows_without_a_place_are_left_out(tmp_path):
    """Under a mask lies 0.0, which is a place in the sky; NaN would stop the night at its end."""
    table = Table([MaskedColumn([10.0, 20.0, 30.0, 40.0], mask=[0, 1, 0, 0]), [1.0, 2.0, np.nan, np.inf]],
                  names=("ra", "dec"))  # fmt: skip
    table["name"] = ["V1", "V2", "V3", "V4"]
    table.write(tmp_path / "a.ecsv")
    known = read_known(tmp_path / "a.ecsv")
    assert list(known["ra"]) == [10.0] and list(known["name"]) == ["V1"]
    rows = Table({"ra": [10.0, 0.0], "dec": [1.0, 2.0]})
    flag_known(rows, known, 5.0)
    assert rows["known"].tolist() == ["V1", ""]


def test_sexagesimal_rows_without_a_place_are_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("ra,dec,name\n,+46:41:16,V1\n02:04:10.3,+46:41:16,V2\n")
    assert list(read_known(tmp_path / "a.csv")["name"]) == ["V2"]


def test_a_catalogue_without_one_place_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("ra,dec\nnan,1.0\n10.0,\n")
    with pytest.raises(InputError, match="not one of its 2 rows has a place"):
        read_known(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["fits", "vot"])
def test_text_of_other_formats_is_read(tmp_path, suffix):
    table = Table({"ra": ["02:04:10.3", ""], "dec": ["+46:41:16", "+46:41:16"]})
    table.write(tmp_path / f"a.{suffix}", format={"vot": "votable"}.get(suffix, suffix))
    assert list(read_known(tmp_path / f"a.{suffix}")["ra"]) == pytest.approx([31.0429], abs=1e-3)
