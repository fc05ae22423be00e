"""The tree of a bundle: its leaves are networks ready to run, above them are votes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..calibration import Calibration
from ..classifier import Card
from ..ensemble import calibrations, soft_vote
from ..preprocess import Preprocess
from ..scoring import score_planes
from .runtime import Network

__all__ = ["Node", "Planes"]

#: Stamps made ready, by what was done to them.
Planes = Mapping[Preprocess, NDArray[np.float32]]


@dataclass(frozen=True)
class Node:
    """A network, or several nodes that vote.

    Parameters
    ----------
    card : Card
        Of the network or the ensemble.
    network : Network or None
        What gives the logits, where it is one network.
    members : tuple of Node
        Who votes, where it is an ensemble.
    arithmetic : {"f32", "bf16"}
        Of what is not quantised in the network, on processors that have it.

    Raises
    ------
    ModelError
        A vote of calibrated scores, and a member has no calibration.
    """

    card: Card
    network: Network | None = None
    members: tuple[Node, ...] = ()
    arithmetic: str = "f32"
    _calibrations: tuple[Calibration | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the members' calibrations once."""
        object.__setattr__(self, "_calibrations", calibrations(self.card, [member.card for member in self.members]))

    @property
    def quantised(self) -> bool:
        """Whether it is one network, in int8."""
        return self.network is not None and bool(self.network.contents[1])

    @property
    def used(self) -> str:
        """What the network really works in on this processor: f32, bf16 or int8; nothing where it is an ensemble."""
        return "" if self.network is None else "int8" if self.quantised else self.network.arithmetic

    def leaves(self) -> Iterator[Node]:
        """Every node that is one network, in order."""
        if self.network is not None:
            yield self
        for member in self.members:
            yield from member.leaves()

    def networks(self) -> Iterator[Network]:
        """Every network, in order."""
        return (leaf.network for leaf in self.leaves() if leaf.network is not None)

    def scores(self, planes: Planes) -> NDArray[np.float32]:
        """Score stamps made ready: a network as `score_stamps` does it, an ensemble as `Ensemble.predict`."""
        if self.network is not None:
            return score_planes(self.card, self.network.logits, planes[self.card.preprocess])
        return soft_vote((member.scores(planes) for member in self.members), self._calibrations)
