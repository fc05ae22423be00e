"""How good each vetter is: confusion, agreement with the own first answer on repeats, drift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics.interval import wilson_interval
from .consensus import Consensus, weights_of_votes
from .votes import Vote, standing

__all__ = ["BLOCKS", "VetterReport", "vetter_reports"]

#: Parts of equal size, in time, that a vetter's votes are cut into to see a drift.
BLOCKS = 5
#: Expected reals, and bogus, of which a vetter must have judged so many before being judged.
_ENOUGH = 5.0
#: Votes and repeats below which drift and agreement with oneself are not spoken of.
_VOTES, _REPEATS = 50, 8


@dataclass(frozen=True)
class VetterReport:
    """One vetter's votes, measured by what all say together.

    Ratios with nothing below the line are NaN.

    Parameters
    ----------
    name : str
        Who.
    real, bogus, unsure, undone, repeats : int
        Votes that stand on first showings, by answer; votes taken back; blinded repeats judged.
    sensitivity, specificity : float
        Share of reals called real, of bogus called bogus, by the consensus.
    informedness : float
        Their sum less 1: 1 always right, 0 as good as a coin or a stuck key, -1 always wrong.
    margin : float
        Of the informedness, 95 %.
    agreement : float
        Mean probability that the votes are right, by the others' votes alone.
    same : int
        Repeats that were answered as at first.
    steady : tuple of float
        Share of them, and its 95 % interval.
    drift : tuple of float
        `agreement` in `BLOCKS` equal parts of the votes, first to last.
    seconds : float
        Median time that a vote took.
    remarks : tuple of str
        What a person should know.
    bad : bool
        Whether the votes say next to nothing of the stamps, or the opposite.
    """

    name: str
    real: int
    bogus: int
    unsure: int
    undone: int
    repeats: int
    sensitivity: float
    specificity: float
    informedness: float
    margin: float
    agreement: float
    same: int
    steady: tuple[float, float, float]
    drift: tuple[float, ...]
    seconds: float
    remarks: tuple[str, ...]
    bad: bool


def vetter_reports(votes: Sequence[Vote], found: Consensus) -> list[VetterReport]:
    """Measure every vetter of a consensus, in the order of their names.

    Parameters
    ----------
    votes : sequence of Vote
        The votes that the consensus was made of.
    found : Consensus
        Of `consensus`.

    Examples
    --------
    >>> from realbogus.vetting.consensus import consensus
    >>> def say(name, answer, stamp):
    ...     return Vote(str(stamp), answer, name, "", f"{name}{stamp}")
    >>> truth = ["real" if stamp % 3 == 0 else "bogus" for stamp in range(60)]
    >>> votes = [say(name, answer, stamp) for name in ("ann", "ben") for stamp, answer in enumerate(truth)]
    >>> votes += [say("cid", "bogus", stamp) for stamp in range(60)]
    >>> for report in vetter_reports(votes, consensus(votes)):
    ...     print(report.name, report.bad, *report.remarks)
    ann False
    ben False
    cid True calls everything bogus
    """
    first, again = standing(votes), standing(votes, repeat=True)
    others = _by_the_others(found)
    place = {name: row for row, name in enumerate(found.table["id"])}
    reports = []
    for number, name in enumerate(found.vetters):
        mine = {stamp: vote for (who, stamp), vote in first.items() if who == name and stamp in place}
        second = {stamp: vote for (who, stamp), vote in again.items() if who == name and stamp in mine}
        taken_back = sum(vote.vetter == name and vote.undo is not None for vote in votes)
        rows = np.flatnonzero(found.vetter == number)
        right = np.where(found.real[rows], others[rows], 1 - others[rows])
        surprise = right - _expected(others[rows], found, number)
        reports.append(_report(name, mine, second, taken_back, _confusion(found, rows), right, surprise))
    return reports


def _confusion(found: Consensus, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Count the expected votes of one vetter, [truth, said], 0 bogus and 1 real."""
    if found.skills is None:
        return np.zeros((2, 2))
    share = found.skills.probability[found.stamp[rows]]
    said = found.real[rows]
    return np.array([[w[~said].sum(), w[said].sum()] for w in (1 - share, share)])


