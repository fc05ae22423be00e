"""Names by which votes are kept."""

from __future__ import annotations

import hashlib

import numpy as np

from ..columns import texts
from ..errors import InputError
from ..stamps import StampSet

__all__ = ["fingerprint", "stamp_ids"]


def stamp_ids(stamps: StampSet) -> list[str]:
    """Return the names of the stamps.

    Raises
    ------
    InputError
        There are no stamps, or two of one name.
    """
    if not len(stamps):
        raise InputError("the set holds no stamps: there is nothing to look at")
    ids: list[str] = texts(stamps.catalogue, "id").tolist()
    if len(set(ids)) < len(ids):
        names, counts = np.unique(ids, return_counts=True)
        twice = names[counts > 1]
        raise InputError(
            f"{len(twice)} names stand for several stamps ({', '.join(twice[:3])}): votes are kept by the column `id`, "
            "which must be unique"
        )
    return ids


def fingerprint(stamps: StampSet) -> str:
    """Return a short word that stands for the names of a set's stamps."""
    text = "\0".join(sorted(texts(stamps.catalogue, "id").tolist()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
