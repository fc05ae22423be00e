"""Which files of a folder are there whole: a camera writes for seconds, a network drive for minutes."""

from __future__ import annotations

import gzip
import time
import warnings
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from astropy.io import fits

from ..errors import InputError
from ..images.read import find_frames

__all__ = ["Arrival", "Arrivals", "bytes_missing"]

#: Axes that a FITS array has at most (standard 4.0, section 4.4.1).
_MOST_AXES = 999


def bytes_missing(path: Path) -> int:
    """Return how many bytes of a FITS file have not been written yet, as far as its headers tell.

    Headers of plain FITS files say how long each part is. A gzipped file is unpacked to see whether it ends.

    Parameters
    ----------
    path : Path
        The file; one that has no whole header yet lacks at least a block of 2880 bytes.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.fits")
    ...     fits.writeto(path, np.zeros((100, 100), "int16"))
    ...     whole = bytes_missing(path)
    ...     _ = path.write_bytes(path.read_bytes()[:9000])
    ...     whole, bytes_missing(path)
    (0, 14040)
    """
    if path.name.lower().endswith(".gz"):
        return 0 if _unpacks(path) else 1
    size, place = path.stat().st_size, 0
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd headers: the reader says what matters
        if not b"SIMPLE".startswith(stream.read(6)):
            return 0  # no FITS file, and waiting makes none of it
        while place < size or not place:
            stream.seek(place)
            try:
                header = fits.Header.fromfile(stream, endcard=True, padding=True)
            except (OSError, EOFError, ValueError):
                # behind the last part some programs write blanks; before the first it is a header under way
                return 0 if place else 2880
            try:
                behind = stream.tell() + _data_bytes(header)
            except Exception:  # a spoiled header: nobody knows how long, and the reader says why it cannot be used
                return 0
            if behind <= place:
                return 0
            place = behind
    return max(place - size, 0)


def _unpacks(path: Path) -> bool:
    try:
        with gzip.open(path) as stream:
            while stream.read(2**22):
                pass
    except EOFError:
        return False
    except (OSError, zlib.error):  # damaged, not under way: reading it says so
        return True
    return True


def _data_bytes(header: fits.Header) -> int:
    """Return the bytes of a part behind its header (FITS standard 4.0, equation 2), padded to blocks."""
    number = int(header.get("NAXIS", 0))
    if not 0 <= number <= _MOST_AXES:
        raise ValueError(f"NAXIS {number}, expected 0 to {_MOST_AXES}")
    axes = [int(header.get(f"NAXIS{k + 1}", 0)) for k in range(number)]
    groups, extra = int(header.get("GCOUNT", 1)), int(header.get("PCOUNT", 0))
    if min([groups, extra, *axes]) < 0:
        raise ValueError(f"axes {axes}, {groups} groups, {extra} parameters: expected none below 0")
    if not axes:
        return 0
    count = 1
    for axis in axes[1:] if axes[0] == 0 and header.get("GROUPS") else axes:
        count *= axis
    return -(-(abs(int(header.get("BITPIX", 8))) // 8 * groups * (extra + count)) // 2880) * 2880


class Arrival(NamedTuple):
    """A file as it was when it had come: the same name with another size or time is another file.

    Parameters
    ----------
    name : str
    size : int
        Bytes.
    written_ns : int
        When it was written last.
    """

    name: str
    size: int
    written_ns: int


@dataclass
class _Seen:
    file: Arrival
    since: float
    whole: bool | None = None  # not looked at yet


class Arrivals:
    """Look at a folder again and again; a file has come when it has stopped to grow and lacks nothing.

    Parameters
    ----------
    folder : path
        Of frames; it may be empty.
    settle_s : float
        How long a file must not have changed.
    give_up_s : float
        After so long without a change a file that still lacks bytes is handed out as it is: reading it gives the
        reason why it cannot be used.
    clock : callable
        Seconds.

    Raises
    ------
    InputError
        No such folder, or times that cannot be.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     now = [0.0]
    ...     arrivals = Arrivals(folder, settle_s=2, clock=lambda: now[0])
    ...     fits.writeto(f"{folder}/a.fits", np.zeros((9, 9)))
    ...     first = arrivals.look()
    ...     now[0] = 3.0
    ...     first, [file.name for file in arrivals.look()]
    ([], ['a.fits'])
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        settle_s: float = 2.0,
        give_up_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder} is no folder: give the one that the camera writes its frames to")
        if not 0 <= settle_s <= give_up_s:
            raise InputError(f"settle {settle_s:g} s, give up {give_up_s:g} s: give 0 or more, the first shorter")
        self._settle_s, self._give_up_s, self._clock = settle_s, give_up_s, clock
        self._seen: dict[str, _Seen] = {}

    def look(self, skip: Container[Arrival] = ()) -> list[Arrival]:
        """Return the files that are there whole, by name; one that vanished is forgotten.

        A file is read once, and again where it has changed.

        Parameters
        ----------
        skip : container of Arrival
            Files that are not asked for any more: they are not read.
        """
        now = self._clock()
        came = []
        before, self._seen = self._seen, {}
        for path in self._files():
            try:
                stat = path.stat()
                file = Arrival(path.name, stat.st_size, stat.st_mtime_ns)
                seen = before.get(path.name)
                if seen is None or seen.file != file:
                    seen = _Seen(file, now)
                self._seen[path.name] = seen
                if file not in skip and self._whole(path, seen, now - seen.since):
                    came.append(file)
            except OSError:
                continue  # renamed or removed between two looks
        return came

    def _whole(self, path: Path, seen: _Seen, quiet: float) -> bool:
        if quiet < self._settle_s:
            return False
        if seen.whole is None:
            seen.whole = not bytes_missing(path)
        return seen.whole or quiet >= self._give_up_s

    def waiting(self, skip: Container[Arrival] = ()) -> list[str]:
        """Return the names of files that were seen and are not whole yet."""
        whole = set(self.look(skip))
        return [seen.file.name for seen in self._seen.values() if seen.file not in whole and seen.file not in skip]

    def _files(self) -> list[Path]:
        try:
            return find_frames(self.folder)
        except (InputError, OSError):
            return []  # nothing there yet, or the drive is away for a moment
