"""Columns of a catalogue as plain numbers and texts, whatever is missing."""

from __future__ import annotations

import hashlib

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import InputError
from ..stamps import StampSet

__all__ = ["fingerprint", "numbers", "stamp_ids", "texts"]


def numbers(catalogue: Table, name: str) -> NDArray[np.float64]:
    """Return a column as float, NaN where it is masked, absent or no number; shape (N,).

    Examples
    --------
    >>> numbers(Table({"snr": [5, 6]}), "snr").tolist(), numbers(Table({"snr": [5, 6]}), "mag").tolist()
    ([5.0, 6.0], [nan, nan])
    """
    if name not in catalogue.colnames or np.asarray(catalogue[name]).dtype.kind not in "biuf":
        return np.full(len(catalogue), np.nan)
    column = catalogue[name]
    values = np.array(column, dtype=np.float64)
    if hasattr(column, "mask"):
        values[np.asarray(column.mask)] = np.nan
    return values


def texts(catalogue: Table, name: str) -> list[str]:
    """Return a column as text, empty where it is masked or absent.

    Examples
    --------
    >>> texts(Table({"frame": ["f1", "f2"]}), "frame"), texts(Table({"frame": ["f1"]}), "field")
    (['f1', 'f2'], [''])
    """
    if name not in catalogue.colnames:
        return [""] * len(catalogue)
    column = catalogue[name]
    mask = np.asarray(column.mask) if hasattr(column, "mask") else np.zeros(len(catalogue), dtype=bool)
    values = np.asarray(column)
    found = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    return ["" if gone else value for value, gone in zip(found, mask, strict=True)]


def stamp_ids(stamps: StampSet) -> list[str]:
    """Return the names of the stamps.

    Raises
    ------
    InputError
        There are no stamps, or two of one name.
    """
    if not len(stamps):
        raise InputError("the set holds no stamps: there is nothing to look at")
    ids = texts(stamps.catalogue, "id")
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
    text = "\0".join(sorted(texts(stamps.catalogue, "id")))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
