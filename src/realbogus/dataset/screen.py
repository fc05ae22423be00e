"""Screening as in section 2.2.2 of the paper: hand-picked examples, three bands, a review.

A network learns from hand-picked bogus and the reals, then scores every raw bogus. Above 0.9 a bogus looks
like a real and is set apart (the *hard* set), between 0.2 and 0.9 people look again, below it stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..stamps import StampSet

__all__ = ["BANDS", "LOOKALIKES", "RECOGNISED", "bands", "doubt", "hand_picked", "held_out"]

#: The bands in order, and the paper's share of its 190,000 raw bogus in each. The text's "0.1-0.8" contradicts its
#: own sums; only 0.2-0.9 adds up to 177,696.
BANDS: dict[str, float] = {"keep": 168_689 / 190_000, "review": 9_994 / 190_000, "hard": 11_317 / 190_000}
#: Kinds of bogus that hardly anybody picks as an example of bogus.
LOOKALIKES = ("star",)
#: Share of them that people recognise; it decides how much scores high.
RECOGNISED = 0.0
#: Held-out accuracy below which a screening network is not worth its name.
_LEAST_ACCURACY = 0.8


def hand_picked(
    stamps: StampSet, rng: np.random.Generator, count: int, *, recognised: float = RECOGNISED
) -> NDArray[np.int64]:
    """Choose the bogus on which the screening network is trained.

    People pick clear examples, and the lone residual on a star's own place looks like a star (kind "star"):
    none of those, or only a share, is known for what it is. All other kinds come with the share they have among
    the detections. So the network learns what people know, and what looks like a real scores like one.
    Without the column `kind` all bogus are drawn from.

    Parameters
    ----------
    stamps : StampSet
        Labelled stamps.
    rng : numpy.random.Generator
        The only randomness.
    count : int
        How many, or all that are clear where there are fewer; the paper took as many as there are reals.
    recognised : float
        Share of the look-alikes that people recognise, in [0, 1].

    Returns
    -------
    ndarray of int, shape (at most count,)
        Rows, sorted.

    Raises
    ------
    InputError
        `count` is not positive, or nothing is clear.

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
    if count < 1 or not len(bogus):
        raise InputError(
            f"cannot hand-pick {count} of {len(bogus)} clear bogus: ask for at least 1, of a set that holds clear bogus"
        )
    return np.sort(rng.choice(bogus, min(count, len(bogus)), replace=False))


def held_out(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose the tenth of each class that the screening network does not learn from, one stamp at least.

    Raises
    ------
    InputError
        A class has fewer than two stamps.

    Examples
    --------
    >>> held_out(np.repeat([0, 1], [30, 2]), np.random.default_rng(0)).sum().item()
    4
    """
    check = np.zeros(len(labels), dtype=bool)
    for value in (0, 1):
        of_class = rng.permutation(np.flatnonzero(labels == value))
        if len(of_class) < 2:
            raise InputError(f"the seed set has {len(of_class)} stamps of label {value}: 2 are needed, better 100")
        check[of_class[: max(1, len(of_class) // 10)]] = True
    return check


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


def doubt(accuracy: float | None) -> list[str]:
    """Say so where the screening network has learned too little for its bands to mean anything.

    Examples
    --------
    >>> doubt(0.97), doubt(None), doubt(0.6)[0][:40]
    ([], [], 'The screening network is right on 60 % o')
    """
    if accuracy is None or accuracy >= _LEAST_ACCURACY:
        return []
    return [
        f"The screening network is right on {100 * accuracy:.0f} % of what it did not learn from (paper: 97 %): "
        "it has learned too little, and its bands mean nothing. Give it more stamps or more epochs."
    ]
