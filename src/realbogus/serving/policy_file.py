"""A policy in a JSON file, which may change while a loop runs; every change is recorded beside it."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classifier import Card
from ..errors import ConfigError, InputError, OutputError
from ..files import append_json, json_lines, write_text, write_whole
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
        self._unrecorded: tuple[int, ...] | None = None
        self._record(values, None, self.text)

    @property
    def text(self) -> str:
        """The policy of the moment."""
        return self._policy.text

    def __call__(
        self, scores: NDArray[np.float32], probabilities: NDArray[np.float32] | None, nights: NDArray[np.str_]
    ) -> NDArray[np.float64]:
        """Look at the file, then say the thresholds."""
        self.look()
        return self._policy(scores, probabilities, nights)

    def look(self) -> None:
        """Take a change of the file, where there is one and it can be recorded."""
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        old = self.text
        try:
            self._take(old)
        except OutputError as error:
            if stamp != self._unrecorded:
                self._unrecorded = stamp
                self._tell(f"{error}; the policy stays {old} until the change can be recorded")
            return
        self._stamp = stamp

    def change(self, policy: str, *, who: str = "", why: str = "") -> None:
        """Record a change, then put it into the file; `look` takes it from there.

        Raises
        ------
        InputError
            It is no policy.
        OutputError
            It cannot be recorded or written, and nothing has changed.
        """
        new = policy_of(_plain(policy.strip(), self.path), self.card).text
        values = _values(policy.strip(), who, why)

        with _recording(self.path) as record:

            def write(part: Path) -> None:
                part.write_text(json.dumps(values) + "\n", encoding="utf-8")
                record(_line(self.text, new, values))

            write_whole(self.path, write)

    def _take(self, old: str) -> None:
        try:
            values = _read(self.path)
            new = policy_of(_plain(values["policy"], self.path), self.card)
        except InputError as error:  # no policy, or a name that is none
            with _recording(self.path) as record:
                record(_line(old, None, {}) | {"refused": str(error)})
            self._tell(f"{error}; the policy stays {old}")
            return
        if new.text != old:
            self._record(values, old, new.text)
            self._policy = new  # a policy that follows starts afresh; one that did not change keeps what it saw
            self._tell(f"the policy is {new.text} now, it was {old}")

    def _record(self, values: dict[str, Any], old: str | None, new: str) -> None:
        with _recording(self.path) as record:
            record(_line(old, new, values))

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
    with _recording(Path(path)):
        return write_text(path, json.dumps(_values(policy, who, why)) + "\n")


def _values(policy: str, who: str, why: str) -> dict[str, Any]:
    return {"policy": policy, "who": who or _user(), "why": why}


def history_of(path: Path | str) -> list[dict[str, Any]]:
    """Return the record of a policy file, oldest first: `time`, `who`, `why`, `old`, `new`, `by`.

    A line that was cut off, by a power failure say, is passed over.
    """
    return json_lines(_history(Path(path)))


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


@contextmanager
def _recording(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Keep others off a policy file and its history, and give what appends a line to the latter.

    A line whose policy is the one that holds already is left out: of several processes on a file one writes it.
    """
    target = _history(path)

    def record(line: dict[str, Any]) -> None:
        held = [entry["new"] for entry in json_lines(target) if entry.get("new") is not None]
        if line["new"] is None or line["new"] not in held[-1:]:
            append_json(target, line)

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield record
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot record the change of the policy in {target}: {error}") from error
