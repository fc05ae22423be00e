"""Files of a folder by name, and members of an archive: one at a time, whatever their number."""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...files import shown

__all__ = ["ARCHIVES", "DAMAGES", "LARGEST", "Inside", "files_of", "members_of"]

#: What names of archives end with.
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
#: Bytes of a file in an archive, which is read as a whole.
LARGEST = 512 * 2**20
#: What reading an archive that is damaged, or of a kind that is not known here, raises.
DAMAGES = (
    OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class Inside:
    """A file of an archive, or why there are no bytes of it.

    Parameters
    ----------
    name : str
    data : bytes
    cause : str
        `damaged`, `refused`, or nothing.
    reason : str
    """

    name: str
    data: bytes = b""
    cause: str = ""
    reason: str = ""


def members_of(path: Path) -> Iterator[Inside]:
    """Yield the files of an archive from its begin to its end; a damaged one in a zip is one of them and no more.

    Raises
    ------
    One of `DAMAGES`
        The archive itself is damaged; what a tar has behind such a place cannot be found.
    """
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield _of_zip(archive, entry)
        return
    with tarfile.open(path, mode="r|*") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield _too_large(member.name) if member.size > LARGEST else Inside(member.name, stream.read())
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep what it has seen, and grow


def _of_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Inside:
    if entry.file_size > LARGEST:
        return _too_large(entry.filename)
    try:
        return Inside(entry.filename, archive.read(entry))
    except DAMAGES as error:  # a zip lists its members: the next one is where it says, whatever this one holds
        return Inside(entry.filename, cause="damaged", reason=f"cannot be taken from its archive: {error}")


def _too_large(name: str) -> Inside:
    return Inside(name, cause="refused", reason=f"more than {LARGEST} bytes in one file of an archive")


def files_of(path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield files with their names, by name, and why one is refused."""
    if path.is_file():
        yield path, shown(path.name), ""
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
        name = shown(name)
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
