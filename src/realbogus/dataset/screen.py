"""Screening as in section 2.2.2 of the paper: hand-picked examples, three bands, a review.

A network learns from hand-picked bogus and the reals, then scores every raw bogus. Above 0.9 a bogus looks
like a real and is set apart (the *hard* set), between 0.2 and 0.9 people look again, below it stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..stamps import StampSet

__all__ = ["LOOKALIKES", "RECOGNISED", "bands", "hand_picked", "reviewed"]

#: Kinds of bogus that hardly anybody picks as an example of bogus.
LOOKALIKES = ("star",)
#: Share of them that people recognise; it decides how much scores high.
RECOGNISED = 0.1


def hand_picked(
    stamps: StampSet, rng: np.random.Generator, count: int, *, recognised: float = RECOGNISED
) -> NDArray[np.int64]:
    """Choose the bogus on which the screening network is trained.

    People pick clear examples, and the lone residual on a star's own place looks like a star (kind "star"):
    only a share of those are known for what they are. All other kinds come with the share they have among
    the detections. So the network learns what people know, and what looks like a real scores like one.
    Without the column `kind` all bogus are drawn from.

    Parameters
    ----------
    stamps : StampSet
        Labelled stamps.
    rng : numpy.random.Generator
        The only randomness.
    count : int
        How many; the paper took as many as there are reals.
    recognised : float
        Share of the look-alikes that people recognise, in [0, 1].

    Returns
    -------
    ndarray of int, shape (count,)
        Rows, sorted.

    Raises
    ------
    InputError
        There are fewer clear bogus.

    Examples
    --------
    >>> from astropy.table import Table
    >>> rows = Table({"id": range(6), "noise": [1.0] * 6, "fwhm": [3.0] * 6, "label": [1, 0, 0, 0, 1, 0]})
    >>> stamps = StampSet(np.zeros((6, 1, 64, 64), "float32"), rows)
    >>> hand_picked(stamps, np.random.default_rng(0), 4).tolist()
    [1, 2, 3, 5]
    """
    if not 0 <= recognised <= 1:
        raise InputError(f"recognised {recognised}: the share of look-alikes that people recognise lies in 0 to 1")
    clear = stamps.labels == 0
    if "kind" in stamps.catalogue.colnames:
        alike = clear & np.isin(np.asarray(stamps.catalogue["kind"]), LOOKALIKES)
        clear[alike] = rng.random(int(alike.sum())) < recognised
    bogus = np.flatnonzero(clear)
    if not 0 < count <= len(bogus):
        raise InputError(f"cannot hand-pick {count} of {len(bogus)} clear bogus: give a number from 1 to {len(bogus)}")
    return np.sort(rng.choice(bogus, count, replace=False))


def bands(scores: ArrayLike, low: float = 0.2, high: float = 0.9) -> NDArray[np.str_]:
    """Sort screening scores into the paper's three bands.

    Parameters
    ----------
    scores : array_like of float, shape (N,)
        In [0, 1], 1 = real.
    low, high : float
        Ends of the band that is reviewed, both belong to it. (The paper's text also says 0.1 to 0.8; only
        0.2 to 0.9 agrees with its sums.)

    Returns
    -------
    ndarray of str, shape (N,)
        "keep" below `low`, "review", "hard" above `high`.

    Raises
    ------
    InputError
        The limits are not in order, or a score is no number.

    Examples
    --------
    >>> bands([0.1, 0.2, 0.9, 0.95]).tolist()
    ['keep', 'review', 'review', 'hard']
    """
    values = np.asarray(scores, dtype=float)
    if not 0 <= low <= high <= 1:
        raise InputError(f"bands from {low} to {high}: need 0 <= low <= high <= 1")
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum())} of {values.size} screening scores are not finite")
    return np.where(values < low, "keep", np.where(values <= high, "review", "hard"))


def reviewed(scores: ArrayLike, share: float = 9007 / 9994, low: float = 0.2, high: float = 0.9) -> NDArray[np.bool_]:
    """Say which bogus stay after screening and review.

    People kept 9,007 of the 9,994 reviewed in the paper. What they took out must have looked like reals, so
    here the review drops those of the band that score highest.

    Parameters
    ----------
    scores : array_like of float, shape (N,)
        Screening scores of the raw bogus.
    share : float
        Share of the reviewed that stays.
    low, high : float
        Ends of the band.

    Returns
    -------
    ndarray of bool, shape (N,)
        True where the bogus stays in the set.

    Examples
    --------
    >>> reviewed([0.1, 0.3, 0.5, 0.8, 0.99], share=0.7).tolist()
    [True, True, True, False, False]
    """
    if not 0 <= share <= 1:
        raise InputError(f"share {share} of the reviewed: must lie in 0 to 1")
    values = np.asarray(scores, dtype=float)
    band = bands(values, low, high)
    stay = np.asarray(band != "hard", dtype=bool)
    rows = np.flatnonzero(band == "review")
    out = len(rows) - int(np.floor(share * len(rows) + 0.5))
    stay[rows[np.argsort(-values[rows], kind="stable")[:out]]] = False
    return stay
