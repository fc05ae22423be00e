"""A file is there whole, or not at all."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

from realbogus.errors import OutputError
from realbogus.files import FolderLock, write_text, write_whole


def test_a_writer_that_dies_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "old")

    def dies(part: Path) -> None:
        part.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: .*No space left.*choose a folder"):
        write_whole(path, dies)
    assert path.read_text() == "old"
    assert write_text(path, "é").read_bytes() == "é".encode()


def test_the_other_name_keeps_the_suffix(tmp_path: Path) -> None:
    seen: list[Path] = []
    write_whole(tmp_path / "deep" / "a.b.pdf", lambda part: (seen.append(part), part.touch()))
    assert seen[0].suffix == ".pdf"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.b.pdf"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "file" / "a", "")


def test_a_lock_is_let_go_though_a_forked_child_lives(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    child = subprocess.Popen(["sleep", "30"], pass_fds=[lock._file])  # has the open folder, as a fork would
    try:
        lock.close()
        FolderLock(tmp_path).close()
    finally:
        child.kill()
        child.wait()


def test_a_folder_that_was_replaced_meanwhile_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run before removed its scratch folder between the opening and the lock, and a third one made it again."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    flock = fcntl.flock

    def late(file: int, how: int) -> None:
        folder.rename(tmp_path / "old")
        folder.mkdir()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputError, match="another run is writing to"):
        FolderLock(folder)
