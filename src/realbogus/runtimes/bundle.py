"""The noun `Bundle`: networks, card, threshold, calibration and certificate, ready to be deployed.

On disk it is a folder, `bundle.json` and the networks under `members/`: `.onnx`, or `.xml` and `.bin`. No
torch is needed to run one. See `bundle_files` for how it is written and read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..calibration import Calibration
from ..classifier import Card
from ..ensemble import calibrations, soft_vote
from ..errors import InputError, ModelError
from ..preprocess import Preprocess
from ..scoring import channel_indices, per_stamp, score_planes, stamps_for
from .certificate import Certificate
from .runtime import Network

__all__ = ["Bundle", "Node"]

#: Stamps prepared at a time, while the networks work on those before.
_PART = 256
_Planes = Mapping[Preprocess, NDArray[np.float32]]


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

    def scores(self, planes: _Planes) -> NDArray[np.float32]:
        """Score stamps made ready: a network as `score_stamps` does it, an ensemble as `Ensemble.predict`."""
        if self.network is not None:
            return score_planes(self.card, self.network.logits, planes[self.card.preprocess])
        return soft_vote((member.scores(planes) for member in self.members), self._calibrations)


class Bundle:
    """A model or an ensemble ready to be deployed. A `Classifier`.

    It scores as the networks one by one would, but prepares stamps once for all networks that see the same,
    and while the networks work on those before.

    Parameters
    ----------
    root : Node
        The network, or the ensemble.
    runtime : str
        A name in `RUNTIMES`.
    precision : {"f32", "bf16", "int8"}
        What it was exported in.
    certificate : Certificate or None
        What the export changed, on held-out stamps.

    Raises
    ------
    ModelError
        A network needs channels that the card does not name.
    """

    def __init__(self, root: Node, *, runtime: str, precision: str, certificate: Certificate | None = None) -> None:
        self.root, self.runtime, self.precision = root, runtime, precision
        self.certificate = certificate
        recipes = {network.card.preprocess for network in root.networks()}
        try:
            self._channels = {recipe: channel_indices(root.card.channels, recipe.channels) for recipe in recipes}
        except InputError as error:
            raise ModelError(f"{root.card.name!r} does not hand its networks what they need: {error}") from error

    @property
    def card(self) -> Card:
        """What the model is, with its threshold and calibration."""
        return self.root.card

    def with_threshold(self, threshold: float) -> Bundle:
        """Return the same networks with another threshold; it has no certificate, which is for one threshold."""
        root = replace(self.root, card=self.card.with_threshold(threshold))
        return Bundle(root, runtime=self.runtime, precision=self.precision)

    def predict(
        self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Score stamps; see `Classifier` for the arguments.

        Raises
        ------
        InputError
            The stamps do not fit the card, or hold non-finite pixels.
        """
        stamps = stamps_for(self.card, pixels)
        count = len(stamps)
        sigma, size = per_stamp("noise", noise, count), per_stamp("fwhm", fwhm, count)

        def prepare(start: int) -> _Planes:
            rows = slice(start, start + _PART)
            part = np.asarray(stamps[rows])
            facts = {"noise": None if sigma is None else sigma[rows], "fwhm": None if size is None else size[rows]}
            return {recipe: recipe(_taken(part, chosen), **facts) for recipe, chosen in self._channels.items()}

        scores = np.empty(count, dtype=np.float32)
        if count <= _PART:
            scores[:] = self.root.scores(prepare(0)) if count else 0.0
            return scores
        with ThreadPoolExecutor(1) as aside:
            coming = aside.submit(prepare, 0)
            for start in range(0, count, _PART):
                planes = coming.result()
                if start + _PART < count:
                    coming = aside.submit(prepare, start + _PART)
                scores[start : start + _PART] = self.root.scores(planes)
        return scores


def _taken(stamps: NDArray[np.float32], channels: list[int]) -> NDArray[np.float32]:
    """Return some channels; all of them as they are, without a copy."""
    return stamps if channels == list(range(stamps.shape[1])) else stamps[:, channels]
