"""FITS cutouts in folders and arrays with a table."""

from __future__ import annotations

import os
from pathlib import Path

import made
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from realbogus.adapters import Layout, adapt
from realbogus.adapters.store import SetWriter
from realbogus.cli import main
from realbogus.errors import ConfigError, InputError, OutputError
from realbogus.stamps import UNLABELLED, StampSet

SIDE = 51
PLANES = [
    made.star(made.noise((SIDE, SIDE), 2), 25, 25, 200.0),
    made.noise((SIDE, SIDE), 3),
    made.noise((SIDE, SIDE), 4),
]


def _check(stamps: StampSet, row: int = 0) -> None:
    """The difference stands in the middle as it was; the others without their background."""
    inner = slice(32 - 25, 32 + 26)
    np.testing.assert_array_equal(stamps.pixels[row, 0, inner, inner], PLANES[0])
    for plane in (1, 2):
        level = PLANES[plane] - stamps.pixels[row, plane, inner, inner]
        assert np.ptp(level) < 1e-4


def _three(path: Path, names: tuple[str, str, str] = ("DIFF", "SCI", "TEMPLATE"), **cards: object) -> None:
    primary = fits.PrimaryHDU()
    primary.header.update(cards)
    parts = [fits.ImageHDU(plane, name=name) for plane, name in zip(PLANES, names, strict=True)]
    fits.HDUList([primary, *parts]).writeto(path)


def test_files_with_three_extensions(tmp_path: Path) -> None:
    night = tmp_path / "night"
    night.mkdir()
    _three(night / "one.fits", RA=10.0, TARGRA=150.5, TARGDEC=-3.0, MAGPSF=19.5, OBSERVER="me", FWHM=9.0)
    _three(night / "two.fits.gz", TARGRA=151.5)
    _three(night / "odd.fits", ("A", "B", "C"))
    done = adapt(night, tmp_path / "S", layout=Layout(columns={"ra": "TARGRA", "dec": "targdec", "mag": "MAGPSF"}))
    table = done.stamps.catalogue
    assert table["id"].tolist() == ["one", "two"]
    assert (table["ra"][0], table["dec"][0], table["mag"][0]) == (150.5, -3.0, 19.5)
    # a card of a name that is ours is most often the telescope's, and is kept as what it is
    assert table["card_ra"][0] == 10.0 and table["card_fwhm"][0] == 9.0 and table["observer"][0] == "me"
    assert table["fwhm_from"][0] == "measured" and table["label"].tolist() == [UNLABELLED] * 2
    assert table["survey"].tolist() == ["fits"] * 2 and table["centring"].tolist() == ["whole"] * 2
    for row in (0, 1):
        _check(done.stamps, row)
    (odd,) = done.unusable
    assert odd["cause"] == "no cutout" and "found 0: (no name)" in odd["reason"] and "1: A (51, 51)" in odd["reason"]
    by_number = Layout(extensions={"difference": "1", "science": 2, "reference": "3"})
    done = adapt(night / "odd.fits", tmp_path / "T", layout=by_number)
    _check(done.stamps)


