"""The booth: what a vetter is shown next, and what becomes of a vote. Knows nothing of the web."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError
from ..stamps import StampSet
from .columns import fingerprint, numbers, stamp_ids
from .facts import check_facts, facts, links
from .orders import ORDERS, Given, Showing, counted, ordered, queue, word
from .orientation import orientations
from .pictures import STRETCHES, sheet_png
from .votes import Vote, VoteFile, standing

__all__ = ["Booth", "BoothSettings", "OutsideError", "Wire", "check_name"]

#: Votes that the page can take back after a reload, most recent ones.
_HISTORY = 500
#: Stamps on one picture, at most.
_SHEET = 200


class OutsideError(InputError):
    """A stamp was asked for that is not in the set."""


@dataclass(frozen=True)
class BoothSettings:
    """How stamps are shown.

    Parameters
    ----------
    order : str
        One of `realbogus.vetting.orders.ORDERS`, where the page chooses no other.
    seed : int
        Of the order by chance and of the blinded repeats.
    repeats : float
        Share of the stamps that each vetter sees twice, in [0, 1].
    page : int
        Stamps on a page.
    show_scores : bool
        Show scores, labels and the other vetters' votes, which are hidden otherwise.
    vetters : tuple of str
        Who may vote; anyone by default.
    facts : tuple of str
        Further columns to show.

    Raises
    ------
    ConfigError
        A value is out of range.

    Examples
    --------
    >>> BoothSettings(page=0)
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: page 0: give 1 to 200 stamps a page
    """

    order: str = "random"
    seed: int = 0
    repeats: float = 0.05
    page: int = 20
    show_scores: bool = False
    vetters: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.page <= _SHEET:
            raise ConfigError(f"page {self.page}: give 1 to {_SHEET} stamps a page")
        if not 0 <= self.repeats <= 1:
            raise ConfigError(f"repeats {self.repeats:g}: give the share of stamps shown twice, between 0 and 1")
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed}: give 0 or more")
        for name in self.vetters:
            check_name(name)


@dataclass(frozen=True)
class Wire:
    """A vote as the page sends it; `undo` names the vote to take back, all else but `key` then counts for nothing."""

    key: str
    id: str = ""
    show: str = ""
    vote: str = ""
    undo: str | None = None
    seconds: float | None = None


def check_name(name: str) -> str:
    """Return a vetter's name without blanks around it.

    Raises
    ------
    ConfigError
        It is empty, too long, or holds signs that nobody can read.

    Examples
    --------
    >>> check_name(" Henrietta Swan Leavitt ")
    'Henrietta Swan Leavitt'
    """
    name = name.strip()
    if not 1 <= len(name) <= 60 or not name.isprintable():
        raise ConfigError(f"{name[:60]!r} is no name for a vetter: give 1 to 60 letters, digits and spaces")
    return name


class Booth:
    """A set of stamps, its votes and its vetters.

    Parameters
    ----------
    stamps : StampSet
        What is judged; pixels stay on disk until a page needs them.
    box : VoteFile
        Where votes go.
    settings : BoothSettings
        How stamps are shown.
    name : str
        Of the set.

    Raises
    ------
    InputError
        The set is empty, its names are not unique, or the order needs a column that is not there.
    """

    def __init__(self, stamps: StampSet, box: VoteFile, settings: BoothSettings, name: str = "stamps") -> None:
        self.stamps, self.box, self.settings, self.name = stamps, box, settings, name
        self.ids = stamp_ids(stamps)
        self.rows = {stamp: row for row, stamp in enumerate(self.ids)}
        self.salt = fingerprint(stamps)
        self.north, self.parity = orientations(stamps.catalogue)
        check_facts(stamps.catalogue, settings.facts)
        self._places = numbers(stamps.catalogue, "ra"), numbers(stamps.catalogue, "dec")
        self._keys: dict[str, Vote] = {}
        self._age: dict[str, int] = {}
        self._stand: dict[tuple[str, str, bool], list[Vote]] = {}
        self._gone: set[str] = set()
        self._lock = threading.Lock()
        for vote in box.votes:
            self._keep(vote)
        self._queues: dict[tuple[str, str], list[Showing]] = {}
        self.orders = [order for order in ORDERS if self._possible(order)]
        self._rows_in_order(settings.order)  # now, with its reason, and not in the page

    def _possible(self, order: str) -> bool:
        try:
            self._rows_in_order(order)
        except InputError:
            return False
        return True

    def _rows_in_order(self, order: str) -> NDArray[np.intp]:
        stand = standing(self.box.votes) if order == "disagreement" else {}
        counts = counted(self.rows, [(stamp, vote.vote) for (_, stamp), vote in stand.items()])
        return ordered(order, Given(self.stamps.catalogue, counts, np.random.default_rng(self.settings.seed)))

    def _queue(self, vetter: str, order: str, *, anew: bool = False) -> list[Showing]:
        if order not in self.orders:
            ORDERS.resolve(order)
            raise InputError(f"the order {order!r} needs a column that this set does not have")
        if anew or (vetter, order) not in self._queues:
            chosen = self.settings
            self._queues[vetter, order] = queue(
                self._rows_in_order(order), self.ids, vetter, repeats=chosen.repeats, seed=chosen.seed, salt=self.salt
            )
        return self._queues[vetter, order]

    def _keep(self, vote: Vote) -> None:
        self._keys[vote.key] = vote
        self._age[vote.key] = len(self._age)
        pile = self._stand.setdefault((vote.vetter, vote.id, vote.repeat), [])
        if vote.undo is None:
            pile.append(vote)
        else:
            self._gone.add(vote.undo)
            pile[:] = [other for other in pile if other.key != vote.undo]

    def session(self, vetter: str, order: str | None = None) -> dict[str, Any]:
        """Return all that the page needs to begin, or to go on where the vetter stopped.

        Raises
        ------
        InputError
            No such order in this set.
        """
        order = order or self.settings.order
        shown = self._queue(vetter, order, anew=True)
        with self._lock:
            piles = {place: list(pile) for place, pile in self._stand.items() if pile and place[0] == vetter}
        index = {(showing.id, showing.repeat): place for place, showing in enumerate(shown)}
        done = [(vetter, showing.id, showing.repeat) in piles for showing in shown]
        history = [
            {"index": index[pile[-1].id, pile[-1].repeat], **_mark(pile), "before": _mark(pile[:-1])["vote"]}
            for pile in sorted(piles.values(), key=lambda pile: self._age[pile[-1].key])
            if (pile[-1].id, pile[-1].repeat) in index
        ]
        return {
            "set": self.name, "salt": self.salt, "vetter": vetter, "channels": list(self.stamps.channels),
            "size": int(self.stamps.pixels.shape[-1]), "count": len(shown), "page": self.settings.page,
            "order": order, "orders": self.orders, "stretches": list(STRETCHES), "done": sum(done),
            "resume": done.index(False) if False in done else max(len(shown) - 1, 0),
            "north": bool(np.isfinite(self.north).any()), "show_scores": self.settings.show_scores,
            "history": history[-_HISTORY:],
        }  # fmt: skip

    def page(self, vetter: str, start: int, order: str | None = None) -> dict[str, Any]:
        """Return the stamps from a place in the vetter's queue on, and what the vetter said of them.

        Raises
        ------
        OutsideError
            The queue has no such place.
        """
        shown = self._queue(vetter, order or self.settings.order)
        if not 0 <= start < len(shown):
            raise OutsideError(f"no stamp number {start}: there are {len(shown)}")
        part = shown[start : start + self.settings.page]
        rows = [showing.row for showing in part]
        said = facts(self.stamps.catalogue[rows], judgements=self.settings.show_scores, also=self.settings.facts)
        others = self._others(vetter, part) if self.settings.show_scores else [[] for _ in part]
        ra, dec = self._places
        with self._lock:
            marks = [_mark(self._stand.get((vetter, showing.id, showing.repeat), [])) for showing in part]
        items = [
            {"row": row, "id": showing.id, "show": showing.show, "facts": said[k] + others[k],
             "links": links(float(ra[row]), float(dec[row])), "north": _number(self.north[row]),
             "parity": int(self.parity[row]), **marks[k]}
            for k, (row, showing) in enumerate(zip(rows, part, strict=True))
        ]  # fmt: skip
        return {"start": start, "items": items}

    def _others(self, vetter: str, part: Sequence[Showing]) -> list[list[tuple[str, str]]]:
        wanted = {showing.id for showing in part}
        said: dict[str, list[str]] = {}
        with self._lock:
            for (who, stamp, _), pile in self._stand.items():
                if stamp in wanted and who != vetter and pile:
                    said.setdefault(stamp, []).append(f"{who}: {pile[-1].vote}")
        return [[("votes", ", ".join(said[showing.id]))] if showing.id in said else [] for showing in part]

    def sheet(self, rows: Sequence[int], stretch: str = "asinh") -> bytes:
        """Return the stamps of some rows of the set as one PNG, a stamp a row and a plane a column.

        Raises
        ------
        OutsideError
            A row is not in the set.
        UnknownNameError
            No such stretch.
        """
        if not 1 <= len(rows) <= _SHEET:
            raise InputError(f"{len(rows)} stamps for one picture: ask for 1 to {_SHEET}")
        outside = [row for row in rows if not 0 <= row < len(self.stamps)]
        if outside:
            raise OutsideError(f"no row {outside[0]} in this set: there are {len(self.stamps)}")
        chosen = list(rows)
        pixels = np.asarray(self.stamps.pixels[chosen], dtype=np.float32)
        noise = np.asarray(self.stamps.catalogue["noise"][chosen], dtype=np.float32)
        return sheet_png(pixels, self.stamps.channels, noise, stretch)

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
        if wire.id not in self.rows:
            return "no such stamp in this set", None
        for repeat in (False, True):
            if wire.show == word(wire.id, vetter, repeat, self.salt):
                return "", Vote(wire.id, wire.vote, vetter, now, wire.key, None, wire.seconds, repeat)
        return "this stamp was not shown so", None


def _mark(pile: Sequence[Vote]) -> dict[str, str | None]:
    return {"vote": pile[-1].vote, "key": pile[-1].key} if pile else {"vote": None, "key": None}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
