"""The sample of the operational check (section 4.3): scored candidates drawn at random, to be looked at blind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import flags, numbers, texts
from ..errors import ConfigError, InputError
from ..evaluation.tables import Column, ResultTable
from ..files import plain, write_text, write_whole
from ..stamps import StampSet
from ..tables import write_parquet
from .sets import write_set

__all__ = ["STRATA", "Sample", "draw", "save_sample"]

#: Score limits between strata, where nobody says other ones.
STRATA = (0.1, 0.5, 0.9)
#: Columns that would tell a vetter what the model, or anybody else, thinks.
_TELLING = (
    "score", "real", "rank", "threshold", "model", "model_version", "label", "origin", "weight", "why", "kind", "known",
    "screen_score", "band", "quality", "epochs", "true_snr", "injected", "injected_snr",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """Rows drawn from a scored set, in the order in which they are looked at.

    Parameters
    ----------
    table : Table, n rows
        `row` in the set, `id`, `score`, `called` (score >= threshold), `stratum` from 0, `weight` (candidates that each
        stands for).
    threshold : float
        From which a score is called real.
    strata : ResultTable
        Limits, candidates and drawn of each.
    candidates, unscored : int
        In the set; those without a score cannot be called, nor drawn.
    stratified : bool
        Whether strata were drawn apart.
    """

    table: Table
    threshold: float
    strata: ResultTable
    candidates: int
    unscored: int
    stratified: bool


def draw(
    catalogue: Table,
    count: int,
    *,
    threshold: float | None = None,
    strata: Sequence[float] = (),
    seed: int = 0,
) -> Sample:
    """Draw candidates at random, or so many of each stratum of the score.

    A plain draw is what the paper did: 5,000, of which only 74 were real. Strata put more eyes where the score is
    high; each drawn candidate then stands for as many as its stratum has, over those that were drawn there.

    Parameters
    ----------
    catalogue : Table
        With `id` and `score`, null where there is none; rows marked `injected` are no candidates and are passed over.
    count : int
        How many; all where there are fewer.
    threshold : float, optional
        The column `threshold`'s where absent, or else 0.5.
    strata : sequence of float
        Scores between strata; none for a plain draw.
    seed : int
        Of the draw.

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        No scores, or ids that are not unique.
    ConfigError
        Impossible numbers.

    Examples
    --------
    >>> rows = Table({"id": [f"c{k}" for k in range(100)], "score": np.arange(100) / 100})
    >>> plain_draw = draw(rows, 10)
    >>> len(plain_draw.table), set(plain_draw.table["weight"].tolist()), plain_draw.threshold
    (10, {10.0}, 0.5)
    >>> both = draw(rows, 10, strata=[0.9])
    >>> sorted(set(zip(both.table["stratum"].tolist(), both.table["weight"].tolist())))
    [(0, 18.0), (1, 2.0)]
    """
    if count < 1:
        raise ConfigError(f"a sample of {count}: draw at least 1 candidate")
    limits = np.asarray(strata, dtype=float)
    if limits.size and not ((np.diff(limits) > 0).all() and limits[0] > 0 and limits[-1] <= 1):
        raise ConfigError(f"strata {list(strata)}: give rising scores above 0, up to 1")
    ids = texts(catalogue, "id")
    if len(np.unique(ids)) < len(ids):
        raise InputError("ids are not unique: votes are kept by the column `id`")
    scores = numbers(catalogue, "score")
    mine = ~flags(catalogue, "injected", absent=False)
    scored = np.flatnonzero(np.isfinite(scores) & mine)
    if not len(scored):
        raise InputError(
            f"none of {len(ids)} candidates has a score: hand in a night, or a set with the column `score`, or the "
            "table of `realbogus score` with --scores"
        )
    if ((scores[scored] < 0) | (scores[scored] > 1)).any():
        raise InputError("the column score holds values outside 0 to 1")
    cut = _threshold(catalogue, threshold)
    rng = np.random.default_rng(seed)
    stratum = np.searchsorted(limits, scores[scored], side="right")
    wanted = _shares(np.bincount(stratum, minlength=len(limits) + 1), min(count, len(scored)))
    rows, weights = [], []
    for number, many in enumerate(wanted):
        here = scored[stratum == number]
        rows.append(rng.choice(here, many, replace=False))
        weights.append(np.full(many, len(here) / many if many else 0.0))
    order = rng.permutation(sum(len(part) for part in rows))  # the order must not tell the score
    row, weight = np.concatenate(rows)[order], np.concatenate(weights)[order]
    table = Table({"row": row, "id": ids[row], "score": scores[row]})
    table["called"] = scores[row] >= cut
    table["stratum"] = np.searchsorted(limits, scores[row], side="right")
    table["weight"] = weight
    ends = [0.0, *limits.tolist(), 1.0]
    lines: list[list[Any]] = [
        [f"{ends[k]:g} to {ends[k + 1]:g}", int((stratum == k).sum()), int(wanted[k])] for k in range(len(ends) - 1)
    ]
    strata_table = ResultTable([Column("score"), Column("candidates", "d"), Column("drawn", "d")], lines)
    return Sample(table, cut, strata_table, int(mine.sum()), int(mine.sum()) - len(scored), bool(limits.size))


def save_sample(found: Sample, stamps: StampSet, out: Path) -> StampSet:
    """Write `sample/`, to be vetted blind, and apart from it `draw.parquet` and `draw.json` with the scores.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    rows = np.asarray(found.table["row"])
    catalogue = stamps.catalogue[rows]
    catalogue.meta.clear()
    catalogue.remove_columns([name for name in _TELLING if name in catalogue.colnames])
    facts = {
        "candidates": found.candidates, "unscored": found.unscored, "drawn": len(rows), "threshold": found.threshold,
        "stratified": found.stratified, "strata": found.strata.rows,
    }  # fmt: skip
    written = write_set(
        out / "sample", [(stamps, rows)], catalogue, stamps.channels, {"origin": "check", "of": dict(stamps.provenance)}
    )
    write_whole(out / "draw.parquet", lambda path: write_parquet(found.table, path))
    write_text(out / "draw.json", json.dumps(plain(facts), indent=1) + "\n")
    return written


def _threshold(catalogue: Table, given: float | None) -> float:
    if given is None:
        column = numbers(catalogue, "threshold")
        known = np.unique(column[np.isfinite(column)])
        if len(known) > 1:
            raise InputError(f"the candidates have {len(known)} thresholds, {known[0]:g} to {known[-1]:g}: name one")
        given = float(known[0]) if len(known) else 0.5
    if not 0 <= given <= 1:
        raise ConfigError(f"threshold {given:g}: scores lie in 0 to 1, give a number between")
    return given


def _shares(there: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Draw as many of each stratum; what a small one cannot give the others do.

    Examples
    --------
    >>> _shares(np.array([100, 3, 50]), 30).tolist()
    [14, 3, 13]
    """
    wanted = np.zeros(len(there), dtype=np.int64)
    while (left := count - int(wanted.sum())) > 0:
        able = np.flatnonzero(there > wanted)
        each, more = divmod(left, len(able))
        wanted[able] += each + (np.arange(len(able)) < more)
        wanted = np.minimum(wanted, there)
    return wanted
