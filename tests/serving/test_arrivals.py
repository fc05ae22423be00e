"""Files that a camera is still writing are waited for; what never becomes whole is handed out in the end."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from realbogus.errors import InputError
from realbogus.serving.arrivals import Arrivals, bytes_missing


@pytest.fixture
def frame(tmp_path: Path) -> bytes:
    """A file of two parts and a table."""
    parts = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((70, 80), "f4")), fits.BinTableHDU.from_columns(
        [fits.Column("a", "J", array=np.arange(9))])])  # fmt: skip
    parts.writeto(tmp_path / "made.fits")
    return (tmp_path / "made.fits").read_bytes()


def test_every_cut_lacks_what_is_cut_off(frame: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    for size in range(2880, len(frame), 1440):
        path.write_bytes(frame[:size])
        if size in (2880, 2880 * 2 + -(-70 * 80 * 4 // 2880) * 2880):  # these are whole files of fewer parts
            assert bytes_missing(path) == 0
            continue
        assert bytes_missing(path) > 0 or size < len(frame)
    path.write_bytes(frame)
    assert bytes_missing(path) == 0
    path.write_bytes(frame[: 2880 * 2 + 5])
    assert bytes_missing(path) == -(-70 * 80 * 4 // 2880) * 2880 - 5


@pytest.mark.parametrize("start", [b"", b"SIMPLE  =                    T"])
def test_a_header_under_way_is_not_whole(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(start)
    assert bytes_missing(tmp_path / "a.fits") == 2880


def test_what_is_no_fits_is_handed_out_for_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"<html>not a frame</html>")
    assert bytes_missing(tmp_path / "a.fits") == 0


def test_packed_files_are_unpacked_to_see_their_end(frame: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(frame))
    assert bytes_missing(path) == 0
    path.write_bytes(gzip.compress(frame)[:-20])
    assert bytes_missing(path) == 1


def test_a_file_that_grows_is_waited_for(frame: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    now = [0.0]
    arrivals = Arrivals(folder, settle_s=2.0, give_up_s=100.0, clock=lambda: now[0])
    assert arrivals.look() == []
    path = folder / "a.fits"
    path.write_bytes(frame[:9000])
    for seconds in (0.0, 3.0, 50.0):
        now[0] = seconds
        assert arrivals.look() == []  # quiet for long, and it lacks pixels
    assert arrivals.waiting() == ["a.fits"]
    path.write_bytes(frame)
    assert arrivals.look() == []
    now[0] += 2.0
    assert [found.name for found in arrivals.look()] == ["a.fits"]
    (folder / "b.fits").write_bytes(frame[:9000])
    arrivals.look()
    now[0] += 100.0
    assert [found.name for found in arrivals.look()] == ["a.fits", "b.fits"]  # its reader says what it lacks
    path.unlink()
    assert [found.name for found in arrivals.look()] == ["b.fits"]


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        Arrivals(tmp_path / "absent")
    with pytest.raises(InputError, match="settle 5 s"):
        Arrivals(tmp_path, settle_s=5.0, give_up_s=1.0)
