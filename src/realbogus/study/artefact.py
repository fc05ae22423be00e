"""What a stage leaves behind: a folder with `stage.json`, finished whole or begun again.

`stage.json` names the inputs by their fingerprint; its `facts` are null until the stage is
done. Work that was begun from the same inputs is carried on, work from others is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, OutputError

__all__ = ["STAGE_FILE", "begin", "facts_of", "fingerprint", "finish", "locked", "plain", "write_whole"]

STAGE_FILE = "stage.json"


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


def fingerprint(inputs: Any) -> str:
    """Name of inputs: 16 hexadecimal digits that other inputs do not have.

    Examples
    --------
    >>> fingerprint({"b": 1, "a": 2.0}) == fingerprint({"a": 2.0, "b": 1})
    True
    """
    text = json.dumps(plain(inputs), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` make a file under another name, then give it its own in one step.

    The suffix stays: writers choose the format by it.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
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


def facts_of(folder: Path, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a stage said when it was done with these inputs; None where it is not done."""
    state = _state(folder)
    if state.get("fingerprint") != fingerprint(inputs) or not isinstance(state.get("facts"), dict):
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
    text = json.dumps(state, indent=1, allow_nan=False) + "\n"
    write_whole(folder / STAGE_FILE, lambda path: path.write_text(text, encoding="utf-8"))


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
