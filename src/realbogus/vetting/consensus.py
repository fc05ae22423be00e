"""What several vetters say together: Dawid and Skene's consensus, and the majority beside it.

The method is a few lines of NumPy here, for two reasons. The library for it, crowd-kit 1.4, brings
transformers, tokenizers, nltk, pandas and scikit-learn, 350 MB that a telescope's computer needs for nothing. And
it is the plain maximum of the likelihood: with a handful of votes a vetter comes out as never wrong, and a
stamp as certain, where a weak prior keeps doubt. The tests hold this one against crowd-kit's numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import InputError
from ..stamps import IGNORE, UNLABELLED
from .orders import counted
from .votes import Vote, standing

__all__ = ["Consensus", "Skills", "consensus", "dawid_skene"]

_LEAST = 1e-10


@dataclass(frozen=True)
class Skills:
    """What `dawid_skene` found.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        That each stamp is real; NaN where nobody voted.
    prevalence : float
        Share of real among the stamps.
    confusion : ndarray of float, shape (V, 2, 2)
        Of each vetter: [truth, said], 0 bogus and 1 real; rows sum to 1.
    """

    probability: NDArray[np.float64]
    prevalence: float
    confusion: NDArray[np.float64]


def dawid_skene(
    stamp: NDArray[np.intp],
    vetter: NDArray[np.intp],
    real: NDArray[np.bool_],
    *,
    stamps: int,
    vetters: int,
    prior: tuple[float, float] = (2.0, 1.0),
    rounds: int = 500,
) -> Skills:
    """Find what is real and how good each vetter is, each from the other (Dawid and Skene 1979).

    Expectation maximisation from the majority's shares. A stamp's odds are the prevalence's times, for every
    vote, how often that vetter says so of reals over how often of bogus; a vetter's confusion is counted over
    the stamps by their probabilities. So the votes of a vetter who calls everything bogus weigh nothing, and
    those of one who is always wrong are turned round.

    A stamp with a single vote says nothing of who voted, nor of how many are real: a vetter who calls a tenth
    real and one who errs in nine of ten look the same. So with a prior, vetters and prevalence are counted over
    the stamps with several votes alone, and where there is none every vote is taken at its word.

    Parameters
    ----------
    stamp, vetter : ndarray of int, shape (M,)
        Which stamp and which vetter each vote belongs to.
    real : ndarray of bool, shape (M,)
        What it says.
    stamps, vetters : int
        How many there are.
    prior : tuple of float
        Right and wrong votes that every vetter is given in advance, on real and on bogus each; then one real
        and one bogus stamp, too. With (0, 0) the result is the maximum of the likelihood.
    rounds : int
        At most so many; it stops when no probability moves by 1e-7.

    Raises
    ------
    InputError
        Nobody voted.

    Examples
    --------
    Three who agree, and one who calls everything bogus:

    >>> truth = np.arange(40) % 4 == 0
    >>> stamp, vetter = np.tile(np.arange(40), 4), np.repeat(np.arange(4), 40)
    >>> found = dawid_skene(stamp, vetter, np.r_[truth, truth, truth, np.zeros(40, bool)], stamps=40, vetters=4)
    >>> bool(((found.probability > 0.5) == truth).all()), found.confusion[3].round(1).tolist()
    (True, [[1.0, 0.0], [0.8, 0.2]])
    """
    if not len(stamp):
        raise InputError("nobody has voted real or bogus: there is nothing to agree on")
    votes = np.bincount(stamp, minlength=stamps)
    said = vetter * 2 + real
    probability = np.bincount(stamp, weights=real, minlength=stamps) / np.maximum(votes, 1)
    given = np.array([[prior[0], prior[1]], [prior[1], prior[0]]])
    first = 1.0 if any(prior) else 0.0
    telling = votes > 1 if first else votes > 0
    for _ in range(rounds):
        share = np.stack([1.0 - probability, probability])[:, stamp] * telling[stamp]
        counts = np.stack([np.bincount(said, weights=row, minlength=2 * vetters) for row in share], axis=1)
        confusion = counts.reshape(vetters, 2, 2).transpose(0, 2, 1) + given
        confusion = np.maximum(confusion, _LEAST)
        confusion /= confusion.sum(axis=2, keepdims=True)
        prevalence = float((probability[telling].sum() + first) / (telling.sum() + 2 * first))
        before, probability = probability, _expected(stamp, vetter, real, stamps, confusion, prevalence)
        if np.abs(probability - before).max() < 1e-7:
            break
    return Skills(np.where(votes > 0, probability, np.nan), prevalence, confusion)


def _expected(
    stamp: NDArray[np.intp],
    vetter: NDArray[np.intp],
    real: NDArray[np.bool_],
    stamps: int,
    confusion: NDArray[np.float64],
    prevalence: float,
) -> NDArray[np.float64]:
    prevalence = min(max(prevalence, _LEAST), 1 - _LEAST)
    odds = np.log(prevalence / (1 - prevalence)) + np.bincount(
        stamp, weights=weights_of_votes(confusion, vetter, real), minlength=stamps
    )
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)))


def weights_of_votes(
    confusion: NDArray[np.float64], vetter: NDArray[np.intp], real: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return by how much each vote moves the logarithm of its stamp's odds, shape (M,)."""
    said = np.asarray(real, dtype=np.intp)
    return np.asarray(np.log(confusion[vetter, 1, said] / confusion[vetter, 0, said]))


