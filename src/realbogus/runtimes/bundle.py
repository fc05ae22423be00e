"""The noun `Bundle`: networks, card, threshold, calibration and certificate, ready to be deployed.

On disk it is a folder, `bundle.json` and the networks under `members/`: `.onnx`, or `.xml` and `.bin`. No
torch is needed to run one. See `bundle_files` for how it is written and read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..classifier import Card
from ..errors import InputError, ModelError
from ..scoring import channel_indices, per_stamp, stamps_for
from .certificate import Certificate
from .gate import Gate, gated_card
from .node import Node, Planes

__all__ = ["Bundle"]

#: Stamps prepared at a time, while the networks work on those before.
_PART = 256


class Bundle:
    """A model or an ensemble ready to be deployed. A `Classifier`.

    It scores as the networks one by one would, but prepares stamps once for all networks that see the same,
    and while the networks work on those before. What a gate sends away keeps the gate's score; what goes on is
    prepared for the others then.

    Parameters
    ----------
    root : Node
        The network, or the ensemble.
    gate : Gate or None
        Who looks first.
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

    def __init__(
        self,
        root: Node,
        *,
        runtime: str,
        precision: str,
        gate: Gate | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.root, self.gate, self.runtime, self.precision = root, gate, runtime, precision
        self.certificate = certificate
        self._card = root.card if gate is None else gated_card(root.card, gate)
        nodes = [root] if gate is None else [root, gate.node]
        recipes = {network.card.preprocess for node in nodes for network in node.networks()}
        try:
            self._channels = {recipe: channel_indices(self._card.channels, recipe.channels) for recipe in recipes}
        except InputError as error:
            raise ModelError(f"{root.card.name!r} does not hand its networks what they need: {error}") from error

    @property
    def card(self) -> Card:
        """What the model is, with its threshold and calibration; see `gated_card` for one behind a gate."""
        return self._card

    def with_threshold(self, threshold: float) -> Bundle:
        """Return the same networks with another threshold; it has no certificate, which is for one threshold."""
        return self.with_root(replace(self.root, card=self.root.card.with_threshold(threshold)))

    def with_root(self, root: Node) -> Bundle:
        """Return other networks behind the same gate; it has no certificate."""
        return Bundle(root, runtime=self.runtime, precision=self.precision, gate=self.gate)

    def with_gate(self, gate: Gate | None) -> Bundle:
        """Return the same networks behind another gate, or none; it has no certificate."""
        return Bundle(self.root, runtime=self.runtime, precision=self.precision, gate=gate)

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
        facts = {"noise": per_stamp("noise", noise, count), "fwhm": per_stamp("fwhm", fwhm, count)}
        if self.gate is None or not count:
            return self._run(self.root, stamps, facts)
        self._check(stamps, facts)
        scores = self._run(self.gate.node, stamps, facts)
        rows = np.flatnonzero(self.gate.goes_on(scores))
        scores[rows] = self._run(self.root, stamps, facts, rows)
        return scores

    def _check(self, stamps: NDArray[Any], facts: dict[str, NDArray[np.float32] | None]) -> None:
        """Refuse stamps that the networks behind the gate would: that must not depend on which go on."""
        none = {name: None if values is None else values[:0] for name, values in facts.items()}
        for recipe, chosen in self._channels.items():
            recipe(np.asarray(stamps[:0])[:, chosen], **none)  # their sides, and what must come with them
        for start in range(0, len(stamps), _PART):
            self.card.preprocess.check(np.asarray(stamps[start : start + _PART], dtype=np.float32), facts["fwhm"])

    def _run(
        self,
        node: Node,
        stamps: NDArray[Any],
        facts: dict[str, NDArray[np.float32] | None],
        rows: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """Score stamps, or some of them, in parts: the next is made ready while the networks have this one."""
        recipes = {network.card.preprocess for network in node.networks()}
        count = len(stamps) if rows is None else len(rows)

        def prepare(start: int) -> Planes:
            part: Any = slice(start, start + _PART)
            part = part if rows is None else rows[part]
            pixels = np.asarray(stamps[part])
            given = {name: None if values is None else values[part] for name, values in facts.items()}
            return {recipe: recipe(_taken(pixels, self._channels[recipe]), **given) for recipe in recipes}

        scores = np.empty(count, dtype=np.float32)
        if count <= _PART:
            scores[:] = node.scores(prepare(0)) if count else 0.0
            return scores
        with ThreadPoolExecutor(1) as aside:
            coming = aside.submit(prepare, 0)
            for start in range(0, count, _PART):
                planes = coming.result()
                if start + _PART < count:
                    coming = aside.submit(prepare, start + _PART)
                scores[start : start + _PART] = node.scores(planes)
        return scores


def _taken(stamps: NDArray[np.float32], channels: list[int]) -> NDArray[np.float32]:
    """Return some channels; all of them as they are, without a copy."""
    return stamps if channels == list(range(stamps.shape[1])) else stamps[:, channels]
