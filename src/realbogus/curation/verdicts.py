"""What is said of each row while a set is assembled: the first word stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..columns import numbers, texts
from ..errors import ConfigError, InputError
from ..stamps import IGNORE, UNLABELLED
from .match import nearest, places_of

__all__ = ["Rules", "Verdicts"]


@dataclass(frozen=True)
class Rules:
    """What makes a detection real, bogus, or neither.

    Parameters
    ----------
    radius_arcsec, radius_px : float
        How near a known object must be: on the sky, or in pixels where there are no sky positions.
    guard : float
        Times that radius within which other detections are left out.
    minutes : float
        How near in time a solar-system prediction must be.
    least_snr : float
        S/N of either sign that must be measured at the stamp's centre (see `centre_snr`).
    cap : int
        Most reals of one known object, at random epochs; the paper has 3,000 of 127. 0 is no cap.
    injected_share : float or None
        Wanted share of injected sources among the reals; all there are where None.

    Raises
    ------
    ConfigError
        A value is impossible.
    """

    radius_arcsec: float = 3.0
    radius_px: float = 2.5
    guard: float = 3.0
    minutes: float = 2.0
    least_snr: float = 4.0
    cap: int = 24
    injected_share: float | None = None

    def __post_init__(self) -> None:
        for name in ("radius_arcsec", "radius_px"):
            if not 0 < getattr(self, name) < np.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}: give a radius above 0")
        if not 1 <= self.guard < np.inf:
            raise ConfigError(f"guard is {self.guard}: give how many radii around an object are left out, at least 1")
        for name in ("minutes", "least_snr", "cap"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}: give a number of 0 or more")
        if self.injected_share is not None and not 0 <= self.injected_share < 1:
            raise ConfigError(f"injected_share is {self.injected_share}: give a share of the reals, from 0 to below 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Verdicts:
    """Label, origin and reason of every row; a row of which something was said is not asked again.

    Parameters
    ----------
    table : Table, N rows
        The candidates, with `set` and `source`.

    Examples
    --------
    >>> said = Verdicts(Table({"id": ["a", "b"], "set": ["n", "n"], "source": ["s", "t"]}))
    >>> said.say([True, False], 1, "people said so", "vote")
    array([ True, False])
    >>> said.say([True, True], 0, "the rest", "catalogue")
    array([False,  True])
    >>> said.label.tolist(), said.why.tolist()
    ([1, 0], ['people said so', 'the rest'])
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.label = np.full(len(table), UNLABELLED, dtype=np.int64)
        self.origin = np.full(len(table), "", dtype=object)
        self.why = np.full(len(table), "", dtype=object)
        self.source = texts(table, "source").astype(object)

    @property
    def open(self) -> NDArray[np.bool_]:
        """Rows of which nothing was said yet."""
        return np.asarray(self.why == "", dtype=bool)

    def say(self, rows: ArrayLike, label: int, why: str, origin: str = "") -> NDArray[np.bool_]:
        """Say it of those of `rows` that are still open, and return which these were."""
        fresh = np.asarray(rows, dtype=bool) & self.open
        self.label[fresh], self.why[fresh], self.origin[fresh] = label, why, origin
        return fresh

    def match(
        self, known: Table, rules: Rules, detected: NDArray[np.bool_], origin: str, what: str
    ) -> NDArray[np.bool_]:
        """Call what lies at known objects real, say nothing of what lies near them.

        Parameters
        ----------
        known : Table
            As `read_catalogue` gives it.
        rules : Rules
            Radii and times.
        detected : ndarray of bool, shape (N,)
            Rows with a detection at the centre of their stamp.
        origin, what : str
            Words of the labels and the reasons.

        Returns
        -------
        ndarray of bool, shape (N,)
            Rows of which this catalogue cannot speak: they have no position, or no time where it moves.

        Raises
        ------
        InputError
            The two sides have no common coordinates, or no times.
        """
        sky = _on_sky(self.table, known, what)
        radius = rules.radius_arcsec if sky else rules.radius_px
        here = places_of(self.table, sky=sky)
        silent = ~here.known
        times: dict[str, Any] = {}
        if "mjd" in known.colnames:
            mjd = numbers(self.table, "mjd")
            if not np.isfinite(mjd).any():
                raise InputError(f"each {what} is matched in time, and the stamps have no times: fill the column `mjd`")
            silent |= ~np.isfinite(mjd)
            times = {"mjd": mjd, "known_mjd": numbers(known, "mjd"), "within_days": rules.minutes / 1440}
        row, distance = nearest(here, places_of(known, sky=sky), rules.guard * radius, **times)
        names = np.asarray(known["name"], dtype=str)
        at = _first_of_frame(self.table, names, row, np.where((distance <= radius) & self.open, distance, np.inf))
        real = self.say(at & detected, 1, what, origin)
        self.source[real] = names[row[real]]
        self.say(at, IGNORE, f"{what}, not detected at the centre")
        self.say(row >= 0, IGNORE, f"near a {what}")
        return silent

    def cap(self, most: int, rng: np.random.Generator) -> None:
        """Leave the surplus epochs of each known object out, at random."""
        ours = (self.label == 1) & np.isin(self.origin.astype(str), ("catalogue", "solar-system"))
        seen: dict[str, int] = {}
        for row in rng.permutation(np.flatnonzero(ours)) if most else ():
            name = str(self.source[row])
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > most:
                self._drop(row, "over the cap of its source")

    def share(self, share: float | None, rng: np.random.Generator) -> int:
        """Leave injected reals out until they have their share of the reals; return how many lack for it."""
        mine = np.flatnonzero((self.label == 1) & (self.origin == "injection"))
        if share is None:
            return 0
        others = int((self.label == 1).sum()) - len(mine)
        wanted = round(share / (1 - share) * others)
        for row in rng.permutation(mine)[wanted:]:
            self._drop(row, "injected, over the share")
        return max(0, wanted - len(mine))

    def _drop(self, row: int, why: str) -> None:
        self.label[row], self.why[row], self.origin[row] = IGNORE, why, ""


def _first_of_frame(
    table: Table, names: NDArray[np.str_], row: NDArray[np.int64], distance: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell the nearest detection of each object in each frame; without a frame each row is one."""
    frame = texts(table, "frame")
    own = np.where(frame == "", texts(table, "id"), frame)
    sets = texts(table, "set")
    first: dict[tuple[str, str, str], int] = {}
    near = np.flatnonzero(np.isfinite(distance))
    for k in near[np.argsort(distance[near], kind="stable")]:
        first.setdefault((str(sets[k]), str(own[k]), str(names[row[k]])), int(k))
    found = np.zeros(len(table), dtype=bool)
    found[list(first.values())] = True
    return found


def _on_sky(table: Table, known: Table, what: str) -> bool:
    """Decide in which coordinates to match; both sides must have them."""
    sky = places_of(table, sky=True).known.any()
    if sky and "ra" in known.colnames:
        return True
    pixels = places_of(table, sky=False).known.any()
    if pixels and "x" in known.colnames:
        return False
    ours = " and ".join(word for word, there in (("ra, dec", sky), ("x, y", pixels)) if there) or "no positions"
    theirs = " and ".join(f"{a}, {b}" for a, b in (("ra", "dec"), ("x", "y")) if a in known.colnames)
    raise InputError(
        f"the stamps have {ours}, the table of each {what} has {theirs}: they cannot be matched. Give a table with "
        + ("ra, dec" if sky else "x, y in the pixels of the stamps' common frame, or stamps of frames with a WCS")
    )
