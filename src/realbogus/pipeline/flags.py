"""The bits of `flags` in a candidate list, in words."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..images import detect

__all__ = ["DETECTOR_FIXED", "UNSCORED", "WORDS", "add_flags", "in_words"]

#: The detection stays on one detector pixel while the sky moves.
DETECTOR_FIXED = 1 << 10
#: Too little of the stamp was left for a score.
UNSCORED = 1 << 11

#: Every bit and its word.
WORDS = {
    detect.BLENDED: "blended",
    detect.NEAR_MASK: "near mask",
    detect.ON_BAD_PIXEL: "bad pixel",
    detect.EDGE: "edge",
    detect.SATURATED_NEAR: "near saturated",
    detect.DIPOLE: "dipole",
    DETECTOR_FIXED: "fixed on detector",
    UNSCORED: "unscored",
}


def in_words(flags: int) -> str:
    """Return the words of `flags`, separated by commas.

    Examples
    --------
    >>> in_words(detect.EDGE | DETECTOR_FIXED)
    'edge, fixed on detector'
    """
    return ", ".join(word for bit, word in WORDS.items() if flags & bit)


def add_flags(rows: Table, fixed: NDArray[np.bool_]) -> None:
    """Complete `flags` with what only the whole night knows, and spell them out in `flag_names`."""
    flags = np.asarray(rows["flags"], dtype=np.int32)
    flags = flags | np.where(fixed, DETECTOR_FIXED, 0) | np.where(np.ma.getmaskarray(rows["score"]), UNSCORED, 0)
    rows["flags"] = flags.astype(np.int32)
    words = {int(value): in_words(int(value)) for value in np.unique(flags)}
    rows["flag_names"] = [words[int(value)] for value in flags] if len(rows) else np.zeros(0, "U1")