def test_a_file_a_channel_with_a_table(tmp_path: Path) -> None:
    night = tmp_path / "night"
    (night / "sub").mkdir(parents=True)
    for name in ("s1", "sub/s2", "s3"):
        for plane, end in zip(PLANES, ("_diff", "_sci", "_ref"), strict=True):
            (night / f"{name}{end}.fits").write_bytes(made.fits_bytes(plane))
    os.remove(night / "s3_ref.fits")
    (night / "flat.fits").write_bytes(made.fits_bytes(PLANES[0]))
    (night / "s4_sci.fits").write_bytes(b"")
    for end in ("_diff", "_ref"):
        (night / f"s4{end}.fits").write_bytes(made.fits_bytes(PLANES[0]))
    table = Table(
        {
            "name": ["sub/s2", "s1", "../../etc/passwd"],
            "rb": MaskedColumn([0.25, 0.5, 0.75], mask=[True, False, False]),
            "label": [0, 1, 1],
            "sign": ["f", "t", "t"],
        }
    )
    files = {"difference": "*_diff.fits", "science": "*_sci.fits", "reference": "*_ref.fits"}
    layout = Layout(files=files, table=table, columns={"id": "name"})
    done = adapt(night, tmp_path / "S", layout=layout)
    found = done.stamps.catalogue
    assert found["id"].tolist() == ["s1", "sub/s2"]
    assert found["label"].tolist() == [1, 0] and found["sign"].tolist() == [1, -1]
    assert found["rb"].mask.tolist() == [False, True]
    for row in (0, 1):
        _check(done.stamps, row)
    listed = {str(row["file"]): str(row["reason"]) for row in done.unusable}
    assert "no file for reference" in listed["s3"]
    assert "called like no channel" in listed["flat.fits"]
    assert "s4_sci.fits is empty" in listed["s4"]
    assert "no FITS cutout is called '../../etc/passwd'" in listed["table"]
    assert done.read == 2 + 4


def test_the_wcs_centres_a_cutout_that_an_edge_has_cut(tmp_path: Path) -> None:
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [900.0, 700.0], [30.0, 20.0], [-3e-4, 3e-4]
    ra, dec = wcs.all_pix2world([[40.0, 9.0]], 0)[0]
    header = dict(wcs.to_header()) | {"TRA": ra, "TDEC": dec}
    cut = made.star(made.noise((35, 66), 2), 9, 40, 200.0)
    parts = [fits.ImageHDU(cut, fits.Header(header), name=name) for name in ("DIFF", "SCI", "REF")]
    fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(tmp_path / "edge.fits")
    done = adapt(tmp_path / "edge.fits", tmp_path / "S", layout=Layout(columns={"ra": "TRA", "dec": "TDEC"}))
    assert done.stamps.catalogue["centring"][0] == "header"
    assert done.stamps.pixels[0, 0, 32, 32] == cut[9, 40]


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("packed", [False, True], ids=["npy", "npz"])
def test_an_array_with_a_table(tmp_path: Path, last: bool, packed: bool) -> None:
    stack = np.stack([PLANES[1], PLANES[2], PLANES[0]])  # science, reference, difference
    array = np.stack([stack, stack * np.nan, stack]).astype("f8")
    array[2, :, 0, 0] = -3.4e38
    array = np.moveaxis(array, 1, -1) if last else array
    path = tmp_path / ("a.npz" if packed else "a.npy")
    if packed:
        np.savez_compressed(path, triplets=array, number=np.arange(3))
    else:
        np.save(path, array)
    table = tmp_path / "facts.csv"
    table.write_text("candid,objectId,magpsf,fwhm,isdiffpos,remark\n7,a,18.5,44,t,fine\n8,b,19.5,44,f,\n9,b,,44,t,x\n")
    words = ["adapt", str(path), "-o", str(tmp_path / "S"), "--table", str(table), "--jobs", "1", "--columns"]
    words += ["id=candid", "source=objectId", "mag=magpsf", "sign=isdiffpos", "fwhm="]
    assert main(words) == 0
    stamps = StampSet.load(tmp_path / "S")
    found = stamps.catalogue
    assert found["id"].tolist() == ["7", "8", "9"] and found["source"].tolist() == ["a", "b", "b"]
    assert found["sign"].tolist() == [1, -1, 1] and found["mag"].mask.tolist() == [False, False, True]
    assert found["usable"].tolist() == [True, False, True]  # nothing is there in the second
    assert found["table_fwhm"].tolist() == [44, 44, 44] and found["fwhm"][0] == pytest.approx(made.FWHM, rel=0.05)
    _check(stamps)
    assert found["missing"][2] == pytest.approx(found["missing"][0] + 1 / 4096)
    assert not list((tmp_path / "S").glob("**/array-*"))


