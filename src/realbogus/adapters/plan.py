"""From the paths that were given to pieces of work, in an order that is always the same."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .containers import open_container
from .layout import Layout, table_rows
from .packets import CHANNELS, UnusableError
from .units import ArrayPart, FitsStamp, PacketFile, Refused, Unit

__all__ = ["chunks", "find_units"]

_FITS = re.compile(r"\.(fits?|fts)(\.gz|\.fz)?$", re.IGNORECASE)
_ARRAY = re.compile(r"\.np[yz]$", re.IGNORECASE)
_LARGE = 8 * 2**20  # bytes of a chunk, and of a file that is not read in parts
_MOST = 128  # files or rows of a chunk


@dataclass(frozen=True)
class _Found:
    path: Path
    name: str
    size: int
    alone: bool = False  # given by itself, not found in a folder


def find_units(paths: Sequence[Path | str], layout: Layout, *, apart: Path, scratch: Path) -> list[Unit]:
    """List what there is to read.

    Parameters
    ----------
    paths : sequence of path
        Files and folders. A folder is searched with everything in it, by name; hidden files are passed over, and a
        link that leads out of the folder is refused.
    layout : Layout
        Of FITS cutouts and arrays.
    apart : Path
        The output's folder; it is not searched.
    scratch : Path
        Folder for an array out of a .npz file.

    Returns
    -------
    list of Unit

    Raises
    ------
    InputError
        A path does not exist, or an array does not fit its table.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "b.avro").write_bytes(b"Obj"), Path(folder, "a.txt").write_text("notes")
    ...     [unit.name for unit in find_units([folder], Layout(), apart=Path("x"), scratch=Path("x"))]
    ['a.txt', 'b.avro']
    """
    rows = table_rows(layout)
    by_id = {str(row["id"]): row for row in rows or () if row.get("id") is not None}
    if len(by_id) < len(rows or ()) and any("id" in row for row in rows or ()):
        raise InputError("the table has the same id twice, or a row without one: every stamp has its own")
    units: list[Unit] = []
    arrays = 0
    for path in paths:
        found = list(_files(Path(path), apart.resolve()))
        fits = [entry for entry in found if isinstance(entry, _Found) and _FITS.search(entry.name)]
        units += _fits_units(fits, layout, by_id)
        for entry in found:
            if isinstance(entry, Refused):
                units.append(entry)
            elif _ARRAY.search(entry.name):
                arrays += 1
                units += _array_units(entry, layout, rows, scratch)
            elif not _FITS.search(entry.name):
                units += _packet_units(entry)
    if by_id and not arrays:
        seen = {unit.metadata["id"] for unit in units if isinstance(unit, FitsStamp) and "id" in unit.metadata}
        units += [
            Refused(str(layout.table) if isinstance(layout.table, str | Path) else "table", "no cutout",
                    f"no FITS cutout is called {key!r}")
            for key, row in by_id.items() if row["id"] not in seen
        ]  # fmt: skip
    return units


def _files(path: Path, apart: Path) -> Iterator[_Found | Refused]:
    if not path.exists():
        raise InputError(f"there is no {path}: give alert packets, FITS cutouts, arrays, or folders of them")
    if path.is_file():
        yield _Found(path, path.name, path.stat().st_size, True)
        return
    root = path.resolve()
    if root == apart:
        raise InputError(f"{path} is the folder to write to: choose another with -o")
    yield from _inside(path, root, apart, "")


def _inside(folder: Path, root: Path, apart: Path, prefix: str) -> Iterator[_Found | Refused]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Refused(prefix or str(folder), "damaged", f"cannot be read: {error.strerror or error}")
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            real = Path(entry.path).resolve()
            if not real.is_relative_to(root) or not real.is_file():
                yield Refused(name, "refused", "a link that leads out of the folder, or to no file")
                continue
        if entry.is_dir():
            if Path(entry.path).resolve() != apart:
                yield from _inside(Path(entry.path), root, apart, f"{name}/")
        elif entry.is_file():
            yield _Found(Path(entry.path), name, entry.stat().st_size)
        else:
            yield Refused(name, "foreign", "no file: a pipe, a socket or a device")


def _packet_units(found: _Found) -> Iterator[Unit]:
    """One unit a file; a large container is cut between its blocks."""
    if found.size <= _LARGE:
        yield PacketFile(found.path, found.name, found.size)
        return
    start: int | None = None
    first, count, weight = 0, 0, 0
    try:
        with found.path.open("rb") as stream:
            for block in open_container(stream, found.size).blocks():
                count, weight = count + 1, weight + block.size
                if weight >= _LARGE or count >= _MOST:
                    yield PacketFile(found.path, found.name, weight, start, first, count)
                    start, first, count, weight = block.start + block.size + 16, block.first + block.count, 0, 0
    except (UnusableError, OSError):
        pass  # the last part finds it again, and says so
    if start is None or start < found.size:
        yield PacketFile(found.path, found.name, weight, start, first)


def _fits_units(found: Sequence[_Found], layout: Layout, rows: dict[str, dict[str, Any]]) -> Iterator[Unit]:
    columns = tuple(layout.columns.items())
    if not layout.files:
        extensions = {channel: layout.extension(channel) for channel in CHANNELS}
        for entry in found:
            name = _FITS.sub("", entry.name)
            paths = dict.fromkeys(CHANNELS, entry.path)
            yield FitsStamp(name, paths, extensions, rows.get(name, layout.facts), columns, entry.size)
        return
    groups: dict[str, dict[str, _Found]] = {}
    for entry in found:
        channel, name = _matched(entry.name, layout)
        if channel is None:
            yield Refused(entry.name, "foreign", f"called like no channel: {', '.join(layout.files.values())}")
        elif channel in groups.setdefault(name, {}):
            yield Refused(entry.name, "duplicate", f"a second {channel} of {name}")
        else:
            groups[name][channel] = entry
    for name, files in groups.items():
        absent = [channel for channel in CHANNELS if channel not in files]
        if absent:
            yield Refused(name, "no cutout", f"no file for {', '.join(absent)}")
            continue
        paths = {channel: entry.path for channel, entry in files.items()}
        weight = sum(entry.size for entry in files.values())
        yield FitsStamp(name, paths, {}, rows.get(name, layout.facts), columns, weight)


def _matched(name: str, layout: Layout) -> tuple[str | None, str]:
    folder, _, last = name.rpartition("/")
    for channel, pattern in layout.files.items():
        before, _, after = pattern.partition("*")
        if last.startswith(before) and last.endswith(after) and len(last) > len(before) + len(after):
            middle = last[len(before) : len(last) - len(after)]
            return channel, f"{folder}/{middle}" if folder else middle
    return None, name


def _array_units(found: _Found, layout: Layout, rows: list[dict[str, Any]] | None, scratch: Path) -> Iterator[Unit]:
    path = found.path
    try:
        if found.name.lower().endswith(".npz"):
            path = _unpacked(found, layout, scratch)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, InputError):
            raise
        yield Refused(found.name, "damaged", f"no NumPy array: {error}")
        return
    count, channels = len(array) if array.ndim else 0, len(layout.channels)
    wrong = None
    if array.ndim != 4 or channels not in (array.shape[1], array.shape[3]) or array.dtype.kind not in "fiu":
        wrong = f"shape {array.shape} of {array.dtype}, expected numbers (N, {channels}, H, W) or (N, H, W, {channels})"
    elif rows is None:
        wrong = f"{count} stamps without facts: give their table with --table"
    elif len(rows) != count:
        wrong = f"{count} stamps and the table {len(rows)} rows: there must be one a stamp"
    if wrong is not None or rows is None:
        if found.alone:
            raise InputError(f"{found.path} has {wrong}")
        yield Refused(found.name, "foreign", f"an array that has {wrong}")  # one among packets is no reason to stop
        return
    last = array.shape[1] != channels
    size = int(array[:1].nbytes)
    for first in range(0, count, _MOST):
        part = tuple(rows[first : first + _MOST])
        yield ArrayPart(path, found.name, first, part, layout.channels, last, len(part) * size)


def _unpacked(found: _Found, layout: Layout, scratch: Path) -> Path:
    """Copy the stamps out of a .npz file, to be read without holding them all."""
    with zipfile.ZipFile(found.path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        name = layout.array
        if name is None:
            shaped = [key for key, member in members.items() if len(_shape(archive, member)) == 4]
            name = shaped[0] if len(shaped) == 1 else None
        if name not in members:
            raise InputError(f"{found.path} holds {', '.join(members)}: say with --array which one has the stamps")
        scratch.mkdir(parents=True, exist_ok=True)
        target = scratch / f"array-{len(list(scratch.glob('array-*')))}.npy"
        with archive.open(members[name]) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out, 2**20)
    return target


def _shape(archive: zipfile.ZipFile, member: str) -> tuple[int, ...]:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape: tuple[int, ...] = read(stream)[0]
        return shape


def chunks(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Put units together until there are enough bytes or files to be worth a trip to another process.

    Examples
    --------
    >>> [len(part) for part in chunks([Refused(str(k), "empty", "") for k in range(600)])]
    [128, 128, 128, 128, 88]
    """
    part: list[Unit] = []
    weight = 0
    for unit in units:
        if part and (len(part) >= _MOST or weight + unit.weight > _LARGE or isinstance(unit, ArrayPart)):
            yield part
            part, weight = [], 0
        part.append(unit)
        weight += unit.weight
    if part:
        yield part
