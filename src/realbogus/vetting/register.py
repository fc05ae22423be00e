"""The register: which votes stand, which are taken, and which are refused. Knows nothing of the web or of pictures."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .orders import word
from .votes import Vote, VoteFile

__all__ = ["Register", "Wire"]


@dataclass(frozen=True)
class Wire:
    """A vote as the page sends it; `undo` names the vote to take back, all else but `key` then counts for nothing."""

    key: str
    id: str = ""
    show: str = ""
    vote: str = ""
    undo: str | None = None
    seconds: float | None = None


class Register:
    """Votes on a set of stamps, as they stand and as they come.

    Parameters
    ----------
    box : VoteFile
        Where votes go.
    ids : collection of str
        Names of the stamps.
    salt : str
        Stands for the set in the words by which showings are known.
    """

    def __init__(self, box: VoteFile, ids: Collection[str], salt: str) -> None:
        self.box, self._ids, self._salt = box, ids, salt
        self._keys: dict[str, Vote] = {}
        self._age: dict[str, int] = {}
        self._stand: dict[tuple[str, str, bool], list[Vote]] = {}
        self._gone: set[str] = set()
        self._lock = threading.Lock()
        for vote in box.votes:
            self._keep(vote)

    def _keep(self, vote: Vote) -> None:
        self._keys[vote.key] = vote
        self._age[vote.key] = len(self._age)
        pile = self._stand.setdefault((vote.vetter, vote.id, vote.repeat), [])
        if vote.undo is None:
            pile.append(vote)
        else:
            self._gone.add(vote.undo)
            pile[:] = [other for other in pile if other.key != vote.undo]

    def pile(self, vetter: str, stamp: str, repeat: bool) -> list[Vote]:
        """Return the votes of one vetter on one showing that were not taken back, oldest first."""
        with self._lock:
            return list(self._stand.get((vetter, stamp, repeat), []))

    def piles(self, vetter: str) -> list[list[Vote]]:
        """Return all piles of one vetter that hold something, by their latest vote."""
        with self._lock:
            found = [list(pile) for (who, _, _), pile in self._stand.items() if pile and who == vetter]
            return sorted(found, key=lambda pile: self._age[pile[-1].key])

    def others(self, vetter: str, wanted: Collection[str]) -> dict[str, list[str]]:
        """Return what the others say of some stamps, as `name: vote`."""
        said: dict[str, list[str]] = {}
        with self._lock:
            for (who, stamp, _), pile in self._stand.items():
                if stamp in wanted and who != vetter and pile:
                    said.setdefault(stamp, []).append(f"{who}: {pile[-1].vote}")
        return said

    def cast(self, vetter: str, wires: Sequence[Wire]) -> tuple[list[str], dict[str, str]]:
        """Take votes; when this returns, those that were taken are on the disk.

        Parameters
        ----------
        vetter : str
            Whose they are.
        wires : sequence of Wire
            In the order in which they were given. One whose key is known is there already, and taken.

        Returns
        -------
        taken : list of str
            Keys that are on the disk.
        refused : dict of str to str
            Key and reason of each that is not, and never will be.

        Raises
        ------
        OutputError
            They cannot be written; then none of the new ones was taken.
        """
        taken: list[str] = []
        refused: dict[str, str] = {}
        with self._lock:
            new: dict[str, Vote] = {}
            for wire in wires:
                reason, vote = self._read(vetter, wire, new)
                if vote is not None:
                    new[vote.key] = vote
                if reason:
                    refused[wire.key] = reason
                else:
                    taken.append(wire.key)
            self.box.append(list(new.values()))
            for vote in new.values():
                self._keep(vote)
        return taken, refused

    def _read(self, vetter: str, wire: Wire, new: Mapping[str, Vote]) -> tuple[str, Vote | None]:
        """Return why a vote is refused, or the vote; neither where it is there already."""
        there = self._keys.get(wire.key) or new.get(wire.key)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if there is not None:
            same = there.vetter == vetter and there.undo == wire.undo
            if wire.undo is None:
                same = same and (there.id, there.vote) == (wire.id, wire.vote)
            return ("" if same else "another vote has this key", None)
        if wire.undo is not None:
            back = self._keys.get(wire.undo) or new.get(wire.undo)
            if back is None or back.vetter != vetter or back.undo is not None:
                return "no vote of yours has the key that was to be taken back", None
            if wire.undo in self._gone or any(vote.undo == wire.undo for vote in new.values()):
                return "that vote was taken back already", None
            return "", Vote(back.id, back.vote, vetter, now, wire.key, wire.undo, None, back.repeat)
        if wire.id not in self._ids:
            return "no such stamp in this set", None
        for repeat in (False, True):
            if wire.show == word(wire.id, vetter, repeat, self._salt):
                return "", Vote(wire.id, wire.vote, vetter, now, wire.key, None, wire.seconds, repeat)
        return "this stamp was not shown so", None
