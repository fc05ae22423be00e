"""The contract `Classifier`, and the `Card` that travels with every one of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .config import build
from .errors import ConfigError, ModelError
from .preprocess import Preprocess

__all__ = ["CARD_VERSION", "Card", "Classifier", "symmetry_views"]

#: Format of the card; a model of another format is refused with a clear error.
CARD_VERSION = 1
_VIEWS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Card:
    """What must be known to use a model, and what should be known to trust it.

    Parameters
    ----------
    name : str
        What the model is called in catalogues and reports.
    architecture : str
        Name in the table of architectures.
    architecture_options : mapping
        Options its builder was called with.
    preprocess : Preprocess
        What is done to stamps first.
    threshold : float
        `score >= threshold` is real.
    views : {1, 2, 4, 8}
        How many symmetric views of a stamp are averaged for one score.
    calibration : mapping or None
        How scores become probabilities, where that was measured.
    config : mapping
        The resolved training configuration.
    data : mapping
        Fingerprint, seeds and counts of the training data.
    metrics : mapping
        What was measured, and on what.
    version : str
        Version of the model.

    Examples
    --------
    >>> card = Card(name="toy", architecture="compact", threshold=0.7)
    >>> Card.from_json(card.to_json()) == card
    True
    """

    name: str
    architecture: str
    architecture_options: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Preprocess = field(default_factory=Preprocess)
    threshold: float = 0.5
    views: int = 1
    calibration: Mapping[str, Any] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    version: str = "1"

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the stamps the model takes, in order."""
        return self.preprocess.channels

    def with_threshold(self, threshold: float) -> Card:
        """Return the card with another threshold."""
        return replace(self, threshold=float(threshold))

    def to_json(self) -> str:
        """Text of `card.json`."""
        values = asdict(self) | {"card_version": CARD_VERSION, "preprocess": self.preprocess.to_dict()}
        return json.dumps(values, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str = "the model") -> Card:
        """Read the text of a card.

        Parameters
        ----------
        text : str or bytes
            What `to_json` gave.
        source : str
            The file it comes from, for messages.

        Raises
        ------
        ModelError
            The text is no card, lacks keys or holds values of wrong types, or is of another version.
        """
        try:
            values = json.loads(text)
            version = values.pop("card_version")
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(
                f"the card of {source} cannot be read ({error!r}): the file is damaged or not ours"
            ) from error
        if version != CARD_VERSION or isinstance(version, bool):
            raise ModelError(
                f"the card of {source} has version {version!r}, this realbogus reads {CARD_VERSION}: "
                "export the model again with this version"
            )
        try:
            missing = sorted({entry.name for entry in fields(cls)} - set(values))
            if missing:
                raise ConfigError(f"it lacks the keys {', '.join(missing)}")
            card = build(cls, values | {"preprocess": Preprocess.from_dict(values["preprocess"])})
            if card.views not in _VIEWS:
                raise ConfigError(f"views is {card.views}: choose one of {', '.join(map(str, _VIEWS))}")
            if not math.isfinite(card.threshold):
                raise ConfigError(f"threshold is {card.threshold}, expected a finite number")
        except ConfigError as error:
            raise ModelError(
                f"the card of {source} does not fit this version of realbogus or is damaged: {error}; "
                "copy or export the model again"
            ) from error
        return card


@runtime_checkable
class Classifier(Protocol):
    """Anything that scores stamps: a model, an ensemble, a runtime.

    `predict` takes stamps in ADU, shape (N, C, S, S), with each frame's noise (ADU) and
    PSF size (pixels), and returns scores, shape (N,), float32 in [0, 1]; 1 is real.
    """

    @property
    def card(self) -> Card:
        """What the classifier is."""
        ...

    def predict(
        self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Score stamps."""
        ...


def symmetry_views(planes: NDArray[np.float32], views: int) -> list[NDArray[np.float32]]:
    """Return the first `views` of the eight symmetric views of square planes.

    Parameters
    ----------
    planes : ndarray, shape (N, P, S, S)
    views : {1, 2, 4, 8}
        1: as it is; 2: also turned by 180 degrees; 4: the four flips; 8: with their transposes.

    Returns
    -------
    list of ndarray, each (N, P, S, S)

    Raises
    ------
    ModelError
        Another number of views.

    Examples
    --------
    >>> import numpy as np
    >>> [v[0, 0, 0, 0].item() for v in symmetry_views(np.arange(4.0).reshape(1, 1, 2, 2), 4)]
    [0.0, 3.0, 2.0, 1.0]
    """
    if views not in _VIEWS:
        raise ModelError(f"{views} test-time views: choose 1, 2, 4 or 8")
    flips = [planes, planes[..., ::-1, ::-1], planes[..., ::-1, :], planes[..., ::-1]]
    every = flips + [np.swapaxes(view, -1, -2) for view in flips]
    return [np.ascontiguousarray(view) for view in every[:views]]
