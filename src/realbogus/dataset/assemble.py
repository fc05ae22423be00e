"""Labelled stamps from simulations, through the same chain that a night goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import FrameError, InputError
from ..images.candidates import CHANNELS, find_candidates
from ..images.measure import measure
from ..images.simulate import simulate_pair
from ..stamps import IGNORE, STAMP_SIZE, StampSet

__all__ = ["label_by_truth", "simulate_stamps"]

_PLAIN_SHARE = 0.1  # of the pairs are subtracted without matching the PSFs
_MATCH_RADIUS_PX = 2.5  # MST_FACTS: labels by injected truth within 2.5 px


def label_by_truth(
    catalogue: Table, truth: Table, ignore: Table | None = None, *, fwhm: float = 3.0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label detections by what is truly there.

    The nearest detection of the right sign within max(2.5 px, FWHM / 2) of a true source is
    real; others within max(5 px, 2 FWHM), and all inside a circle of `ignore`, are `IGNORE`:
    nobody could say what they are. The rest is bogus.

    Parameters
    ----------
    catalogue : Table
        Detections: `x`, `y`, `sign`.
    truth : Table
        Sources: `x`, `y`, `flux` (its sign is the event's).
    ignore : Table, optional
        Circles: `x`, `y`, `radius` (pixels).
    fwhm : float
        PSF size, pixels.

    Returns
    -------
    labels : ndarray of int, shape (N,)
        1, 0 or `IGNORE`.
    match : ndarray of int, shape (N,)
        Row of `truth` behind a real detection, else -1.

    Examples
    --------
    >>> found = Table({"x": [10.0, 50.0], "y": [10.0, 50.0], "sign": [1, 1]})
    >>> truth = Table({"x": [10.4], "y": [9.8], "flux": [300.0]})
    >>> [values.tolist() for values in label_by_truth(found, truth)]
    [[1, 0], [0, -1]]
    """
    count = len(catalogue)
    labels = np.zeros(count, dtype=np.int64)
    match = np.full(count, -1, dtype=np.int64)
    if not count:
        return labels, match
    x, y = np.asarray(catalogue["x"], dtype=float), np.asarray(catalogue["y"], dtype=float)
    if ignore is not None and len(ignore):
        inside = np.hypot(x[:, None] - ignore["x"], y[:, None] - ignore["y"]) < np.asarray(ignore["radius"])
        labels[inside.any(axis=1)] = IGNORE
    if not len(truth):
        return labels, match
    distance = np.hypot(x[:, None] - np.asarray(truth["x"]), y[:, None] - np.asarray(truth["y"]))
    labels[distance.min(axis=1) < max(5.0, 2.0 * fwhm)] = IGNORE
    same_sign = np.asarray(catalogue["sign"])[:, None] == np.sign(np.asarray(truth["flux"]))[None, :]
    reach = np.where(same_sign, distance, np.inf)
    nearest = reach.argmin(axis=0)
    for row, detection in enumerate(nearest):
        if reach[detection, row] < max(_MATCH_RADIUS_PX, fwhm / 2) and match[detection] < 0:
            labels[detection] = 1
            match[detection] = row
    return labels, match


