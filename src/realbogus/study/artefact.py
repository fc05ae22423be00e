"""What a stage leaves behind: a folder with `stage.json`, finished whole or begun again.

`stage.json` names the inputs by their fingerprint; its `facts` are null until the stage is
done. Work that was begun from the same inputs is carried on, work from others is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, InputError, OutputError
from ..files import plain, write_text
from ..tables import read_parquet

__all__ = ["STAGE_FILE", "begin", "facts_of", "fingerprint", "finish", "locked"]

STAGE_FILE = "stage.json"


def fingerprint(inputs: Any) -> str:
    """Name of inputs: 16 hexadecimal digits that other inputs do not have.

    Examples
    --------
    >>> fingerprint({"b": 1, "a": 2.0}) == fingerprint({"a": 2.0, "b": 1})
    True
    """
    text = json.dumps(plain(inputs), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def facts_of(folder: Path, inputs: Mapping[str, Any], *tables: Path) -> dict[str, Any] | None:
    """Return what a stage said when it was done with these inputs; None where it is not done.

    Nor is it done where one of the `tables` that it left is lost or cut short: it is made again, or the study
    would stop at it for ever.
    """
    state = _state(folder)
    if state.get("fingerprint") != fingerprint(inputs) or not isinstance(state.get("facts"), dict):
        return None
    try:
        for table in tables:
            read_parquet(table)
    except InputError:
        return None
    facts: dict[str, Any] = state["facts"]
    return facts


def begin(folder: Path, inputs: Mapping[str, Any]) -> None:
    """Make ready for a stage: keep what was begun with the same inputs, remove all else."""
    if _state(folder).get("fingerprint") == fingerprint(inputs):
        return
    # the state goes first: a folder that is half removed must not look like a stage that is done
    with contextlib.suppress(FileNotFoundError):
        (folder / STAGE_FILE).unlink()
    if folder.exists():
        shutil.rmtree(folder)
    _write(folder, inputs, None)


def finish(folder: Path, inputs: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Say that the stage is done; the last thing that it does."""
    _write(folder, inputs, facts)


def _state(folder: Path) -> dict[str, Any]:
    try:
        state = json.loads((folder / STAGE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write(folder: Path, inputs: Mapping[str, Any], facts: Mapping[str, Any] | None) -> None:
    state = {"fingerprint": fingerprint(inputs), "inputs": plain(inputs), "facts": plain(facts)}
    write_text(folder / STAGE_FILE, json.dumps(state, indent=1, allow_nan=False) + "\n")


@contextlib.contextmanager
def locked(path: Path, *, wait: bool, what: str = "another process") -> Iterator[None]:
    """Hold the lock file `path`; the system lets go of it when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The lock file; it stays.
    wait : bool
        Whether to wait for it, or to refuse where it is held.
    what : str
        Who holds it, for the message.

    Raises
    ------
    ConfigError
        It is held by someone else.
    OutputError
        The file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise OutputError(f"cannot write to {path.parent}: {error}; choose a folder you may write") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise ConfigError(
                f"{what} is at work in {path.parent}: wait until it has ended, or choose another folder"
            ) from error
        yield
