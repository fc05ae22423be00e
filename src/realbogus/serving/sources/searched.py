"""Which files of a watched folder are done: a list that survives kills."""

from __future__ import annotations

from pathlib import Path

from ...errors import OutputError
from ...files import append_json, json_lines
from ..arrivals import Arrival

__all__ = ["Searched"]


class Searched:
    """Files that need not be searched again: a container of `Arrival`.

    A file is known by its name, size and time of writing, and by the prefix that its candidates got: a camera that
    begins at 0001.fits every night, or another prefix, is searched anew.

    Parameters
    ----------
    path : Path
        List, a JSON object a line; it need not be there.
    prefix : str
        Of this run.

    Raises
    ------
    OutputError
        The list cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "done.jsonl")
    ...     Searched(path, "n1/").note(Arrival("a.fits", 2880, 1))
    ...     again, other = Searched(path, "n1/"), Searched(path, "n2/")
    >>> Arrival("a.fits", 2880, 1) in again, Arrival("a.fits", 2880, 2) in again, Arrival("a.fits", 2880, 1) in other
    (True, False, False)
    """

    def __init__(self, path: Path, prefix: str) -> None:
        self._path, self._prefix = path, prefix
        self._files: set[Arrival] = set()
        try:
            notes = json_lines(path)
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error}; give another --work") from error
        for note in notes:
            try:
                file = Arrival(str(note["frame"]), int(note["size"]), int(note["mtime_ns"]))
                if note["prefix"] == prefix:
                    self._files.add(file)
            except (ValueError, KeyError, TypeError):
                continue
        self._names = {file.name for file in self._files}

    def __contains__(self, file: object) -> bool:
        return file in self._files

    def had(self, name: str) -> bool:
        """Say whether a file of that name was searched, be it this one or another."""
        return name in self._names

    def pass_over(self, file: Arrival) -> None:
        """Do not search it again in this run."""
        self._files.add(file)
        self._names.add(file.name)

    def note(self, file: Arrival, failed: str = "") -> None:
        """Do not search it again in any run; `failed` says why nothing came of it.

        Raises
        ------
        OutputError
            The list cannot be written.
        """
        stat = {"frame": file.name, "prefix": self._prefix, "size": file.size, "mtime_ns": file.written_ns}
        append_json(self._path, stat | {"failed": failed or None})
        self.pass_over(file)
