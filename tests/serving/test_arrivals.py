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
        # whole files of fewer parts, with or without the begin of the next one's header behind them
        first, second = 2880, 2880 * 2 + -(-70 * 80 * 4 // 2880) * 2880
        if size in (first, first + 1440, second, second + 1440):
            assert bytes_missing(path) == 0
        else:
            assert bytes_missing(path) > 0
    path.write_bytes(frame)
    assert bytes_missing(path) == 0
    path.write_bytes(frame[: 2880 * 2 + 5])
    assert bytes_missing(path) == -(-70 * 80 * 4 // 2880) * 2880 - 5


@pytest.mark.parametrize("start", [b"", b"SIM", b"SIMPLE  =                    T"])
def test_a_header_under_way_is_not_whole(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(start)
    assert bytes_missing(tmp_path / "a.fits") == 2880


def test_what_is_no_fits_is_handed_out_for_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"<html>not a frame</html>")
    assert bytes_missing(tmp_path / "a.fits") == 0


@pytest.mark.parametrize(
    ("card", "spoiled"),
    [
        (b"NAXIS   =                    2", b"NAXIS   = 'ab'                "),
        (b"NAXIS   =                    2", b"NAXIS   =        1000000000000"),
        (b"NAXIS   =                    2", b"NAXIS   =                   -2"),
        (b"NAXIS1  =                   80", b"NAXIS1  =                     "),
        (b"NAXIS1  =                   80", b"NAXIS1  =                -2880"),
        (b"BITPIX  =                  -32", b"BITPIX  =                  abc"),
        (b"PCOUNT  =                    0", b"PCOUNT  =              -100000"),
    ],
)
def test_a_spoiled_header_is_handed_out_for_its_reason(
    card: bytes, spoiled: bytes, frame: bytes, tmp_path: Path
) -> None:
    assert frame.count(card) >= 1 and len(card) == len(spoiled)
    path = tmp_path / "a.fits"
    path.write_bytes(frame.replace(card, spoiled))
    assert bytes_missing(path) == 0  # neither an error nor for ever
    assert [found.name for found in Arrivals(tmp_path, settle_s=0.0).look()] == ["a.fits", "made.fits"]


def test_a_file_is_read_once_and_what_is_done_is_not(
    frame: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def missing(path: Path) -> int:
        read.append(path.name)
        return bytes_missing(path)

    monkeypatch.setattr("realbogus.serving.arrivals.bytes_missing", missing)
    arrivals = Arrivals(tmp_path, settle_s=0.0)
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(frame)[:-9])  # looked at once too, though it is not whole
    for _ in range(3):
        assert [found.name for found in arrivals.look()] == ["made.fits"]
    assert sorted(read) == ["b.fits.gz", "made.fits"]
    done = arrivals.look()
    assert arrivals.look(skip=done) == [] and arrivals.waiting(skip=done) == ["b.fits.gz"]
    (tmp_path / "c.fits").write_bytes(frame)
    other = Arrivals(tmp_path, settle_s=0.0)
    read.clear()
    assert [found.name for found in other.look(skip=done)] == ["c.fits"] and "made.fits" not in read
    (tmp_path / "made.fits").write_bytes(frame + bytes(2880))  # the same name, another file
    assert [found.name for found in other.look(skip=done)] == ["c.fits", "made.fits"]
    for path in tmp_path.iterdir():
        path.unlink()
    assert other.look() == [] and not other._seen


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


def test_a_drive_that_is_away_for_a_moment_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(folder: Path) -> list[Path]:
        raise OSError(116, "Stale file handle")

    arrivals = Arrivals(tmp_path, settle_s=0.0)
    monkeypatch.setattr("realbogus.serving.arrivals.find_frames", away)
    assert arrivals.look() == []
