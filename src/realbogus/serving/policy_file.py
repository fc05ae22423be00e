"""A policy in a JSON file, which may change while a loop runs; every change is recorded beside it."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classifier import Card
from ..errors import ConfigError, InputError, OutputError
from ..files import write_text
from .policy import policy_of

__all__ = ["PolicyFile", "change_policy", "history_of"]


class PolicyFile:
    """The policy that a file holds: ``{"policy": "purity=0.9", "who": "...", "why": "..."}``. A `Policy`.

    The file is looked at before every batch. What it holds then is taken from the next candidate on, and recorded in
    `FILE.history.jsonl`: time, who, why, old, new. A file that went away or holds no policy changes nothing; that
    is recorded too.

    Parameters
    ----------
    path : Path
        The file.
    card : Card
        Of the classifier.
    say : callable, optional
        Told of every change.

    Raises
    ------
    ConfigError
        It holds no policy now.

    Examples
    --------
    >>> import tempfile
    >>> card = Card(name="toy", architecture="compact")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = change_policy(f"{folder}/policy.json", "0.6", who="Ada", why="first night")
    ...     policy = PolicyFile(path, card)
    ...     _ = change_policy(path, "0.8", who="Ada", why="too many")
    ...     policy(np.zeros(1, "f4"), None, np.array([""])), policy.text, [line["why"] for line in history_of(path)]
    (array([0.8]), 'fixed=0.8', ['first night', 'too many'])
    """

    def __init__(self, path: Path, card: Card, say: Callable[[str], None] | None = None) -> None:
        self.path, self.card, self.say = path, card, say
        self._stamp = _stamp(path)
        values = _read(path)
        self._policy = policy_of(_plain(values["policy"], path), card)
        self._record(values, None)

    @property
    def text(self) -> str:
        """The policy of the moment."""
        return self._policy.text

    @property
    def follows(self) -> bool:
        """Whether the policy of the moment follows what goes by; a file may always change, so it is True."""
        return True

    def __call__(
        self, scores: NDArray[np.float32], probabilities: NDArray[np.float32] | None, nights: NDArray[np.str_]
    ) -> NDArray[np.float64]:
        """Look at the file, then say the thresholds."""
        self.look()
        return self._policy(scores, probabilities, nights)

    def look(self) -> None:
        """Take a change of the file, where there is one."""
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        old = self.text
        try:
            values = _read(self.path)
            new = policy_of(_plain(values["policy"], self.path), self.card)
        except InputError as error:  # no policy, or a name that is none
            self._tell(f"{error}; the policy stays {old}")
            _append(self.path, _line(old, None, {}) | {"refused": str(error)})
            return
        if new.text != old:
            self._policy = new  # a policy that follows starts afresh; one that did not change keeps what it saw
            self._record(values, old)
            self._tell(f"the policy is {new.text} now, it was {old}")

    def _record(self, values: dict[str, Any], old: str | None) -> None:
        """Write a line unless the last one says it already: of several processes on a file the first one writes."""
        _append(self.path, _line(old, self.text, values), once=True)

    def _tell(self, text: str) -> None:
        if self.say is not None:
            self.say(text)


def change_policy(path: Path | str, policy: str, *, who: str = "", why: str = "") -> Path:
    """Write a policy for `PolicyFile` to find, whole or not at all.

    Parameters
    ----------
    path : path
        A `.json` file.
    policy : str
        As `policy_of` reads it.
    who, why : str
        Go into the history; `who` is the user of this process where it is empty.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    return write_text(path, json.dumps({"policy": policy, "who": who or _user(), "why": why}) + "\n")


def history_of(path: Path | str) -> list[dict[str, Any]]:
    """Return the record of a policy file, oldest first: `time`, `who`, `why`, `old`, `new`, `by`."""
    try:
        lines = _history(Path(path)).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _history(path: Path) -> Path:
    return path.with_name(f"{path.stem}.history.jsonl")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this number of a user, as in a container
        return f"uid {os.getuid()}"


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the policy {path} cannot be read ({error})") from error
    if not isinstance(values, dict) or "policy" not in values:
        raise ConfigError(f'the policy {path} holds no policy: expected {{"policy": "0.7", "who": ..., "why": ...}}')
    return values


def _plain(value: Any, path: Path) -> str:
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or text.endswith(".json"):
        raise ConfigError(f"the policy {path} holds {value!r}: give a number or a text as purity=0.9")
    return text


def _line(old: str | None, new: str | None, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": str(values.get("who") or ""),
        "why": str(values.get("why") or ""),
        "old": old,
        "new": new,
        "by": f"{socket.gethostname()}:{os.getpid()}",
    }


def _append(path: Path, line: dict[str, Any], *, once: bool = False) -> None:
    target = _history(path)
    try:
        with target.open("a+", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if once and _last(target).get("new") == line["new"]:
                return
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError(f"cannot record the change of the policy in {target}: {error}") from error


def _last(path: Path) -> dict[str, Any]:
    """Return the last line that says which policy holds."""
    last: dict[str, Any] = {}
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            entry = json.loads(line)
            last = entry if entry.get("new") is not None else last
    return last
