"""From stamps to scores, the same for a network in torch and one in any other runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .classifier import Card, Classifier, symmetry_views
from .errors import InputError
from .stamps import StampSet

__all__ = [
    "channel_indices",
    "per_stamp",
    "score_planes",
    "score_rows",
    "score_stamps",
    "sigmoid",
    "stamps_for",
    "verdicts",
]

#: Rows of a set in memory at a time.
_BLOCK = 1024


def sigmoid(logits: ArrayLike) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-logit)), float32, without overflow.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    values = np.asarray(logits, dtype=np.float64)
    half = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0 / (1.0 + half), half / (1.0 + half)).astype(np.float32)


def verdicts(scores: ArrayLike, threshold: ArrayLike) -> NDArray[np.bool_]:
    """Return which scores are real: `score >= threshold`, both as float32, which is what scores are.

    Parameters
    ----------
    scores : array_like, shape (N,)
        Real is what is high; NaN is not real.
    threshold : float or array_like, shape (N,)
        Of a card, in double precision; as such it might lie above the very score it was taken from.

    Examples
    --------
    >>> verdicts(np.float32([0.1, 0.5, 0.9]), 0.9).tolist()
    [False, False, True]
    """
    return np.asarray(np.asarray(scores, dtype=np.float32) >= np.asarray(threshold, dtype=np.float32))


def score_planes(
    card: Card, logits_of: Callable[[NDArray[np.float32]], NDArray[np.float32]], planes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Run a network on ready planes, as many views of them as the card says, and average.

    The views are averaged as logits and the mean goes through the sigmoid: a mean of
    probabilities would lose the order among scores near 0 and 1.

    Parameters
    ----------
    card : Card
        Says how many views.
    logits_of : callable
        Planes (M, P, S, S) to logits, M of them in any shape.
    planes : ndarray of float32, shape (M, P, S, S)
        What `card.preprocess` made.

    Returns
    -------
    ndarray of float32, shape (M,), in [0, 1]
    """
    total = np.zeros(len(planes), dtype=np.float64)
    for view in symmetry_views(planes, card.views):
        total += np.asarray(logits_of(view), dtype=np.float64).reshape(-1)
    return sigmoid(total / card.views)


def score_stamps(
    card: Card,
    logits_of: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    pixels: ArrayLike,
    *,
    noise: ArrayLike | None = None,
    fwhm: ArrayLike | None = None,
    batch: int = 1024,
) -> NDArray[np.float32]:
    """Preprocess stamps as the card says, run the network, average the views; see `score_planes`.

    Parameters
    ----------
    card : Card
        Preprocessing and number of views.
    logits_of : callable
        Planes (M, P, S, S) to logits, M of them in any shape.
    pixels : array_like, shape (N, C, S, S)
        Stamps, ADU; a memory-mapped array is read batch by batch.
    noise, fwhm : array_like, shape (N,) or a number, optional
        Each frame's sigma (ADU) and PSF size (pixels).
    batch : int
        Stamps in memory at a time.

    Returns
    -------
    ndarray of float32, shape (N,), in [0, 1]

    Raises
    ------
    InputError
        The stamps do not fit the card, or hold non-finite pixels.
    """
    stamps = stamps_for(card, pixels)
    count = len(stamps)
    sigma, size = per_stamp("noise", noise, count), per_stamp("fwhm", fwhm, count)
    scores = np.empty(count, dtype=np.float32)
    for start in range(0, count, batch):
        rows = slice(start, start + batch)
        planes = card.preprocess(
            stamps[rows],
            noise=None if sigma is None else sigma[rows],
            fwhm=None if size is None else size[rows],
        )
        scores[rows] = score_planes(card, logits_of, planes)
    return scores


def stamps_for(card: Card, pixels: ArrayLike) -> NDArray[Any]:
    """Return stamps as an array, a memory map as it is, if they have the shape that the card asks for.

    Raises
    ------
    InputError
        They are not (N, C, S, S) with as many planes as the card has channels.
    """
    stamps = np.asanyarray(pixels)
    channels = card.channels
    if stamps.ndim != 4 or stamps.shape[1] != len(channels):
        raise InputError(
            f"stamps have shape {stamps.shape}, expected (N, {len(channels)}, S, S) for the channels {channels}"
        )
    return stamps


def channel_indices(have: Sequence[str], want: Sequence[str]) -> list[int]:
    """Where each wanted channel lies among those at hand.

    Raises
    ------
    InputError
        A wanted channel is not there.

    Examples
    --------
    >>> channel_indices(("science", "reference", "difference"), ("difference",))
    [2]
    """
    missing = [name for name in want if name not in have]
    if missing:
        raise InputError(f"the model needs the channels {missing}; the stamps have {list(have)}: cut them with these")
    return [list(have).index(name) for name in want]


def per_stamp(name: str, values: ArrayLike | None, count: int) -> NDArray[np.float32] | None:
    """Return the value of each of `count` stamps, float32, shape (count,); None where there is none.

    Raises
    ------
    InputError
        Neither one number nor one a stamp.

    Examples
    --------
    >>> per_stamp("fwhm", 3.0, 2).tolist()
    [3.0, 3.0]
    """
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float32)
    if array.ndim and array.shape != (count,):
        raise InputError(f"{name} has shape {array.shape}, expected one value for each of the {count} stamps")
    return np.broadcast_to(array, (count,))


def score_rows(
    classifier: Classifier, stamps: StampSet, rows: NDArray[np.int64], say: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Score rows of a set that may lie on disk.

    Parameters
    ----------
    classifier : Classifier
        Whose channels the stamps have.
    stamps : StampSet
        The set.
    rows : ndarray of int, shape (M,)
        Which of them; they must be usable.
    say : callable, optional
        Called with (rows done, rows in all).

    Returns
    -------
    ndarray of float32, shape (M,)

    Raises
    ------
    InputError
        A channel is missing, or a score is not finite.
    """
    channels = channel_indices(stamps.channels, classifier.card.channels)
    noise, fwhm = stamps.noise, stamps.fwhm
    scores = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        pixels = np.asarray(stamps.pixels[part][:, channels])
        scores[start : start + len(part)] = classifier.predict(pixels, noise=noise[part], fwhm=fwhm[part])
        if say:
            say(start + len(part), len(rows))
    bad = ~np.isfinite(scores)
    if bad.any():
        first = stamps.catalogue["id"][rows[bad][0]]
        raise InputError(f"{int(bad.sum())} of {len(rows)} scores are not finite, first of {first}: look at its pixels")
    return scores
