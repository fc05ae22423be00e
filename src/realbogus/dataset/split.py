"""Training, validation and test sets, with no source on two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..config import SplitConfig
from ..errors import InputError
from ..stamps import StampSet

__all__ = ["Split", "split"]

_SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """Row numbers of the three sets, each sorted.

    Parameters
    ----------
    train, valid, test : ndarray of int
        Every row of the catalogue is in exactly one.
    """

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]


def split(
    stamps: StampSet | Table,
    config: SplitConfig | None = None,
    *,
    rng: np.random.Generator | None = None,
    seed: int = 0,
) -> Split:
    """Divide the rows of a stamp set or catalogue 7 : 1 : 2, or as the configuration says.

    Rows of one group (`config.by`, the source by default) stay together. Groups with a real
    among them and groups without are shared out apart, so that each set has its share of
    both. A row whose group is empty or masked is a group of its own.

    Parameters
    ----------
    stamps : StampSet or astropy.table.Table, N rows
        With the column `config.by`, unless that is `stamp`; `label` where there are labels.
    config : SplitConfig, optional
        Groups, fractions, and whether leakage is allowed.
    rng : numpy.random.Generator, optional
        Source of the order.
    seed : int
        Starts a generator where none is handed in.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        No such column, fractions that do not sum to 1, or one source on two sides where
        leakage is not allowed.

    Examples
    --------
    >>> rows = Table({"id": range(20), "source": [f"star{i // 2}" for i in range(20)], "label": [1] * 20})
    >>> parts = split(rows, seed=1)
    >>> len(parts.train), len(parts.valid), len(parts.test)
    (14, 2, 4)
    """
    config = config or SplitConfig()
    rng = np.random.default_rng(seed) if rng is None else rng
    catalogue = stamps.catalogue if isinstance(stamps, StampSet) else stamps
    shares = np.asarray(config.fractions, dtype=float)
    if (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise InputError(f"split fractions {config.fractions}: they must not be negative and must sum to 1")
    count = len(catalogue)
    groups = np.arange(count) if config.by == "stamp" else _groups(catalogue, config.by)
    labels = np.asarray(catalogue["label"]) if "label" in catalogue.colnames else np.zeros(count, int)
    side = np.empty(count, dtype=np.int64)
    _, members = np.unique(groups, return_inverse=True)
    sizes = np.bincount(members)
    has_real = np.bincount(members, weights=labels == 1) > 0
    side_of_group = np.empty(len(sizes), dtype=np.int64)
    for kind in (True, False):
        chosen = rng.permutation(np.flatnonzero(has_real == kind))
        side_of_group[chosen] = _deal(sizes[chosen], shares)
    side[:] = side_of_group[members]
    if not config.allow_leakage and "source" in catalogue.colnames:
        _refuse_leakage(_groups(catalogue, "source"), side, config.by)
    return Split(*(np.flatnonzero(side == number) for number in range(len(_SIDES))))


def _deal(sizes: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give each group to the set that lacks most; large groups first, where there is still room."""
    lacking = shares * sizes.sum()
    side = np.empty(len(sizes), dtype=np.int64)
    for number in np.argsort(-sizes, kind="stable"):
        # what is lacking in units of the share, so that equal groups fill all sets evenly
        relative = np.where(shares > 0, lacking / np.maximum(shares, 1e-12), -np.inf)
        side[number] = int(np.argmax(relative))
        lacking[side[number]] -= sizes[number]
    return side


def _groups(catalogue: Table, name: str) -> NDArray[np.int64]:
    if name not in catalogue.colnames:
        raise InputError(
            f"cannot split by {name!r}: the catalogue has the columns {catalogue.colnames}; "
            'set split.by to one of them, or to "stamp" (which lets a source lie on two sides)'
        )
    column = catalogue[name]
    mask = np.broadcast_to(np.asarray(getattr(column, "mask", False)), (len(column),))
    values = np.asarray(column.filled() if hasattr(column, "filled") else column)
    alone = mask | (values == "") if values.dtype.kind in "SUO" else mask
    _, number = np.unique(values.astype(str), return_inverse=True)
    return np.where(alone, -1 - np.arange(len(values)), number)


def _refuse_leakage(sources: NDArray[np.int64], side: NDArray[np.int64], by: str) -> None:
    _, first, members = np.unique(sources, return_index=True, return_inverse=True)
    torn = np.unique(members[side != side[first][members]])
    if len(torn):
        raise InputError(
            f"split by {by!r} puts {len(torn)} of {len(first)} sources on two sides, so the test would know "
            'what it asks; split by "source", or set split.allow_leakage = true to do it knowingly'
        )
