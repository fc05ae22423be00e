"""What people say of the drawn sample against what the model said: section 4.3 of the paper, with intervals."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..columns import flags, numbers, texts
from ..errors import InputError
from ..evaluation.tables import Column, Measured, ResultTable
from ..files import plain, write_text
from ..metrics import Confusion, percentile_interval, wilson_interval
from ..stamps import IGNORE, UNLABELLED
from ..tables import read_parquet

__all__ = ["Check", "check", "check_sample", "save_check"]

_DRAWS = 2000


@dataclass(frozen=True)
class Check:
    """People's verdict as truth, the model's call against it.

    Parameters
    ----------
    counts : Confusion
        Of the stamps that were looked at.
    estimated : Confusion
        Of all candidates, by the weights, rounded; the same as `counts` where all weights are.
    precision, recall, specificity : Measured
        With 95 % intervals.
    undecided, missing, strangers : int
        Stamps on which people did not agree or were not sure; on which nobody voted; verdicts on other stamps.
    weighted : bool
        Whether candidates stand for different numbers.
    facts : dict
        Of the draw.
    """

    counts: Confusion
    estimated: Confusion
    precision: Measured
    recall: Measured
    specificity: Measured
    undecided: int = 0
    missing: int = 0
    strangers: int = 0
    weighted: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def table(self) -> ResultTable:
        """Return precision, recall and specificity, in per cent."""
        rows = [[name, getattr(self, name)] for name in ("precision", "recall", "specificity")]
        return ResultTable([Column("of all calls"), Column("%", ".2f", 100)], rows)

    def report(self) -> str:
        """Return the check in Markdown."""
        counts = self.counts
        cells = ResultTable(
            [Column("people"), Column("model: real", "d"), Column("model: bogus", "d")],
            [["real", counts.tp, counts.fn], ["bogus", counts.fp, counts.tn]],
        )
        how = "weighted bootstrap within strata, half a stamp of each kind added" if self.weighted else "Wilson"
        lines = ["# Operational check", "", f"{counts.total:,} stamps were looked at.", ""]
        if self.facts:
            lines[2] = (
                f"{counts.total:,} of {self.facts['drawn']:,} stamps drawn from {self.facts['candidates']:,} "
                f"candidates ({self.facts['unscored']:,} without a score could not be drawn); threshold "
                f"{self.facts['threshold']:.4g}."
            )
        left = (
            (self.undecided, "undecided or unsure"), (self.missing, "not voted on"),
            (self.strangers, "verdicts on stamps that were not drawn"),
        )  # fmt: skip
        words = [f"{number:,} {what}" for number, what in left if number]
        if words:
            lines += [f"Not counted: {', '.join(words)}.", ""]
        lines += [cells.to_markdown(), self.table().to_markdown(), f"In brackets: 95 % intervals ({how}).", ""]
        if self.weighted:
            whole = self.estimated
            lines += [
                f"All candidates, estimated: {whole.tp:,} real called real, {whole.fp:,} bogus called real, "
                f"{whole.fn:,} real missed, {whole.tn:,} bogus turned away.", "",
            ]  # fmt: skip
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ratios = {name: vars(getattr(self, name)) for name in ("precision", "recall", "specificity")}
        others = {name: getattr(self, name) for name in ("undecided", "missing", "strangers", "weighted")}
        found: dict[str, Any] = plain(
            {"counts": vars(self.counts), "estimated": vars(self.estimated), **ratios, **others, "draw": self.facts}
        )
        return found


def check(
    called: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> Check:
    """Compare calls with people's verdicts.

    Of a plain draw the ratios are shares of counts, with Wilson intervals. Where weights differ each count is the sum
    of its weights, and the intervals are those of a bootstrap that draws within each stratum, half a real and half
    a bogus added: an error that was not seen in a small stratum is not ruled out.

    Parameters
    ----------
    called : array_like of bool, shape (N,)
        What the model called real.
    truth : array_like of int, shape (N,)
        1 real, 0 bogus; `IGNORE` undecided, `UNLABELLED` nobody voted: both are counted apart.
    weights : array_like of float, shape (N,), optional
        Candidates that each stands for.
    strata : array_like of int, shape (N,), optional
        In which it was drawn.
    rng : numpy.random.Generator, optional
        Of the bootstrap.

    Returns
    -------
    Check

    Raises
    ------
    InputError
        Shapes differ, or nobody said real or bogus of any stamp.

    Examples
    --------
    The paper's 5,000:

    >>> called = np.repeat([True, True, False, False], [68, 9, 6, 4917])
    >>> found = check(called, np.repeat([1, 0, 1, 0], [68, 9, 6, 4917]))
    >>> [f"{100 * number.value:.2f}" for number in (found.precision, found.recall, found.specificity)]
    ['88.31', '91.89', '99.82']
    >>> f"{100 * found.precision.low:.1f} to {100 * found.precision.high:.1f}"
    '79.3 to 93.7'
    """
    calls, verdict = np.asarray(called, dtype=bool), np.asarray(truth, dtype=np.int64)
    weight = np.ones(len(calls)) if weights is None else np.asarray(weights, dtype=float)
    stratum = np.zeros(len(calls), dtype=np.int64) if strata is None else np.asarray(strata, dtype=np.int64)
    if not calls.shape == verdict.shape == weight.shape == stratum.shape or calls.ndim != 1:
        raise InputError(f"calls {calls.shape}, verdicts {verdict.shape}, weights {weight.shape}: expected one each")
    strange = ~np.isin(verdict, (1, 0, IGNORE, UNLABELLED))
    if strange.any():
        raise InputError(f"verdict {verdict[strange][0]}: expected 1, 0, {IGNORE} (undecided) or {UNLABELLED} (none)")
    if not (np.isfinite(weight) & (weight > 0)).all():
        raise InputError("weights must be numbers above 0")
    undecided, missing = int((verdict == IGNORE).sum()), int((verdict == UNLABELLED).sum())
    judged = verdict >= 0
    if not judged.any():
        raise InputError(f"of {len(calls)} drawn stamps {undecided} are undecided and {missing} not voted on")
    silent = np.setdiff1d(stratum, stratum[judged])
    if len(silent):
        raise InputError(f"of the strata {silent.tolist()} not one stamp is decided: vote on some of each first")
    # whoever was not judged is stood for by the others of the stratum
    weight = weight[judged] * _grown(weight, stratum, judged)
    real, calls, stratum = verdict[judged] == 1, calls[judged], stratum[judged]
    cell = np.where(calls, np.where(real, 0, 1), np.where(real, 2, 3))
    counts = Confusion(*np.bincount(cell, minlength=4).tolist())
    sums = np.bincount(cell, weights=weight, minlength=4)
    weighted = bool(np.ptp(weight) > 1e-9 * weight.max())
    if weighted:
        drawn = _bootstrap(cell, weight, stratum, np.random.default_rng(0) if rng is None else rng)
        ratios = [_around(float(_ratio(sums, *c)), percentile_interval(_ratio(drawn.T, *c))) for c in _RATIOS]
    else:
        ratios = [_wilson(counts, *c) for c in _RATIOS]
    precision, recall, specificity = ratios
    return Check(
        counts, Confusion(*np.round(sums).astype(int).tolist()), precision, recall, specificity,
        undecided=undecided, missing=missing, weighted=weighted,
    )  # fmt: skip


def check_sample(folder: Path | str, verdicts: Table, *, rng: np.random.Generator | None = None) -> Check:
    """Compare the verdicts on a drawn sample with the calls that were kept apart from it.

    Parameters
    ----------
    folder : path
        As `save_sample` left it.
    verdicts : Table
        `id` and `label` (1, 0, `IGNORE`, `UNLABELLED`), one row a stamp.
    rng : numpy.random.Generator, optional
        Of the bootstrap.

    Raises
    ------
    InputError
        The folder holds no sample, the table lacks a column or names a stamp twice, or as in `check`.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / "draw.json").read_text(encoding="utf-8"))
        drawn = read_parquet(folder / "draw.parquet")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no sample ({error}): make one with `realbogus check draw`") from error
    lacking = {"id", "label"} - set(verdicts.colnames)
    if lacking:
        raise InputError(f"the verdicts lack {', '.join(sorted(lacking))}: their columns are {verdicts.colnames}")
    ids = texts(verdicts, "id").tolist()
    if len(set(ids)) < len(ids):
        raise InputError("the verdicts name a stamp twice: there must be one row a stamp")
    labels = numbers(verdicts, "label")
    said = {name: int(label) for name, label in zip(ids, labels, strict=True) if np.isfinite(label)}
    mine = texts(drawn, "id").tolist()
    truth = [said.get(name, UNLABELLED) for name in mine]
    found = check(
        flags(drawn, "called", absent=False), truth, weights=numbers(drawn, "weight"), strata=drawn["stratum"], rng=rng
    )
    strangers = len(set(said) - set(mine))
    return Check(**(vars(found) | {"strangers": strangers, "facts": facts}))


