"""The stamps that a model is timed on: random ones, or some of a set; before a gate in an order that is fair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classifier import Card, Classifier
from ..errors import InputError, ModelError
from ..scoring import channel_indices
from ..stamps import STAMP_SIZE, StampSet
from .bundle import Bundle

__all__ = ["Stamps", "gate_scores", "random_stamps", "some_stamps", "spread", "through_all"]

#: How well a gate's share must be met.
_SHARE = 0.01
#: Pixels (N, C, S, S), noise (N,) and PSF sizes (N,), as `predict` takes them.
Stamps = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def random_stamps(card: Card, count: int) -> Stamps:
    """Return stamps, noise and PSF sizes as ten frames might give them.

    How quick a network is does not depend on more; how many stamps a gate sends away does, see `spread`.

    Returns
    -------
    tuple of ndarray
        Pixels (count, C, S, S), noise (count,), fwhm (count,).
    """
    rng = np.random.default_rng(0)
    side = max(STAMP_SIZE, card.preprocess.size)
    frame = np.arange(count) % 10
    noise, fwhm = rng.uniform(3, 10, 10).astype(np.float32)[frame], rng.uniform(2, 4, 10).astype(np.float32)[frame]
    pixels = rng.standard_normal((count, len(card.channels), side, side), dtype=np.float32)
    pixels[:, :, side // 2 - 1 : side // 2 + 2, side // 2 - 1 : side // 2 + 2] += 10.0
    return pixels * noise[:, None, None, None], noise, fwhm


def some_stamps(card: Card, folder: Path, count: int) -> Stamps:
    """Return stamps of a set, drawn at random, with the channels that the card asks for; all where they are fewer.

    Raises
    ------
    InputError
        A channel is missing, or no stamp can be used.
    """
    stamps = StampSet.load(folder)
    rows = np.flatnonzero(stamps.usable)
    if not len(rows):
        raise InputError(f"none of {len(stamps)} stamps of {folder} can be scored: choose another set")
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:count])
    pixels = np.asarray(stamps.pixels[rows][:, channel_indices(stamps.channels, card.channels)], dtype=np.float32)
    return pixels, stamps.noise[rows], stamps.fwhm[rows]


def gate_scores(model: Bundle, stamps: Stamps) -> NDArray[np.float32]:
    """Return what a bundle's gate says of stamps that have the bundle's channels.

    Raises
    ------
    ModelError
        It has none.
    """
    if model.gate is None:
        raise ModelError(f"{model.card.name} has no gate to ask")
    pixels, noise, fwhm = stamps
    channels = channel_indices(model.card.channels, model.gate.node.card.channels)
    return model.with_gate(None).with_root(model.gate.node).predict(pixels[:, channels], noise=noise, fwhm=fwhm)


def spread(model: Classifier, stamps: Stamps, share: float | None = None) -> tuple[Classifier, Stamps]:
    """Put stamps in an order in which every part has its share of those that go on through a model's gate.

    Otherwise the part that happens to be timed would decide how quick it seems. Without a gate nothing is changed.

    Parameters
    ----------
    model : Classifier
        The gate of a `Bundle` is asked.
    stamps : Stamps
        Of its channels.
    share : float, optional
        The gate's cut is moved so that so many go on: what random stamps look like says nothing of it, while of
        those held out the share was measured.

    Raises
    ------
    InputError
        The gate says the same of so many stamps that no cut has that share.
    """
    if not isinstance(model, Bundle) or model.gate is None:
        return model, stamps
    scores = gate_scores(model, stamps)
    if share is not None:
        last = len(scores) - round(share * len(scores))
        edge = np.sort(scores)[last] if last < len(scores) else np.float32(1)
        model = model.with_gate(replace(model.gate, cut=float(edge)))
    on = model.gate.goes_on(scores) if model.gate is not None else np.ones(len(scores), dtype=bool)
    if share is not None and abs(on.mean() - share) > _SHARE:
        raise InputError(
            f"{on.mean():.0%} of random stamps go on through the gate of {model.card.name} where {share:.0%} should, "
            "since it says the same of most: time it on stamps of a set (`--stamps`)"
        )
    place = np.empty(len(scores))
    for rows in (np.flatnonzero(on), np.flatnonzero(~on)):
        place[rows] = (np.arange(len(rows)) + 0.5) / max(1, len(rows))
    order = np.argsort(place, kind="stable")
    pixels, noise, fwhm = stamps
    return model, (pixels[order], noise[order], fwhm[order])


def through_all(model: Classifier) -> Classifier:
    """Return a model whose gate sends nothing away: a stamp goes through every network."""
    if not isinstance(model, Bundle) or model.gate is None:
        return model
    return model.with_gate(replace(model.gate, cut=0.0))