def _by_the_others(found: Consensus) -> NDArray[np.float64]:
    """Probability that each vote's stamp is real without that vote; NaN where it is the only one."""
    if found.skills is None:
        return np.zeros(0)
    votes = np.bincount(found.stamp, minlength=len(found.table))[found.stamp]
    # with the very probabilities 0 and 1 no vote could be taken out again
    share = np.clip(found.skills.probability[found.stamp], 1e-15, 1 - 1e-15)
    odds = np.log(share / (1 - share)) - weights_of_votes(found.skills.confusion, found.vetter, found.real)
    return np.where(votes > 1, 0.5 * (1 + np.tanh(0.5 * odds)), np.nan)


def _expected(real: NDArray[np.float64], found: Consensus, vetter: int) -> NDArray[np.float64]:
    """Return how probably a vetter of these skills would be right, by the others' probabilities of real."""
    if found.skills is None:
        return np.zeros(0)
    both = np.stack([1 - real, real])
    return np.asarray(np.einsum("tm,ts,sm->m", both, found.skills.confusion[vetter], both))


def _report(
    name: str,
    mine: dict[str, Vote],
    second: dict[str, Vote],
    undone: int,
    confusion: NDArray[np.float64],
    right: NDArray[np.float64],
    surprise: NDArray[np.float64],
) -> VetterReport:
    said = [vote.vote for vote in mine.values()]
    same = sum(vote.vote == mine[stamp].vote for stamp, vote in second.items())
    steady = same / len(second) if second else math.nan
    low, high = (float(end) for end in wilson_interval(same, len(second)))
    of = confusion.sum(axis=1)
    specificity, sensitivity = (confusion[k, k] / of[k] if of[k] > 0 else math.nan for k in (0, 1))
    # one vote is added to either side: a few votes without a mistake are no proof of anything
    smooth = [(confusion[k, k] + 1) / (of[k] + 2) for k in (0, 1)]
    margin = 1.96 * math.sqrt(sum(p * (1 - p) / max(n, 1.0) for p, n in zip(smooth, of, strict=True)))
    informedness = sensitivity + specificity - 1
    judged = right[np.isfinite(right)]
    drift = tuple(float(part.mean()) if len(part) else math.nan for part in np.array_split(judged, BLOCKS))
    seconds = [vote.seconds for vote in (*mine.values(), *second.values()) if vote.seconds is not None]
    known = bool(of.min() >= _ENOUGH) and len(judged) > 0
    bad = known and informedness + margin < 0.5 and informedness < 0.3
    remarks = [
        *_worth(confusion, informedness, margin, known),
        *_steadiness(same, len(second)),
        *_drifting(judged, surprise[np.isfinite(right)]),
    ]
    if said and said.count("unsure") > 0.5 * len(said):
        remarks.append("unsure of most")
    return VetterReport(
        name, said.count("real"), said.count("bogus"), said.count("unsure"), undone, len(second),
        float(sensitivity), float(specificity), float(informedness), margin,
        float(judged.mean()) if len(judged) else math.nan, same, (steady, low, high), drift,
        float(np.median(seconds)) if seconds else math.nan, tuple(remarks), bad,
    )  # fmt: skip


def _worth(confusion: NDArray[np.float64], informedness: float, margin: float, known: bool) -> list[str]:
    if not known:
        return ["too few votes beside others' to judge"]
    said = confusion.sum(axis=0)
    for column, word in enumerate(("bogus", "real")):
        if said[column] >= 0.98 * said.sum():
            return [f"calls everything {word}"]
    if informedness + margin < 0.0:
        return ["says the opposite of the others"]
    if informedness + margin < 0.5 and abs(informedness) < 0.3:
        return ["no better than chance"]
    for row, what, other in ((1, "real", "bogus"), (0, "bogus", "real")):
        if confusion[row, 1 - row] > 0.25 * confusion[row].sum():
            return [f"calls many {what} {other}"]
    return []


def _steadiness(same: int, repeats: int) -> list[str]:
    if repeats >= _REPEATS and float(wilson_interval(same, repeats)[1]) < 0.85:
        return [f"answered {repeats - same} of {repeats} repeats otherwise than at first"]
    return []


def _drifting(right: NDArray[np.float64], surprise: NDArray[np.float64]) -> list[str]:
    """Compare the first half of the votes with the second, by what was to be expected: others drift too."""
    if len(right) < _VOTES:
        return []
    halves = np.array_split(surprise, 2)
    change = halves[1].mean() - halves[0].mean()
    error = math.sqrt(sum(half.var(ddof=1) / len(half) for half in halves))
    if abs(change) < max(3.0 * error, 0.05):
        return []
    shares = [f"{half.mean():.0%}" for half in np.array_split(right, 2)]
    return [f"got {'better' if change > 0 else 'worse'}: {shares[0]} right at first, then {shares[1]}"]