def test_an_array_s_edges_by_its_detector(tmp_path: Path) -> None:
    """A stamp padded at its far side, as brokers keep them in arrays; x and y say where it was cut."""
    detector = made.noise((200, 300), 6)
    places = [(150, 100), (4, 100), (150, 7), (297, 100)]
    stamps = []
    for x, y in places:
        plane = made.cut_at(detector, y, x)
        stamps.append(np.pad(plane, ((0, 63 - plane.shape[0]), (0, 63 - plane.shape[1])), constant_values=1e-9))
    np.save(tmp_path / "a.npy", np.repeat(np.stack(stamps)[:, None], 3, axis=1))
    facts = Table({"x": [x for x, _ in places], "y": [y for _, y in places]})
    done = adapt(tmp_path / "a.npy", tmp_path / "S", layout=Layout(table=facts, detector=(300, 200)))
    assert done.stamps.catalogue["id"].tolist() == [f"a.npy#{n}" for n in range(4)]
    assert done.stamps.catalogue["centring"].tolist() == ["whole"] + ["position"] * 3
    for row, (x, y) in enumerate(places):
        assert done.stamps.pixels[row, 0, 32, 32] == detector[y, x]
        assert done.stamps.pixels[row, 0, 36, 33] == detector[y + 4, x + 1] if x < 290 else True


def test_arrays_and_tables_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 20, 20)))
    np.save(tmp_path / "flat.npy", np.zeros((2, 20, 20)))
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 3, 20, 20)), b=np.zeros((2, 3, 20, 20)))
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    one = Table({"id": [1]})
    for name, layout, words in (
        ("a.npy", Layout(), "give their table with --table"),
        ("a.npy", Layout(table=one), "2 stamps and the table 1 rows"),
        ("flat.npy", Layout(table=one), "expected numbers"),
        ("two.npz", Layout(table=one), "say with --array"),
        ("a.npy", Layout(table=Table({"id": [1, 1]})), "same id twice"),
        ("a.npy", Layout(table=one, columns={"mag": "magpsf"}), "no column magpsf; it has id"),
        ("a.npy", Layout(table=tmp_path / "none.csv"), "cannot be read as a table"),
        ("objects.npy", Layout(table=one), "no NumPy array"),  # pickles are never loaded
    ):
        with pytest.raises(InputError, match=words):
            adapt(tmp_path / name, tmp_path / "S", layout=layout)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": ("difference", "science")}, "expected difference, science, reference"),
        ({"files": {"difference": "a", "science": "*", "reference": "*"}}, "one \\* in it"),
        ({"files": {"difference": "../*", "science": "*", "reference": "*"}}, "one \\* in it"),
        ({"columns": {"brightness": "mag"}}, "leads to brightness: known are"),
        ({"detector": (0, 5)}, "width and height"),
    ],
)
def test_layouts_that_cannot_be_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Layout(**options)  # type: ignore[arg-type]


def test_a_julian_date_is_told_from_a_modified_one(tmp_path: Path) -> None:
    """`--columns mjd=jd`: as a modified date it would put every source two million days off."""
    table = Table({"name": ["a", "b"], "jd": [2458754.65, 58754.15]})
    np.save(tmp_path / "a.npy", np.stack([PLANES] * 2).astype(np.float32))
    done = adapt(tmp_path / "a.npy", tmp_path / "S", layout=Layout(table=table, columns={"id": "name", "mjd": "jd"}))
    assert done.stamps.catalogue["mjd"].tolist() == pytest.approx([58754.15, 58754.15])


def test_two_runs_never_write_one_set(tmp_path: Path) -> None:
    first = SetWriter(tmp_path / "S")
    with pytest.raises(OutputError, match="another run is writing to"):
        SetWriter(tmp_path / "S")
    first.discard()
    SetWriter(tmp_path / "S").discard()
