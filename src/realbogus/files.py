"""Files that are written whole or not at all, and values as JSON has them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .errors import OutputError

__all__ = [
    "FolderLock",
    "append_json",
    "json_lines",
    "plain",
    "remove_others",
    "scratch_folder",
    "shown",
    "writable_folder",
    "write_text",
    "write_whole",
]


class FolderLock:
    """Hold a folder as the only run that writes there, until it is closed or the process ends, however it ends.

    On a file system without locks it holds nothing. Use it with `with`, or close it.

    Parameters
    ----------
    folder : path
        That is there.
    what : path, optional
        What is written, for the message; the folder itself by default.

    Raises
    ------
    OutputError
        Another run holds it, or it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, FolderLock(folder):
    ...     FolderLock(folder)
    Traceback (most recent call last):
        ...
    realbogus.errors.OutputError: another run is writing to ...: wait until it has ended, or choose another output
    """

    def __init__(self, folder: Path | str, *, what: Path | str | None = None) -> None:
        self._file: int | None = None
        self._process = os.getpid()
        what = folder if what is None else what
        try:
            file = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise OutputError(f"cannot write to {what}: {error}; choose a folder you may write") from error
        try:
            held = _locks(file, folder)
        except BaseException:
            os.close(file)
            raise
        if not held:
            os.close(file)
            raise OutputError(f"another run is writing to {what}: wait until it has ended, or choose another output")
        self._file = file

    def close(self) -> None:
        """Let others in; may be called again."""
        file, self._file = self._file, None
        if file is not None:
            if os.getpid() == self._process:  # a forked child has the same lock, and must not end it
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


def _locks(file: int, folder: Path | str) -> bool:
    """Lock an open folder, and say whether it is held: not by another run, and still the one of that name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    try:
        return os.path.samestat(os.fstat(file), os.stat(folder))
    except FileNotFoundError:  # the run before this one has just ended, and its scratch folder with it
        return False


def remove_others(folder: Path, keep: Collection[str], *patterns: str) -> None:
    """Remove files that match a pattern and whose name without its suffix is not to be kept: what an earlier run left.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for file in ("by_mag.csv", "by_snr.csv", "mine.txt"):
    ...         _ = (Path(name) / file).write_text("")
    ...     remove_others(Path(name), {"by_snr"}, "by_*.csv")
    ...     sorted(path.name for path in Path(name).iterdir())
    ['by_snr.csv', 'mine.txt']
    """
    for pattern in patterns:
        for path in folder.glob(pattern):
            if path.stem not in keep and path.is_file():
                path.unlink(missing_ok=True)


def scratch_folder(folder: Path, *, what: Path | str) -> FolderLock:
    """Make a folder for what is half done, hold it, and sweep away what an earlier run left in it.

    Raises
    ------
    OutputError
        Another run holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {what}: {error}; choose a place you may write, with room") from error
    lock = FolderLock(folder, what=what)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return lock


def write_whole(path: Path | str, write: Callable[[Path], object]) -> Path:
    """Let `write` make a file under another name, then give it its own in one step.

    Parameters
    ----------
    path : path
        The file; its folder is made.
    write : callable
        Called with the other name, which keeps the suffix: writers choose the format by it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        It cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_whole(f"{folder}/new/a.txt", lambda part: part.write_text("whole"))
    ...     path.read_text(), [found.name for found in path.parent.iterdir()]
    ('whole', ['a.txt'])
    """
    path = Path(path)
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        os.replace(part, path)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; choose a folder you may write, with room") from error
    return path


def write_text(path: Path | str, text: str) -> Path:
    """Write text in UTF-8 as `write_whole` does; a letter that it cannot hold, of a file's name say, is a ?."""
    return write_whole(path, lambda part: part.write_bytes(text.encode("utf-8", "replace")))


def writable_folder(folder: Path | str) -> Path:
    """Make a folder, and prove that it can be written: now, not after hours of work.

    Raises
    ------
    OutputError
        It cannot.
    """
    folder = Path(folder)
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror or error}; choose another output with -o"
        ) from error
    return folder


def shown(name: str) -> str:
    """Return a name that UTF-8 can hold, of a file whose own name is of another encoding.

    Examples
    --------
    >>> shown("night.avro"), len(shown(os.fsdecode(bytes([99, 233]))))
    ('night.avro', 2)
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def append_json(path: Path | str, value: Mapping[str, Any]) -> None:
    """Append a line of JSON, and wait for the disk; a line that was cut off by a crash is ended first.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    line = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    try:
        with Path(path).open("ab+") as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                line = line if stream.read(1) == b"\n" else b"\n" + line
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; is there room left?") from error


def json_lines(path: Path | str) -> list[dict[str, Any]]:
    r"""Return what `append_json` wrote, oldest first; a line that was cut off is passed over, and no file is no lines.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "notes.jsonl")
    ...     _ = path.write_text('{"frame": "a"}\n{"fra')
    ...     append_json(path, {"frame": "b"})
    ...     json_lines(path)
    [{'frame': 'a'}, {'frame': 'b'}]
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def plain(value: Any) -> Any:
    """Return `value` in terms of JSON; what cannot be known is null.

    Examples
    --------
    >>> plain({"a": np.float32(0.5), "b": (np.nan, np.int64(2)), "c": Path("x")})
    {'a': 0.5, 'b': [None, 2], 'c': 'x'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value if value is None else str(value)
