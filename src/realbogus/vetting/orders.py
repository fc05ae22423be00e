"""In which order stamps are shown, and which of them twice."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import numbers
from ..errors import ConfigError, InputError
from ..registry import Registry

__all__ = ["GAP", "ORDERS", "Given", "Showing", "ordered", "queue"]

#: Fewest stamps between a stamp and its blinded repeat.
GAP = 15


@dataclass(frozen=True)
class Given:
    """What an order may look at.

    Parameters
    ----------
    catalogue : Table, N rows
        Of the stamps.
    counts : ndarray of int, shape (N, 3)
        Standing votes of each stamp, all vetters together: real, bogus, unsure.
    rng : numpy.random.Generator
        For ties and for the order by chance.
    """

    catalogue: Table
    counts: NDArray[np.int64]
    rng: np.random.Generator


#: Orders by name; each gives all N rows, in the order in which they are shown.
ORDERS: Registry[Callable[[Given], NDArray[np.intp]]] = Registry("order")


def ordered(order: str, given: Given) -> NDArray[np.intp]:
    """Return all rows in an order of `ORDERS`.

    Raises
    ------
    UnknownNameError
        No such order; the message lists the known ones.
    InputError
        The order needs a column that the set does not have.

    Examples
    --------
    >>> rows = Table({"id": ["a", "b", "c"], "score": [0.1, 0.9, 0.6]})
    >>> given = Given(rows, np.zeros((3, 3), int), np.random.default_rng(0))
    >>> ordered("score", given).tolist(), ordered("uncertainty", given).tolist()
    ([1, 2, 0], [2, 0, 1])
    """
    return ORDERS.resolve(order)(given)


@ORDERS.register("set")
def _as_they_come(given: Given) -> NDArray[np.intp]:
    return np.arange(len(given.catalogue))


@ORDERS.register("random")
def _random(given: Given) -> NDArray[np.intp]:
    return given.rng.permutation(len(given.catalogue))


@ORDERS.register("score")
def _best_first(given: Given) -> NDArray[np.intp]:
    return np.argsort(-_scores(given.catalogue), kind="stable")  # what has no score comes last


@ORDERS.register("uncertainty")
def _nearest_to_the_line(given: Given) -> NDArray[np.intp]:
    scores, line = _scores(given.catalogue), numbers(given.catalogue, "threshold")
    return np.argsort(np.abs(scores - np.where(np.isfinite(line), line, 0.5)), kind="stable")


@ORDERS.register("disagreement")
def _most_disputed(given: Given) -> NDArray[np.intp]:
    real, _, unsure = given.counts.T
    total = np.maximum(given.counts.sum(axis=1), 1)
    share = (real + 0.5 * unsure) / total
    disputed = np.where(given.counts.any(axis=1), share * (1 - share), 0.0)
    # of two that are disputed alike, the one with fewer votes needs the next one more
    return np.lexsort((given.rng.permutation(len(total)), total, -disputed))


def _scores(catalogue: Table) -> NDArray[np.float64]:
    scores = numbers(catalogue, "score")
    if not np.isfinite(scores).any():
        what = "no value in its column `score`" if "score" in catalogue.colnames else "no column `score`"
        raise InputError(
            f"this set has {what}: score it first, or choose another order ({', '.join(ORDERS)}) with --order"
        )
    return scores


@dataclass(frozen=True)
class Showing:
    """A stamp as one vetter sees it, for the first or the second time.

    Parameters
    ----------
    row : int
        In the set.
    id : str
        Of the stamp.
    repeat : bool
        A second time, unannounced.
    show : str
        A word for this showing that tells the page nothing, and is the same in every order.
    """

    row: int
    id: str
    repeat: bool
    show: str


def queue(
    rows: NDArray[np.intp], ids: Sequence[str], vetter: str, *, repeats: float, seed: int, salt: str = ""
) -> list[Showing]:
    """Return what one vetter is shown: every row once, and a share of them once more.

    Which stamps come again is drawn for each vetter apart. A repeat comes at least `GAP` stamps later, so a
    set of no more than that has none.

    Parameters
    ----------
    rows : ndarray of int, shape (N,)
        Rows in their order.
    ids : sequence of str, N
        Of all stamps, in the order of the set.
    vetter : str
        Who will see them.
    repeats : float
        Share of the stamps that is shown twice, in [0, 1].
    seed : int
        Of the draw.
    salt : str
        Of the set; goes into the word of each showing.

    Raises
    ------
    ConfigError
        The share is none.

    Examples
    --------
    >>> shown = queue(np.arange(100), [str(k) for k in range(100)], "ann", repeats=0.1, seed=1)
    >>> len(shown), sum(showing.repeat for showing in shown)
    (110, 10)
    """
    if not 0 <= repeats <= 1:
        raise ConfigError(f"repeats {repeats:g}: give the share of stamps that is shown twice, between 0 and 1")
    rng = np.random.default_rng([seed, zlib.crc32(vetter.encode())])
    early = max(len(rows) - GAP, 0)
    again = np.sort(rng.choice(early, size=min(round(repeats * len(rows)), early), replace=False))
    later = again + rng.integers(GAP, 5 * GAP, size=len(again))
    # a place of its own for each showing; a repeat comes after the stamp that stands at its place
    places = np.concatenate([np.arange(len(rows)), np.minimum(later, len(rows) - 1) + 0.5])
    which = np.concatenate([rows, rows[again]]).tolist()
    shown = np.argsort(places, kind="stable").tolist()
    return [
        Showing(which[k], ids[which[k]], k >= len(rows), word(ids[which[k]], vetter, k >= len(rows), salt))
        for k in shown
    ]


def word(stamp: str, vetter: str, repeat: bool, salt: str) -> str:
    """Return the word of a showing, from which nobody reads whether it is a repeat."""
    text = "\0".join((salt, vetter, stamp, str(repeat)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def counted(ids: Mapping[str, int], votes: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Count answers by stamp: shape (N, 3), in the order real, bogus, unsure.

    Parameters
    ----------
    ids : mapping of str to int
        Row of each stamp.
    votes : sequence of tuple
        Stamp and answer; stamps that are not in the set are passed over.
    """
    column = {"real": 0, "bogus": 1, "unsure": 2}
    counts = np.zeros((len(ids), 3), dtype=np.int64)
    for stamp, answer in votes:
        if stamp in ids:
            counts[ids[stamp], column[answer]] += 1
    return counts
