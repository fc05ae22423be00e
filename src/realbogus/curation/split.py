"""Training, validation and test sets by stamp, source, field, night or time, and what each lets through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import numbers, texts
from ..config import SplitConfig
from ..dataset.split import Split
from ..dataset.split import split as split_groups
from ..errors import ConfigError, InputError
from ..registry import Registry
from ..stamps import StampSet
from .parts import SIDES, Parts

__all__ = ["RULES", "leakage", "nights", "split", "told"]

#: Columns that a test must not share with what was learned from, where a set has them.
_GROUPS = ("source", "field", "night", "frame")
_GAP_DAYS = 0.25  # between two nights there are six hours without a frame

#: Ways to split: from a catalogue to the group of each row; `time` has its own order.
RULES: Registry[Callable[[Table], NDArray[np.str_]]] = Registry("split")


@RULES.register("stamp")
def _by_stamp(catalogue: Table) -> NDArray[np.str_]:
    return np.arange(len(catalogue)).astype(str)


@RULES.register("source")
def _by_source(catalogue: Table) -> NDArray[np.str_]:
    return _column(catalogue, "source")


@RULES.register("field")
def _by_field(catalogue: Table) -> NDArray[np.str_]:
    return _column(catalogue, "field")


@RULES.register("night")
def nights(catalogue: Table) -> NDArray[np.str_]:
    """Return the night of each row: the column `night`, or what six hours without a frame part in `mjd`.

    Raises
    ------
    InputError
        There is neither.

    Examples
    --------
    >>> nights(Table({"id": list("abc"), "mjd": [60000.9, 60001.1, 60001.9]})).tolist()
    ['night-60000.900', 'night-60000.900', 'night-60001.900']
    """
    if (texts(catalogue, "night") != "").any():
        return _column(catalogue, "night")
    mjd = _times(catalogue)
    times = np.unique(mjd)
    first = np.flatnonzero(np.diff(times, prepend=-np.inf) > _GAP_DAYS)
    start = times[first][np.searchsorted(times[first], mjd, side="right") - 1]
    return np.char.add("night-", np.char.mod("%.3f", start))  # its first frame


@RULES.register("time")
def _by_time(catalogue: Table) -> NDArray[np.str_]:
    """Return the frame, or the time itself, of each row: what is taken at once stays together."""
    return np.char.mod("%.8f", _times(catalogue))


def _times(catalogue: Table) -> NDArray[np.float64]:
    mjd = numbers(catalogue, "mjd")
    lost = int((~np.isfinite(mjd)).sum())
    if lost or not len(mjd):
        raise InputError(f"{lost} of {len(mjd)} rows have no time: fill the column `mjd` (days)")
    return mjd


def split(
    stamps: StampSet,
    by: str = "source",
    *,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    allow_leakage: bool = False,
    seed: int = 0,
) -> Parts:
    """Divide the labelled rows of a set.

    Parameters
    ----------
    stamps : StampSet
        With labels; rows without one are on no side.
    by : str
        What stays together: a name of `RULES`. `time` puts the earliest frames into training, the
        latest into the test.
    fractions : tuple of 3 floats
        Training, validation, test.
    allow_leakage : bool
        Whether a source may lie on two sides.
    seed : int
        Of the order.

    Raises
    ------
    InputError
        A column is missing, a side lacks a class, or a source would lie on two sides.
    UnknownNameError
        No such rule.

    Examples
    --------
    >>> rows = Table({"id": range(20), "source": [f"s{k // 2}" for k in range(20)], "label": [1, 1, 0, 0] * 5})
    >>> rows["noise"], rows["fwhm"] = 1.0, 3.0
    >>> parts = split(StampSet(np.zeros((20, 1, 64, 64), "float32"), rows), "source", fractions=(0.6, 0.2, 0.2))
    >>> [len(parts.rows(name)) for name in SIDES], parts.shared["source"]
    ([12, 4, 4], (0, 4))
    """
    rule = RULES.resolve(by)
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not np.isfinite(shares).all() or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise ConfigError(f"fractions {fractions}: give three shares of 0 or more that sum to 1")
    judged = np.flatnonzero(np.isin(stamps.labels, (0, 1)))
    if not len(judged):
        raise InputError(f"none of {len(stamps)} stamps is labelled 1 or 0: there is nothing to split")
    catalogue = stamps.catalogue[judged]
    groups = rule(catalogue)
    labels = stamps.labels[judged]
    if by == "time":
        found = _in_order(groups, shares)
    else:
        keyed = Table({"id": texts(catalogue, "id"), "group": groups, "label": labels})
        config = SplitConfig(by="group", fractions=(shares[0], shares[1], shares[2]), allow_leakage=True)
        found = split_groups(keyed, config, rng=np.random.default_rng([seed, 3]))
    side = np.zeros(len(stamps), dtype="U5")
    for name in SIDES:
        side[judged[getattr(found, name)]] = name
    _both_classes(side, stamps.labels, shares, by)
    shared = leakage(stamps.catalogue, side)
    if not allow_leakage:
        _refuse(stamps.catalogue, side, by)
    return Parts(side, by, shared)


def leakage(catalogue: Table, side: NDArray[np.str_]) -> dict[str, tuple[int, int]]:
    """Count the test stamps whose source, field, night or frame is on the training side too.

    Examples
    --------
    >>> rows = Table({"id": list("abc"), "source": ["s", "s", "t"]})
    >>> leakage(rows, np.array(["train", "test", "test"]))
    {'source': (1, 2)}
    """
    test, train = side == "test", side == "train"
    found = {}
    for name in _GROUPS:
        values = texts(catalogue, name)
        if name == "night" and not (values != "").any() and np.isfinite(numbers(catalogue, "mjd")).all():
            values = nights(catalogue) if len(catalogue) else values
        if (values != "").any():
            both = np.isin(values[test], values[train]) & (values[test] != "")
            found[name] = (int(both.sum()), int(test.sum()))
    return found


def _column(catalogue: Table, name: str) -> NDArray[np.str_]:
    found = texts(catalogue, name)
    if not (found != "").any():
        raise InputError(
            f"the catalogue has no values in a column {name!r}; it has {', '.join(catalogue.colnames)}. Split by "
            f"another of {', '.join(RULES)}"
        )
    return found


def _in_order(groups: NDArray[np.str_], shares: NDArray[np.float64]) -> Split:
    """Deal rows by time; what has one time stays together."""
    time = groups.astype(float)
    order = np.argsort(time, kind="stable")
    place = np.searchsorted(np.sort(time), time, side="left") / len(time)
    ends = np.cumsum(shares)[:2] - 1e-9
    number = np.searchsorted(ends, place, side="right")
    return Split(*(np.sort(order[number[order] == k]) for k in range(3)))


def _both_classes(side: NDArray[np.str_], labels: NDArray[np.int64], shares: NDArray[np.float64], by: str) -> None:
    for name, share in zip(SIDES, shares, strict=True):
        if not share:
            continue
        real, bogus = (int(((side == name) & (labels == value)).sum()) for value in (1, 0))
        if not (real and bogus):
            raise InputError(
                f"split by {by}, the side {name} has {real} real and {bogus} bogus: take other fractions or a set with "
                "more groups"
            )


def _refuse(catalogue: Table, side: NDArray[np.str_], by: str) -> None:
    source = texts(catalogue, "source")
    if not (source != "").any():
        if by == "stamp":
            raise InputError(
                "the catalogue names no `source`, so nobody knows whether one lies on two sides; allow that with "
                "--allow-leakage"
            )
        return
    mine = (side != "") & (source != "")
    names, member = np.unique(source[mine], return_inverse=True)
    first = np.full(len(names), "", dtype="U5")
    first[member[::-1]] = side[mine][::-1]
    torn = np.unique(member[side[mine] != first[member]])
    if len(torn):
        raise InputError(
            f"split by {by}, {len(torn)} of {len(names)} sources lie on two sides ({', '.join(names[torn][:3])}), so "
            "the test would ask what was learned: split by source, or allow it with --allow-leakage"
        )


def told(sides: Split, catalogue: Table, name: str) -> SplitConfig:
    """Return what a model's card says of sides that were handed in: whence, their shares, and whether a source is torn.

    Parameters
    ----------
    sides : Split
        Rows of each side.
    catalogue : Table
        Of the stamps; by its column `source`.
    name : str
        Where the sides come from.

    Examples
    --------
    >>> rows = Table({"id": list("abcd"), "source": ["s", "s", "t", "u"]})
    >>> told(Split(np.array([0, 2]), np.array([3]), np.array([1])), rows, "split.parquet")
    SplitConfig(by='split.parquet', fractions=(0.5, 0.25, 0.25), allow_leakage=True)
    """
    parts = [getattr(sides, side) for side in SIDES]
    source = texts(catalogue, "source")
    seen = [set(source[rows]) - {""} for rows in parts]
    torn = any(seen[k] & seen[n] for k in range(3) for n in range(k))
    total = max(sum(map(len, parts)), 1)
    fractions = (len(parts[0]) / total, len(parts[1]) / total, len(parts[2]) / total)
    return SplitConfig(name, fractions, allow_leakage=torn)