@dataclass(frozen=True)
class Consensus:
    """What the votes say of every stamp.

    Parameters
    ----------
    table : Table, N rows
        `id`, `votes_real`, `votes_bogus`, `votes_unsure` (one a vetter, repeats apart), `probability` that it
        is real, `confidence` in the label, `label` (1 real, 0 bogus, `IGNORE` undecided, `UNLABELLED` no
        votes) and `majority`, the same by simple majority.
    vetters : tuple of str
        Who voted, by name.
    stamp, vetter : ndarray of int, shape (M,)
        Row of `table` and place in `vetters` of each vote that is real or bogus.
    real : ndarray of bool, shape (M,)
        Which of the two, in the order in which they were given.
    skills : Skills or None
        None where nobody said real or bogus.
    strangers : int
        Votes on stamps that are not in the set.
    """

    table: Table
    vetters: tuple[str, ...]
    stamp: NDArray[np.intp]
    vetter: NDArray[np.intp]
    real: NDArray[np.bool_]
    skills: Skills | None
    strangers: int = 0


def consensus(votes: Sequence[Vote], ids: Sequence[str] | None = None, *, min_confidence: float = 0.5) -> Consensus:
    """Put the votes of all vetters together.

    One vote a vetter and stamp counts, the last that stands; blinded repeats do not count twice. `unsure` is
    an abstention: it moves no probability.

    Parameters
    ----------
    votes : sequence of Vote
        As `read_votes` returns them.
    ids : sequence of str, optional
        Of the stamps to speak of, in order; those that were voted on by default.
    min_confidence : float
        A stamp of which the votes are less sure than this gets no label but `IGNORE`, in [0.5, 1].

    Raises
    ------
    InputError
        `min_confidence` is out of range.

    Examples
    --------
    >>> votes = [Vote(s, v, w, "", s + w) for w in "abc" for s, v in (("x", "real"), ("y", "bogus"))]
    >>> found = consensus(votes).table
    >>> found["id"].tolist(), found["label"].tolist(), bool(found["probability"][0] > 0.9)
    (['x', 'y'], [1, 0], True)
    """
    if not 0.5 <= min_confidence <= 1:
        raise InputError(f"confidence {min_confidence:g}: give the least one that makes a label, between 0.5 and 1")
    stand = list(standing(votes).values())
    names = list(dict.fromkeys(vote.id for vote in stand)) if ids is None else list(ids)
    place = {name: row for row, name in enumerate(names)}
    mine = [vote for vote in stand if vote.id in place]
    counts = counted(place, [(vote.id, vote.vote) for vote in mine])
    vetters = tuple(sorted({vote.vetter for vote in mine}))
    definite = [vote for vote in mine if vote.vote != "unsure"]
    stamp = np.array([place[vote.id] for vote in definite], dtype=np.intp)
    vetter = np.array([vetters.index(vote.vetter) for vote in definite], dtype=np.intp)
    real = np.array([vote.vote == "real" for vote in definite], dtype=bool)
    skills = dawid_skene(stamp, vetter, real, stamps=len(names), vetters=len(vetters)) if definite else None
    probability = np.full(len(names), np.nan) if skills is None else skills.probability
    table = _table(names, counts, probability, min_confidence)
    return Consensus(table, vetters, stamp, vetter, real, skills, len(stand) - len(mine))


def _table(names: Sequence[str], counts: NDArray[np.int64], probability: NDArray[np.float64], least: float) -> Table:
    confidence = np.maximum(probability, 1 - probability)
    label = np.where(confidence >= least, (probability >= 0.5).astype(int), IGNORE)
    majority = np.select([counts[:, 0] > counts[:, 1], counts[:, 1] > counts[:, 0]], [1, 0], IGNORE)
    voted = counts.any(axis=1)
    columns = {"id": np.asarray(names, dtype=str) if len(names) else np.zeros(0, dtype="U1")}
    columns |= {f"votes_{name}": counts[:, place] for place, name in enumerate(("real", "bogus", "unsure"))}
    columns |= {"probability": probability, "confidence": confidence}
    columns |= {name: np.where(voted, value, UNLABELLED) for name, value in (("label", label), ("majority", majority))}
    return Table(columns)
