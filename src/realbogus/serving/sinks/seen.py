"""Which ids a file has already: kept on disk, so that memory does not grow with their number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["Seen"]


class Seen:
    """A set of texts in a scratch file.

    Parameters
    ----------
    path : Path
        The file; it is nothing to keep.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     seen = Seen(Path(folder, "seen"))
    ...     for ids in (["a", "b"], ["b", "c", "c"]):
    ...         with seen.new(ids) as new:
    ...             print(new.tolist())
    ...     seen.close()
    ...     seen.repeated
    [True, True]
    [False, True, False]
    2
    """

    def __init__(self, path: Path) -> None:
        self.repeated = 0
        self._base = sqlite3.connect(path, isolation_level=None)
        # a scratch file outlives nothing, so it need not survive anything either; 4 MiB of it are held
        for setting in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -4096", "locking_mode = EXCLUSIVE"):
            self._base.execute(f"PRAGMA {setting}")
        self._base.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")

    @contextmanager
    def new(self, ids: Sequence[str]) -> Iterator[NDArray[np.bool_]]:
        """Say which ids were not there before, and keep them where the block goes well."""
        add = "INSERT OR IGNORE INTO seen VALUES (?)"
        self._base.execute("BEGIN")
        try:
            cursor = self._base.cursor()
            new = np.array([cursor.execute(add, (text,)).rowcount == 1 for text in ids], dtype=bool)
            yield new
        except BaseException:
            if self._base.in_transaction:  # SQLite has ended it itself where its disk is full
                with suppress(sqlite3.Error):  # what went wrong first is what is told
                    self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")
        self.repeated += int((~new).sum())

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()
