"""Votes on disk: one a line, only ever added, each on the disk before it is acknowledged.

A line is a JSON object with the fields of `Vote`. A vote that is taken back stays; the line that takes
it back names its key in `undo` and repeats what was taken back.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError

__all__ = ["ANSWERS", "Vote", "VoteFile", "read_votes", "standing"]

#: What a vetter may say of a stamp.
ANSWERS = ("real", "bogus", "unsure")


@dataclass(frozen=True)
class Vote:
    """What one vetter said of one stamp, or took back.

    Parameters
    ----------
    id : str
        Of the stamp.
    vote : str
        `real`, `bogus` or `unsure`; of a line that takes back, what it takes back.
    vetter : str
        Who.
    time : str
        When it arrived, ISO 8601, UTC.
    key : str
        Of this vote and no other: a vote that is sent twice is there once.
    undo : str or None
        Key of the vote that this line takes back.
    seconds : float or None
        How long the vetter looked, where that is known.
    repeat : bool
        Whether the stamp was shown to this vetter a second time, unannounced.
    """

    id: str
    vote: str
    vetter: str
    time: str
    key: str
    undo: str | None = None
    seconds: float | None = None
    repeat: bool = False

    def line(self) -> bytes:
        """Return the vote as a line of the file.

        Examples
        --------
        >>> Vote("a", "real", "ann", "2026-01-01T00:00:00Z", "k1").line()[:46]
        b'{"id": "a", "vote": "real", "vetter": "ann", "'
        """
        return json.dumps(asdict(self), allow_nan=False).encode() + b"\n"


def read_votes(path: Path | str) -> list[Vote]:
    """Read a file of votes, in the order in which they were given.

    A key that is there twice (two copies of a file joined, say) counts once. A last line that was cut
    off half written was never acknowledged and is passed over.

    Raises
    ------
    InputError
        The file is missing, or a line of it is no vote.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): expected votes of `realbogus vet`") from error
    return _parse(data, path)[0]


def standing(votes: Iterable[Vote], *, repeat: bool = False) -> dict[tuple[str, str], Vote]:
    """Return what stands in the end, by vetter and stamp.

    What was taken back is left out; of several votes of one vetter on one stamp the last stands.

    Parameters
    ----------
    votes : iterable of Vote
        In the order in which they were given.
    repeat : bool
        The votes on blinded repeats instead of those on the first showing.

    Examples
    --------
    >>> first = Vote("a", "real", "ann", "", "k1")
    >>> again = Vote("a", "bogus", "ann", "", "k2")
    >>> standing([first, again])["ann", "a"].vote
    'bogus'
    >>> standing([first, again, Vote("a", "bogus", "ann", "", "k3", undo="k2")])["ann", "a"].vote
    'real'
    """
    given = list(votes)
    gone = {vote.undo for vote in given if vote.undo}
    return {
        (vote.vetter, vote.id): vote
        for vote in given
        if vote.undo is None and vote.key not in gone and vote.repeat == repeat
    }


class VoteFile:
    """A file of votes held open by one program.

    Parameters
    ----------
    path : path
        Made where it is missing.

    Raises
    ------
    InputError
        The file holds something that is no vote.
    OutputError
        It cannot be written, or another program has it open.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with VoteFile(f"{folder}/votes.jsonl") as box:
    ...         box.append([Vote("a", "real", "ann", "2026-01-01T00:00:00Z", "k1")])
    ...     len(read_votes(f"{folder}/votes.jsonl"))
    1
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        new = not self.path.exists()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"cannot write votes to {self.path} ({error.strerror}): choose a place you may write with --votes"
            ) from error
        try:
            self._hold()
            if new:
                _sync_folder(self.path.parent)
            self.votes = self._recover()
        except BaseException:
            os.close(self._file)
            raise
        self._lock = threading.Lock()

    def _hold(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise OutputError(
                    f"another `realbogus vet` has {self.path} open: use its page, stop it, or choose another "
                    "file with --votes"
                ) from error
            # a file system without locks: then nobody is told off

    def _recover(self) -> list[Vote]:
        """Read what is there; a last line cut off half written goes, one that only lacks its end gets it."""
        with open(self._file, "rb", closefd=False) as file:
            data = file.read()
        votes, whole = _parse(data, self.path)
        if whole < len(data):
            os.ftruncate(self._file, whole)
        elif data and not data.endswith(b"\n"):
            os.write(self._file, b"\n")
        return votes

    def append(self, votes: Sequence[Vote]) -> None:
        """Add votes; when this returns they are on the disk, all of them.

        Raises
        ------
        OutputError
            They could not be written; then none of them is there.
        """
        if not votes:
            return
        with self._lock:
            before = os.fstat(self._file).st_size
            data = memoryview(b"".join(vote.line() for vote in votes))
            try:
                while data:
                    data = data[os.write(self._file, data) :]
                os.fsync(self._file)
            except OSError as error:
                os.ftruncate(self._file, before)
                raise OutputError(f"votes cannot be written to {self.path}: {error.strerror or error}") from error
            self.votes.extend(votes)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    def __enter__(self) -> VoteFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(data: bytes, path: Path) -> tuple[list[Vote], int]:
    """Return the votes, each key once, and how many bytes of the file are whole lines."""
    votes: dict[str, Vote] = {}
    lines, whole = data.split(b"\n"), len(data)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            vote = _vote(json.loads(line))
        except ValueError as error:
            if number == len(lines):  # no line end: cut off while it was written
                whole -= len(line)
                break
            raise InputError(
                f"{path}, line {number} is no vote ({error}): expected JSON with id, vote, vetter, time and key; "
                "mend or remove that line"
            ) from error
        votes.setdefault(vote.key, vote)
    return list(votes.values()), whole


def _vote(fields: Any) -> Vote:
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    texts: dict[str, Any] = {name: fields.get(name) for name in ("id", "vote", "vetter", "time", "key")}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} is no text")
    undo, seconds = fields.get("undo"), fields.get("seconds")
    if texts["vote"] not in ANSWERS:
        raise ValueError(f"vote {texts['vote']!r} is none of {', '.join(ANSWERS)}")
    if not (undo is None or isinstance(undo, str)):
        raise ValueError("undo is neither a key nor null")
    if not (seconds is None or (isinstance(seconds, int | float) and math.isfinite(seconds))):
        raise ValueError("seconds is neither a number nor null")
    return Vote(**texts, undo=undo, seconds=seconds, repeat=fields.get("repeat") is True)


def _sync_folder(folder: Path) -> None:
    """Put a new file's name on the disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some shares cannot
        pass
    finally:
        os.close(handle)