def _one_pair(job: tuple[str, int, int, int, int, tuple[str, ...]]) -> StampSet | str:
    """Simulate, subtract, detect, cut and label one pair; a string is the reason why it failed."""
    preset, seed, index, size, most_bogus, channels = job
    rng = np.random.default_rng([seed, index])
    try:
        pair = simulate_pair(preset, rng, size=size)
        measurement = measure(pair.science)
        # Surveys choose different thresholds, and not every subtraction succeeds: what is learned from
        # one threshold and good differences alone takes every rare residual for a source.
        threshold = rng.choice([rng.uniform(1.8, 2.5), 2.5, rng.uniform(2.5, 5.0)], p=[0.4, 0.4, 0.2])
        method = "plain" if rng.random() < _PLAIN_SHARE else "alard-lupton"
        found = find_candidates(
            pair.science, pair.reference, measurement, method=method, threshold=threshold, channels=channels
        )
    except FrameError as error:
        return str(error)
    table = found.catalogue
    labels, match = label_by_truth(table, pair.truth, pair.ignore, fwhm=found.difference.fwhm)
    bogus = np.flatnonzero((labels == 0) & table["usable"])
    if len(bogus) > most_bogus:
        bogus = np.sort(rng.choice(bogus, most_bogus, replace=False))
    keep = np.concatenate([np.flatnonzero((labels == 1) & table["usable"]), bogus])
    rows = table[keep]
    rows["label"] = labels[keep]
    rows["origin"] = np.full(len(keep), "simulation")
    truth_row = match[keep]
    rows["source"] = [
        f"{seed}-{index}-{'t' if t >= 0 else 'b'}{t if t >= 0 else k}" for k, t in zip(keep, truth_row, strict=True)
    ]
    rows["frame"] = np.full(len(keep), f"{seed}-{index}")
    rows["id"] = [f"{seed}-{index}-{k}" for k in keep]
    rows["true_snr"] = np.where(truth_row >= 0, _at(pair.truth, "snr", truth_row), np.nan)
    rows["kind"] = [str(pair.truth["kind"][t]) if t >= 0 else "bogus" for t in truth_row]
    rows.meta.clear()
    return StampSet(found.pixels[keep], rows, channels)


def _at(truth: Table, column: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    if not len(truth):
        return np.full(len(rows), np.nan)
    return np.asarray(truth[column], dtype=float)[np.maximum(rows, 0)]


def _outcomes(jobs: list[tuple[str, int, int, int, int, tuple[str, ...]]], workers: int) -> Iterator[StampSet | str]:
    if workers == 1:
        yield from map(_one_pair, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_one_pair, jobs, chunksize=4)


def simulate_stamps(
    preset: str = "varied",
    pairs: int = 1000,
    *,
    seed: int = 0,
    first: int = 0,
    size: int = 416,
    most_bogus: int = 40,
    channels: tuple[str, ...] = CHANNELS,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> StampSet:
    """Simulate pairs of frames and put them through subtract, detect and cut, with labels.

    Parameters
    ----------
    preset : str
        Which telescopes: a name in the table of presets.
    pairs : int
        How many pairs to simulate.
    seed, first : int
        Pair `i` is drawn from the generator of (seed, first + i), so sets with other
        ranges of the same seed share nothing and can be joined.
    size : int
        Side of the frames, pixels.
    most_bogus : int
        How many bogus of one pair are kept at most, drawn at random.
    channels : tuple of str
        Channels of the stamps.
    jobs : int
        Worker processes; the outcome does not depend on it.
    progress : callable, optional
        Called with (pairs done, pairs in all).

    Returns
    -------
    StampSet
        `source` and `frame` name what must not be split between training and test.

    Raises
    ------
    InputError
        Not one pair could be used.
    """
    work = [(preset, seed, first + i, size, most_bogus, channels) for i in range(pairs)]
    sets: list[StampSet] = []
    failed: dict[str, int] = {}
    for done, outcome in enumerate(_outcomes(work, jobs), start=1):
        if isinstance(outcome, str):
            reason = outcome.split(":")[0]
            failed[reason] = failed.get(reason, 0) + 1
        elif len(outcome):
            sets.append(outcome)
        if progress:
            progress(done, pairs)
    if not sets:
        raise InputError(f"none of {pairs} simulated pairs gave a stamp: {failed}")
    joined = StampSet.concatenate(sets)
    provenance = {
        "origin": "simulation",
        "preset": preset,
        "pairs": pairs,
        "seed": seed,
        "first": first,
        "size": size,
        "most_bogus": most_bogus,
        "stamp_size": STAMP_SIZE,
        "failed": failed,
    }
    return StampSet(joined.pixels, joined.catalogue, channels, provenance)