def save_check(found: Check, out: Path) -> Path:
    """Write `result.md`, `result.json` and figure 7; return the first.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    from ..evaluation.figures import confusion_matrix, new_axes, save_figure

    shown = found.estimated if found.weighted else found.counts
    save_figure(confusion_matrix(new_axes(3.6, 3.2), shown), out / "figure7")
    write_text(out / "result.json", json.dumps(found.to_dict(), indent=1) + "\n")
    return write_text(out / "result.md", found.report() + "\n![Confusion matrix](figure7.png)\n")


#: Of precision, recall and specificity: the numerator, and the other part of the denominator, of tp, fp, fn, tn.
_RATIOS = ((0, 1), (0, 2), (3, 1))


def _ratio(cells: NDArray[Any], part: int, other: int) -> NDArray[np.float64]:
    whole = np.asarray(cells[part] + cells[other], dtype=float)
    return np.asarray(cells[part] / np.where(whole > 0, whole, np.nan))


def _around(value: float, ends: tuple[float, float]) -> Measured:
    """Return a number with its interval, which holds it: of no errors seen the number is the very end."""
    return Measured(value, min(value, ends[0]), max(value, ends[1]))


def _wilson(counts: Confusion, part: int, other: int) -> Measured:
    cells = np.array([counts.tp, counts.fp, counts.fn, counts.tn])
    low, high = wilson_interval(cells[part], cells[part] + cells[other])
    return Measured(float(_ratio(cells, part, other)), float(low), float(high))


def _grown(weight: NDArray[np.float64], stratum: NDArray[Any], judged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return by how much the weights of the judged grow, so that each stratum's sum stays."""
    _, member = np.unique(stratum, return_inverse=True)
    before = np.bincount(member, weights=weight)
    after = np.bincount(member, weights=weight * judged)
    return np.asarray((before / np.where(after > 0, after, np.nan))[member][judged])


def _bootstrap(
    cell: NDArray[np.int64], weight: NDArray[np.float64], stratum: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the four weighted counts anew, within each stratum and call, shape (D, 4).

    Half a real and half a bogus are added to the shares that are drawn from: where 25 of 400 were looked at and
    none was real, the others may hold some all the same.
    """
    total = np.zeros((_DRAWS, 4))
    for name in np.unique(stratum):
        here = stratum == name
        counts, each = np.bincount(cell[here], minlength=4), weight[here].mean()  # all of a stratum weigh the same
        for real, bogus in ((0, 1), (2, 3)):
            looked = int(counts[real] + counts[bogus])
            found = rng.binomial(looked, (counts[real] + 0.5) / (looked + 1.0), size=_DRAWS)
            total[:, real] += each * found
            total[:, bogus] += each * (looked - found)
    return total
