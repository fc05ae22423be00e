"""Files of a folder by name, and members of an archive: one at a time, whatever their number."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ARCHIVES", "LARGEST", "files_of", "members_of"]

#: What names of archives end with.
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
#: Bytes of a file in an archive, which is read as a whole.
LARGEST = 512 * 2**20


def members_of(path: Path) -> Iterator[tuple[str, bytes | None]]:
    """Yield the files of an archive from its begin to its end; None for the bytes of one that is too large.

    Raises
    ------
    OSError, tarfile.TarError, zipfile.BadZipFile, EOFError
        It is damaged.
    """
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, None if entry.file_size > LARGEST else archive.read(entry)
        return
    with tarfile.open(path, mode="r|*") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield member.name, None if member.size > LARGEST else stream.read()
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep what it has seen, and grow


def files_of(path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield files with their names, by name, and why one is refused."""
    if path.is_file():
        yield path, path.name, ""
    else:
        yield from _inside(path, path.resolve(), "")


def _inside(folder: Path, root: Path, prefix: str) -> Iterator[tuple[Path, str, str]]:
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        yield folder, prefix or str(folder), f"cannot be read: {error.strerror or error}"
        return
    for name in names:
        path = folder / name
        if path.is_symlink():
            real = path.resolve()
            if not real.is_relative_to(root) or not real.is_file():
                yield path, prefix + name, "a link that leads out of the folder, or to no file"
                continue
        if path.is_dir():
            yield from _inside(path, root, f"{prefix}{name}/")
        elif path.is_file():
            yield path, prefix + name, ""
        else:
            yield path, prefix + name, "no file: a pipe, a socket or a device"
