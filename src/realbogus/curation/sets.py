"""Sets of stamps on disk: opened by the folder of a night or of a set, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from ..stamps import FILES, StampSet
from ..tables import write_parquet

__all__ = ["check_apart", "check_replaceable", "open_stamps", "remove_set", "write_set"]

_BLOCK = 1024  # stamps copied at a time


def open_stamps(path: Path | str) -> StampSet:
    """Open a stamp set, or the stamps of a night by the night's folder.

    Raises
    ------
    InputError
        It is neither.
    """
    path = Path(path)
    return StampSet.load(path / "stamps" if (path / "candidates.parquet").is_file() else path)


def check_apart(out: Path | str, inputs: Sequence[Path | str]) -> Path:
    """Refuse an output folder that is, holds or lies in what is read.

    Raises
    ------
    OutputError
        It is.

    Examples
    --------
    >>> check_apart("runs/a", ["runs/b"]).name
    'a'
    >>> check_apart("runs/a/b", ["runs/a"])
    Traceback (most recent call last):
        ...
    realbogus.errors.OutputError: runs/a/b lies in runs/a, which is read: choose another output with -o
    """
    there = Path(out).resolve()
    for given in inputs:
        came = Path(given).resolve()
        if there == came or came in there.parents or there in came.parents:
            how = "is" if there == came else "lies in" if came in there.parents else "holds"
            raise OutputError(f"{out} {how} {given}, which is read: choose another output with -o")
    return Path(out)


def write_set(
    folder: Path | str,
    parts: Sequence[tuple[StampSet, NDArray[np.int64]]],
    catalogue: Table,
    channels: Sequence[str],
    provenance: Mapping[str, Any],
    *,
    texts: Mapping[str, str] | None = None,
) -> StampSet:
    """Write rows of several sets as one, a block of pixels in memory at a time.

    Parameters
    ----------
    folder : path
        Of the new set. What another call of this function left there is replaced, anything else is refused.
    parts : sequence of (StampSet, ndarray of int)
        Sets and rows of them, in the order of `catalogue`.
    catalogue : Table
        One row a stamp.
    channels : sequence of str
        Channels of the new set, in order; each part must have them.
    provenance : mapping
        Goes into `card.json`; `origin` names the tool.
    texts : mapping of str to str, optional
        Further files of the folder, by name.

    Raises
    ------
    InputError
        Counts disagree, or a part lacks a channel or has stamps of another size.
    OutputError
        The folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    count = sum(len(rows) for _, rows in parts)
    sizes = {part.pixels.shape[2] for part, _ in parts}
    if count != len(catalogue) or len(sizes) != 1:
        raise InputError(f"{count} stamps of {sorted(sizes)} px, {len(catalogue)} rows: expected one size, one a row")
    check_replaceable(folder, str(provenance["origin"]), also=tuple(texts or ()))
    draft = folder.with_name(f"{folder.name}.part")
    side = sizes.pop()
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        shape = (count, len(channels), side, side)
        if count:
            _copy(draft / "pixels.npy", parts, channels, shape)
        else:
            np.save(draft / "pixels.npy", np.zeros(shape, np.float32), allow_pickle=False)
        write_parquet(catalogue, draft / "catalogue.parquet")
        for name, text in (texts or {}).items():
            (draft / name).write_text(text, encoding="utf-8")
        StampSet.write_card(draft, channels, shape, provenance)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    except OSError as error:
        raise OutputError(f"cannot write stamps to {folder}: {error}; choose a folder you may write") from error
    return StampSet.load(folder)


def _copy(
    path: Path,
    parts: Sequence[tuple[StampSet, NDArray[np.int64]]],
    channels: Sequence[str],
    shape: tuple[int, int, int, int],
) -> None:
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    at = 0
    for part, rows in parts:
        lacking = [name for name in channels if name not in part.channels]
        if lacking:
            raise InputError(f"a set has the channels {part.channels} and lacks {lacking}")
        planes = [part.channels.index(name) for name in channels]
        same = planes == list(range(len(part.channels)))
        for start in range(0, len(rows), _BLOCK):
            block = part.pixels[rows[start : start + _BLOCK]]
            pixels[at : at + len(block)] = block if same else block[:, planes]
            at += len(block)
    pixels.flush()


def check_replaceable(folder: Path | str, origin: str, *, also: Sequence[str] = ()) -> None:
    """Refuse to replace anything but an earlier set of the same tool; votes lie in such folders too.

    Parameters
    ----------
    folder : path
        Of a set that is to be written.
    origin : str
        Name of the tool, as `write_set` keeps it.
    also : sequence of str
        Files of the folder that may go too.

    Raises
    ------
    OutputError
        Something would be lost.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    files = {*FILES, *also}
    if folder.is_dir():  # hidden files are a file manager's
        others = sorted(path.name for path in folder.iterdir() if path.name not in files and path.name[0] != ".")
    else:
        others = ["a file"]
    if others:
        raise OutputError(f"{folder} holds {', '.join(others[:3])}, which would be lost: choose another output with -o")
    if any(folder.iterdir()) and StampSet.load(folder).provenance.get("origin") != origin:
        raise OutputError(f"{folder} holds a set of another tool, which would be lost: choose another output with -o")


def remove_set(folder: Path | str, origin: str) -> None:
    """Remove an earlier set of the same tool, where there is one.

    Raises
    ------
    OutputError
        It is something else, or cannot be removed.
    """
    folder = Path(folder)
    check_replaceable(folder, origin)
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"cannot remove the earlier set {folder}: {error}; choose another output with -o") from error
