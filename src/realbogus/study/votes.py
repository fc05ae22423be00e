"""Stages six and seven: scores become probabilities, members vote; all from saved scores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..calibration import Calibration, fit_calibration
from ..errors import InputError

__all__ = ["Ballot", "ballot", "combinations"]


@dataclass(frozen=True)
class Ballot:
    """Members' scores of the same stamps, and how each becomes a probability.

    Parameters
    ----------
    rows : Table
        `row`, `id`, `label`, `side`, `hard`.
    scores : mapping of str to ndarray of float32, shape (N,)
        By member.
    calibrations : mapping of str to Calibration
        By member, fitted on the validation side without the hard set.
    """

    rows: Table
    scores: Mapping[str, NDArray[np.float32]]
    calibrations: Mapping[str, Calibration]

    def vote(self, members: Sequence[str], *, calibrated: bool = False) -> NDArray[np.float32]:
        """Return the mean of the members' scores, or of their probabilities, shape (N,).

        Raises
        ------
        InputError
            A member is not here, or has no calibration where one is asked for.

        Examples
        --------
        >>> rows = Table({"row": [0, 1], "label": [0, 1], "side": ["test"] * 2, "hard": [False] * 2})
        >>> both = Ballot(rows, {"a": np.float32([0.1, 0.9]), "b": np.float32([0.3, 0.7])}, {})
        >>> both.vote(["a", "b"]).round(2).tolist() == np.float32([0.2, 0.8]).tolist()
        True
        """
        known = self.calibrations if calibrated else self.scores
        missing = [name for name in members if name not in known]
        if not members or missing:
            what = "calibrated members" if calibrated else "members"
            raise InputError(f"{missing or 'nobody'} cannot vote: the {what} here are {', '.join(known) or 'none'}")
        total = np.zeros(len(self.rows), dtype=np.float64)
        for name in members:
            scores = self.scores[name]
            total += self.calibrations[name](scores) if calibrated else scores
        return (total / len(members)).astype(np.float32)


def ballot(scored: Mapping[str, Table], method: str) -> Ballot:
    """Put members' tables together and calibrate each on the validation side.

    Parameters
    ----------
    scored : mapping of str to Table
        `row`, `label`, `side`, `hard` and `score` by member; the same rows for all.
    method : str
        Of calibration.

    Raises
    ------
    InputError
        Nobody votes, or the members scored different stamps.
    """
    if not scored:
        raise InputError("nobody votes: no member was trained")
    first = next(iter(scored.values()))
    for name, table in scored.items():
        if not np.array_equal(table["row"], first["row"]):
            raise InputError(
                f"the member {name!r} scored other stamps than the others: remove its folder and run again"
            )
    rows = first.copy()
    rows.remove_column("score")
    scores = {name: np.asarray(table["score"], dtype=np.float32) for name, table in scored.items()}
    known = (np.asarray(rows["side"]) == "valid") & ~np.asarray(rows["hard"])
    labels = np.asarray(rows["label"])[known]
    calibrations = {name: fit_calibration(values[known], labels, method=method) for name, values in scores.items()}
    return Ballot(rows, scores, calibrations)


def combinations(members: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every choice of members, single ones first, as Table 3 lists them.

    Examples
    --------
    >>> combinations(["a", "b", "c"])
    [('a',), ('b',), ('c',), ('a', 'b'), ('a', 'c'), ('b', 'c'), ('a', 'b', 'c')]
    """
    return [chosen for count in range(1, len(members) + 1) for chosen in itertools.combinations(members, count)]
