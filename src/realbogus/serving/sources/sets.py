"""An archive of stamp sets as a source: one set after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..batch import Batch
from .source import SOURCES, SourceKind
from .stamps import StampPart, StampSource, is_set

__all__ = ["StampSets"]

#: How deep in folders a set may lie.
_DEEPEST = 3


class StampSets:
    """The stamp sets in a folder, by name.

    Two sets may use the same ids, so each id has its set's place in the folder and a slash before it.

    Parameters
    ----------
    folder : path
        With stamp sets in it, or in folders in it; hidden folders and links are passed over.
    prefix : str
        Put before every id.
    **options
        As `StampSource` takes them, for every set.

    Raises
    ------
    InputError
        No set, or one that is damaged or lacks a channel.
    """

    def __init__(self, folder: Path | str, *, prefix: str = "", **options: Any) -> None:
        self.folder = Path(folder)
        self.sources = [
            StampSource(path, prefix=f"{prefix}{path.relative_to(self.folder).as_posix()}/", **options)
            for path in _sets(self.folder, _DEEPEST)
        ]
        if not self.sources:
            raise InputError(f"no stamp set in {folder}: give a folder of what `realbogus cut` writes")

    @property
    def count(self) -> int:
        """Rows of all."""
        return sum(source.count for source in self.sources)

    def parts(self, size: int) -> Iterator[StampPart]:
        """Yield blocks of rows; none has rows of two sets."""
        for source in self.sources:
            yield from source.parts(size)

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield the rows in blocks."""
        for part in self.parts(size):
            yield from part.batches(size)

    def commit(self, receipt: Any) -> None:
        """Nothing to remember: the sets stay as they are."""

    def close(self) -> None:
        """Nothing is held between blocks."""


def _sets(folder: Path, deep: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink() or not path.is_dir():
            continue
        if is_set(path):
            yield path
        elif deep > 1:
            yield from _sets(path, deep - 1)


def _holds_sets(path: Path) -> bool:
    return path.is_dir() and next(_sets(path, _DEEPEST), None) is not None


SOURCES.register("stamp sets")(SourceKind("a folder of several stamp sets", _holds_sets, StampSets, turn=3))
