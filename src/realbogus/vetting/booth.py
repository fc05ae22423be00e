"""The booth: what a vetter is shown next, and what is seen of it. Knows nothing of the web."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..columns import numbers
from ..errors import InputError
from ..stamps import StampSet
from .facts import check_facts, facts, links
from .names import fingerprint, stamp_ids
from .orders import ORDERS, Given, Showing, counted, ordered, queue
from .orientation import orientations
from .pictures import STRETCHES, sheet_png
from .register import Register
from .settings import SHEET, BoothSettings
from .votes import Vote, VoteFile, standing

__all__ = ["Booth", "OutsideError"]

#: Votes that the page can take back after a reload, most recent ones.
_HISTORY = 500


class OutsideError(InputError):
    """A stamp was asked for that is not in the set."""


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
        self.register = Register(box, self.rows, self.salt)
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

    def session(self, vetter: str, order: str | None = None) -> dict[str, Any]:
        """Return all that the page needs to begin, or to go on where the vetter stopped.

        Raises
        ------
        InputError
            No such order in this set.
        """
        order = order or self.settings.order
        shown = self._queue(vetter, order, anew=True)
        piles = self.register.piles(vetter)
        judged = {(pile[-1].id, pile[-1].repeat) for pile in piles}
        index = {(showing.id, showing.repeat): place for place, showing in enumerate(shown)}
        done = [(showing.id, showing.repeat) in judged for showing in shown]
        history = [
            {"index": index[pile[-1].id, pile[-1].repeat], **_mark(pile), "before": _mark(pile[:-1])["vote"]}
            for pile in piles
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
        others = self.register.others(vetter, {it.id for it in part}) if self.settings.show_scores else {}
        ra, dec = self._places
        marks = [_mark(self.register.pile(vetter, showing.id, showing.repeat)) for showing in part]
        items = [
            {"row": row, "id": showing.id, "show": showing.show, "facts": said[k] + _votes(others.get(showing.id)),
             "links": links(float(ra[row]), float(dec[row])), "north": _number(self.north[row]),
             "parity": int(self.parity[row]), **marks[k]}
            for k, (row, showing) in enumerate(zip(rows, part, strict=True))
        ]  # fmt: skip
        return {"start": start, "items": items}

    def sheet(self, rows: Sequence[int], stretch: str = "asinh") -> bytes:
        """Return the stamps of some rows of the set as one PNG, a stamp a row and a plane a column.

        Raises
        ------
        OutsideError
            A row is not in the set.
        UnknownNameError
            No such stretch.
        """
        if not 1 <= len(rows) <= SHEET:
            raise InputError(f"{len(rows)} stamps for one picture: ask for 1 to {SHEET}")
        outside = [row for row in rows if not 0 <= row < len(self.stamps)]
        if outside:
            raise OutsideError(f"no row {outside[0]} in this set: there are {len(self.stamps)}")
        chosen = list(rows)
        pixels = np.asarray(self.stamps.pixels[chosen], dtype=np.float32)
        noise = np.asarray(self.stamps.catalogue["noise"][chosen], dtype=np.float32)
        return sheet_png(pixels, self.stamps.channels, noise, stretch)


def _votes(said: Sequence[str] | None) -> list[tuple[str, str]]:
    return [("votes", ", ".join(said))] if said else []


def _mark(pile: Sequence[Vote]) -> dict[str, str | None]:
    return {"vote": pile[-1].vote, "key": pile[-1].key} if pile else {"vote": None, "key": None}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
