"""What scores have gone by: a histogram that never grows, for policies that go by many candidates."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..scoring import sigmoid

__all__ = ["NEVER", "Flow"]

#: A threshold that no score reaches.
NEVER = float(np.nextafter(np.float32(1), np.float32(2)))

_BINS = 2048
#: Scores are counted by their logit, so that those near 0 and 1 are told apart; float32 ends about here.
_REACH = 17.0


class Flow:
    """Count scores, and sum their probabilities; what came long ago counts less and less.

    Parameters
    ----------
    memory : float
        After so many candidates more, one counts 1/e; infinity: for ever.

    Examples
    --------
    >>> flow = Flow()
    >>> flow.add(np.linspace(0.05, 0.95, 10), np.linspace(0.05, 0.95, 10))
    >>> flow.seen, round(flow.expected_real, 3), round(flow.above(3), 2)
    (10, 5.0, 0.65)
    """

    def __init__(self, memory: float = math.inf) -> None:
        self.memory = memory
        self.seen = 0
        self._edges = _edges()
        self._count = np.zeros(_BINS)
        self._real = np.zeros(_BINS)

    def add(self, scores: NDArray[np.float32], probabilities: NDArray[np.float32] | None = None) -> None:
        """Take scores, each in [0, 1]; NaN is passed over."""
        there = np.isfinite(scores)
        values = np.asarray(scores, dtype=np.float64)[there]
        if not len(values):
            return
        if math.isfinite(self.memory):
            fade = math.exp(-len(values) / self.memory)
            self._count *= fade
            self._real *= fade
        place = np.searchsorted(self._edges, values, side="right") - 1
        self._count += np.bincount(place, minlength=_BINS)
        if probabilities is not None:
            self._real += np.bincount(place, weights=np.asarray(probabilities, np.float64)[there], minlength=_BINS)
        self.seen += len(values)

    @property
    def expected_real(self) -> float:
        """Sum of the probabilities."""
        return float(self._real.sum())

    def above(self, count: float) -> float:
        """Return the lowest threshold that at most `count` candidates reach."""
        return self._lowest(_from_top(self._count) <= count)

    def pure(self, purity: float) -> float:
        """Return the lowest threshold from which on the mean probability is `purity` at least."""
        count = _from_top(self._count)
        return self._lowest((count > 0) & (_from_top(self._real) >= purity * count))

    def complete(self, completeness: float) -> float:
        """Return the highest threshold that keeps `completeness` of the probability."""
        kept = _from_top(self._real) >= completeness * self._real.sum() * (1 - 1e-12)
        return float(self._edges[np.flatnonzero(kept)[-1]])

    def balanced(self) -> float:
        """Return the threshold where precision equals recall: as many candidates as there should be real ones."""
        gap = np.abs(_from_top(self._count) - self._real.sum())
        return float(self._edges[np.flatnonzero(gap == gap.min())[-1]])

    def _lowest(self, fits: NDArray[np.bool_]) -> float:
        """Return the lowest edge where it fits; above all scores where there is none."""
        return float(self._edges[int(fits.argmax())]) if fits.any() else NEVER


def _from_top(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over each bin and all above it."""
    sums: NDArray[np.float64] = np.cumsum(values[::-1])[::-1]
    return sums


@lru_cache(maxsize=1)
def _edges() -> NDArray[np.float64]:
    return np.concatenate([[0.0], sigmoid(np.linspace(-_REACH, _REACH, _BINS - 1)).astype(np.float64)])
