"""Candidates with labels, as section 2.2 of the paper assembles them, of any survey's stamps.

Reals are detections at the places of known variables (or of predicted solar-system objects), so many random
epochs of each at most; bogus are all other detections, those near a known object left out. Injected sources
are mixed in, because people call faint reals bogus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import flags, numbers, texts
from ..errors import InputError
from ..evaluation.tables import Column, ResultTable
from ..scoring import channel_indices
from ..stamps import IGNORE, UNLABELLED, StampSet, labels_of
from .centre import centre_snr
from .gather import gather
from .origins import weigh
from .sets import write_set
from .verdicts import Rules, Verdicts

__all__ = ["Assembly", "Rules", "assemble", "count_table"]

#: Origins that are decided anew where a catalogue is handed in; a label of any other (a vote, say) is kept.
_DECIDED = ("", "catalogue", "solar-system", "detection")
_WORDS = {1: "real", 0: "bogus", IGNORE: "ignore", UNLABELLED: "unlabelled"}
_BLOCK = 4096


@dataclass(frozen=True)
class Assembly:
    """Labelled candidates whose pixels are still where they were.

    Parameters
    ----------
    catalogue : Table, N rows
        All rows of all sets in order; `label`, `origin` (of `ORIGINS`), `why`, `weight`, `source`, `set`.
    parts : list of StampSet
        The sets.
    channels : tuple of str
        Of the stamps to write.
    provenance : dict
        What was asked for.
    """

    catalogue: Table
    parts: list[StampSet]
    channels: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)

    def counts(self) -> ResultTable:
        """Return how many rows were labelled what, and why; the sum is the number of rows."""
        return count_table(self.catalogue)

    def save(self, folder: Path | str) -> StampSet:
        """Write the set, with `assembly.md` beside it; pixels go from disk to disk."""
        parts = [(part, np.arange(len(part))) for part in self.parts]
        text = f"# Assembled\n\n{self.counts().to_markdown()}"
        return write_set(folder, parts, self.catalogue, self.channels, self.provenance, texts={"assembly.md": text})

    def stamps(self) -> StampSet:
        """Return the set in memory."""
        planes = [channel_indices(part.channels, self.channels) for part in self.parts]
        pixels = np.concatenate([part.pixels[:, index] for part, index in zip(self.parts, planes, strict=True)])
        return StampSet(pixels, self.catalogue, self.channels, self.provenance)


def assemble(
    sets: Mapping[str, StampSet],
    *,
    variables: Table | None = None,
    solar_system: Table | None = None,
    injected: Mapping[str, StampSet] | None = None,
    verdicts: Table | None = None,
    rules: Rules | None = None,
    weights: Mapping[str, float] | None = None,
    leave_out: Sequence[str] = (),
    channels: Sequence[str] | None = None,
    seed: int = 0,
) -> Assembly:
    """Label the stamps of one or more sets.

    What people said of a row stands. A row that has a label of another origin already (a simulation, say) keeps
    it, and so do all labels where no catalogue is handed in. For all others, in this order: rows marked `injected`
    are real; those at a predicted object, and the nearest of each frame at a known variable, are real; within
    `guard` radii of any of these nothing is said; the rest is bogus. A real must be detected at its stamp's centre,
    with positive or negative flux.

    Parameters
    ----------
    sets : mapping of str to StampSet
        By the name that goes into `set`.
    variables : Table, optional
        As `read_catalogue` gives it.
    solar_system : Table, optional
        The same, with `mjd`; the stamps need the column `mjd`.
    injected : mapping of str to StampSet, optional
        Sets of injected sources: of each the rows marked `injected`, or those labelled real, or all where there
        is neither. Their other rows are labelled `IGNORE`.
    verdicts : Table, optional
        `id` and `label` (1, 0 or `IGNORE`) of what people said, as `realbogus votes --table` writes it.
    rules : Rules, optional
        Radii, cap, share.
    weights : mapping of str to float, optional
        Factor of the column `weight` by origin.
    leave_out : sequence of str
        Origins that are labelled `IGNORE`.
    channels : sequence of str, optional
        Channels to keep; needed where the sets differ in theirs.
    seed : int
        Of the draws of epochs and of injected sources.

    Returns
    -------
    Assembly
        As many rows as the sets have.

    Raises
    ------
    InputError
        No sets or rows, nothing that says what is real, positions that cannot be matched, unknown origins, or a
        result without reals or without bogus; the message then has the counts.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pixels = rng.normal(size=(3, 1, 64, 64)).astype("float32")
    >>> pixels[:, 0, 32, 32] += 60
    >>> rows = Table({"id": ["a", "b", "c"], "noise": [1.0] * 3, "fwhm": [3.0] * 3})
    >>> rows["x"], rows["y"] = [10.0, 200.0, 15.0], [10.0, 50.0, 10.0]
    >>> stars = Table({"name": ["R Lyr"], "x": [10.4], "y": [10.2]})
    >>> made = assemble({"night": StampSet(pixels, rows)}, variables=stars)
    >>> made.catalogue["label"].tolist(), made.catalogue["source"].tolist()
    ([1, 0, -1], ['R Lyr', 'stamp-b', 'stamp-c'])
    """
    rules = rules or Rules()
    parts, table, extra, kept = gather(sets, injected or {}, channels, rules.radius_arcsec)
    said = Verdicts(table)
    asked = variables is not None or solar_system is not None
    said.say(~flags(table, "usable", absent=True), IGNORE, "not usable")
    if verdicts is not None:
        _voted(table, said, verdicts)
    mine = _injected(table, said, extra, anew=asked)
    if said.open.any() and not asked and not (mine & said.open).any():
        raise InputError(
            f"nothing says what is real of {int(said.open.sum())} stamps without a label: give a catalogue of known "
            "variables, predictions of solar-system objects, or a set of injected sources"
        )
    snr, offset = _centres(parts, said.open)
    detected = (np.abs(snr) >= rules.least_snr) & (offset <= np.maximum(1.5, numbers(table, "fwhm") / 2))
    said.say(mine & detected, 1, "injected", "injection")
    said.say(mine, IGNORE, "injected, not detected at the centre")
    said.say(_beside(table, mine), IGNORE, "near an injected source")
    silent = np.zeros(len(table), dtype=bool)
    if solar_system is not None:
        silent |= said.match(solar_system, rules, detected, "solar-system", "predicted solar-system object")
    if variables is not None:
        silent |= said.match(variables, rules, detected, "catalogue", "known variable")
    said.say(silent, IGNORE, "no position or time to match")
    said.say(said.open, 0, "detected, nothing known is near", "catalogue" if asked else "detection")
    rng = np.random.default_rng(seed)
    said.cap(rules.cap, rng)
    lacking = said.share(rules.injected_share, rng)

    table["source"], table["label"] = said.source.astype(str), said.label
    table["origin"], table["why"] = said.origin.astype(str), said.why.astype(str)
    table["centre_snr"] = snr.astype(np.float32)
    weigh(table, weights or {}, leave_out)
    provenance = {
        "origin": "assemble", "sets": list(sets), "injected_sets": list(injected or {}), "rules": rules.to_dict(),
        "weights": dict(weights or {}), "left_out": list(leave_out), "seed": seed, "injected_lacking": lacking,
    }  # fmt: skip
    made = Assembly(table, parts, kept, provenance)
    real, bogus = (int((np.asarray(table["label"]) == value).sum()) for value in (1, 0))
    if not (real and bogus):
        raise InputError(f"{real} real and {bogus} bogus came of {len(table)} stamps:\n{made.counts().to_markdown()}")
    return made


def count_table(catalogue: Table) -> ResultTable:
    """Return labels, origins and reasons of an assembled catalogue, each with its number of rows.

    Examples
    --------
    >>> rows = Table({"label": [1, 0, 0], "origin": ["vote", "catalogue", "catalogue"], "why": ["", "far", "far"]})
    >>> [row[-1] for row in count_table(rows).rows]
    [1, 2, 3]
    """
    labels = np.asarray(catalogue["label"]).tolist()
    found = Counter(zip(labels, texts(catalogue, "origin").tolist(), texts(catalogue, "why").tolist(), strict=True))
    order = sorted(found, key=lambda key: (-key[0], -found[key], key[2]))
    rows: list[list[Any]] = [[_WORDS[label], origin, why, found[label, origin, why]] for label, origin, why in order]
    rows.append(["all", "", "", len(labels)])
    return ResultTable([Column("label"), Column("origin"), Column("why"), Column("rows", "d")], rows)


def _voted(table: Table, said: Verdicts, verdicts: Table) -> None:
    """Say what people said."""
    if not {"id", "label"} <= set(verdicts.colnames):
        raise InputError(f"the verdicts have the columns {verdicts.colnames}, expected `id` and `label`")
    label_of = dict(zip(texts(verdicts, "id").tolist(), labels_of(verdicts).tolist(), strict=True))
    found = np.array([label_of.get(name, UNLABELLED) for name in texts(table, "id").tolist()])
    if len(label_of) and not np.isin(list(label_of), texts(table, "id")).any():
        raise InputError(
            f"not one of {len(label_of)} verdicts is on a stamp of these sets, first {next(iter(label_of))!r}: they go "
            "by the column `id`"
        )
    for value in (1, 0, IGNORE):
        said.say(found == value, value, "people looked" if value >= 0 else "people do not agree", "vote")


def _injected(table: Table, said: Verdicts, extra: NDArray[np.bool_], *, anew: bool) -> NDArray[np.bool_]:
    """Say what is known before anything is matched, and return which rows are injected sources."""
    before, came, marked = labels_of(table), texts(table, "origin"), flags(table, "injected", absent=False)
    mine = np.zeros(len(table), dtype=bool)
    for name in np.unique(texts(table, "set")[extra]):
        rows = extra & (texts(table, "set") == name)
        real = rows & (before == 1)
        mine |= rows & marked if (rows & marked).any() else real if (before[rows] != UNLABELLED).any() else rows
    said.say(extra & ~mine, IGNORE, "in an injected set, not injected")
    mine |= ~extra & (marked | ((came == "injection") & (before == 1)))
    kept = ~extra & ~mine & (before != UNLABELLED)
    if anew:
        kept &= ~np.isin(came, _DECIDED) | ((came == "") & (before >= 0))
    for name, value in sorted(set(zip(came[kept].tolist(), before[kept].tolist(), strict=True))):
        origin = name or ("given" if value >= 0 else "")
        said.say(kept & (came == name) & (before == value), value, "labelled before", origin)
    return mine


def _centres(parts: Sequence[StampSet], wanted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    snr, offset = np.full(len(wanted), np.nan), np.full(len(wanted), np.nan)
    at = 0
    for part in parts:
        plane = channel_indices(part.channels, ["difference"])[0]
        for start in range(0, len(part), _BLOCK):
            rows = np.flatnonzero(wanted[at + start : at + min(start + _BLOCK, len(part))]) + start
            if len(rows):
                found = centre_snr(part.pixels[rows, plane], part.noise[rows], part.fwhm[rows])
                snr[at + rows], offset[at + rows] = found
        at += len(part)
    return snr, offset


def _beside(table: Table, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which rows lie beside an injected source of their own frame: within max(5 px, 2 FWHM)."""
    found = np.zeros(len(table), dtype=bool)
    if not {"x", "y", "frame"} <= set(table.colnames) or not mine.any():
        return found
    frame = np.char.add(np.char.add(texts(table, "set"), "/"), texts(table, "frame"))
    x, y = numbers(table, "x"), numbers(table, "y")
    reach = np.maximum(5.0, 2.0 * numbers(table, "fwhm"))
    for name in np.unique(frame[mine]):
        rows, those = np.flatnonzero(frame == name), np.flatnonzero((frame == name) & mine)
        far = np.hypot(x[rows, None] - x[those], y[rows, None] - y[those])
        found[rows] = (far < reach[rows, None]).any(axis=1)
    return found & ~mine
