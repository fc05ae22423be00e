"""A gate: a quick network that sends away what is surely bogus, so that slow ones need not look at it.

Nearly all of a night's candidates are bogus, and most of these plainly so. What the gate scores below its cut keeps
the gate's score; all else goes on to the networks behind it (a cascade: Viola & Jones 2001). The cut is chosen on
stamps that neither was trained on: so low that what is real goes on, and what the networks call real but for a few
that are known to be bogus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..classifier import Card
from ..errors import InputError, ModelError
from ..scoring import verdicts
from .node import Node

__all__ = ["FLIPPED", "LOST", "Gate", "choose_cut", "gated_card"]

#: Share of the stamps that must go on which may stay behind all the same: an odd one in a thousand sets no cut.
LOST = 1e-3
#: Share of all stamps that may stay behind though the model calls them real, where they are known to be bogus: half of
#: what a certificate lets flip.
FLIPPED = 5e-4
#: Odds of the cut beside those of the lowest stamp that must go on: stamps that were not seen score lower still.
_MARGIN = 0.5


@dataclass(frozen=True)
class Gate:
    """Who looks first, and what it may decide alone.

    Parameters
    ----------
    node : Node
        The quick network.
    cut : float
        What it scores below this keeps its score; the rest goes on.
    passed : float
        Share of the held-out stamps that went on.

    Raises
    ------
    ModelError
        A cut or a share that cannot be.
    """

    node: Node
    cut: float
    passed: float

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        for what, value in (("cut", self.cut), ("share that goes on", self.passed)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ModelError(f"the gate's {what} is {value!r}, expected a number in 0 to 1")

    def goes_on(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Return which stamps go on, by the gate's scores."""
        return verdicts(scores, self.cut)


def choose_cut(
    gate: ArrayLike,
    model: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float,
    lost: float = LOST,
    flipped: float = FLIPPED,
) -> float:
    """Return the cut of a gate: half the odds of the lowest of its scores among the stamps that must go on.

    Those are what is labelled real, and what the model calls real and nobody knows better; of either a share `lost`
    may stay behind, rounded down: none of fewer than a thousand. Bogus that the model takes for real are no loss, but
    verdicts that flip: of these so many may stay behind that they are a share `flipped` of all stamps.

    Parameters
    ----------
    gate, model : array_like, shape (N,)
        Scores of the same stamps, which neither was trained on.
    labels : array_like of int, shape (N,)
        1 is real, 0 bogus; of any other nobody knows.
    threshold : float
        The model's: `score >= threshold` is real. The cut is never above it.
    lost, flipped : float
        From 0 to below 1.

    Raises
    ------
    InputError
        Lengths differ, scores are not finite, or no stamp must go on, so that nothing tells where to cut.

    Examples
    --------
    >>> choose_cut([0.01, 0.02, 0.5, 0.9], [0.1, 0.2, 0.7, 0.9], [0, 0, -1, 1], threshold=0.6)
    0.3333333333333333
    """
    one, two, known = np.asarray(gate, np.float64), np.asarray(model, np.float64), np.asarray(labels)
    if not one.shape == two.shape == known.shape or one.ndim != 1:
        raise InputError(f"scores of shapes {one.shape} and {two.shape} with labels of shape {known.shape}")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise InputError("scores that are not finite tell nothing of a gate: look at the stamps' pixels")
    called = verdicts(two, threshold)
    # each has its own share, so that rare real do not pay for what a model calls real in great numbers
    needed = [must for must in (known == 1, called & ~np.isin(known, (0, 1))) if must.any()]
    if not needed:
        raise InputError(
            f"none of {len(one)} stamps is labelled real, and the model calls none real that is not labelled bogus: "
            "where the gate may cut is not known; hand in stamps with real ones among them (`--gate-stamps`)"
        )
    lowest = min(float(np.sort(one[must])[math.floor(lost * must.sum())]) for must in needed)
    odds = _MARGIN * lowest / max(1 - lowest, 1e-9)
    ends = [odds / (1 + odds), threshold]
    fooled, spared = np.sort(one[called & (known == 0)]), math.floor(flipped * len(one))
    if spared < len(fooled):
        ends.append(float(fooled[spared]))
    return min(ends)


def gated_card(card: Card, gate: Gate) -> Card:
    """Return a model's card as it is behind a gate.

    Stamps must have what both need, as in `Ensemble.of`. The version names the gate: scores that travel with it tell
    which they are. `config["gate"]` says where it cuts.
    """
    first, then = gate.node.card, card.preprocess
    takes = replace(
        then,
        planes=tuple(dict.fromkeys((*then.planes, *first.preprocess.planes))),
        channels=tuple(dict.fromkeys((*card.channels, *first.channels))),
        size=max(then.size, first.preprocess.size),
    )
    facts = {"name": first.name, "version": first.version, "cut": gate.cut}
    return replace(
        card,
        preprocess=takes,
        version=f"{card.version}+{first.name}-{first.version}",
        config={**card.config, "gate": facts},
    )
