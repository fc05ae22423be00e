"""Stamps that came with one request, ready to be scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...adapters.packets import CHANNELS
from ...adapters.rows import filled, measured
from ...errors import InputError
from ...scoring import channel_indices
from ...stamps import STAMP_SIZE
from ..batch import Failed
from .limits import Refusal

__all__ = ["SIDES", "Given", "Plane", "Posted", "channels_of", "posted_of"]

#: Sides of stamps that are taken, pixels: the least and the most.
SIDES = (16, 512)


@dataclass(frozen=True)
class Given:
    """What the address of a request says of its stamps; each one value, or one a stamp.

    Parameters
    ----------
    noise, fwhm : tuple of float
        Sigma of the frame in the stamps' units, and PSF size in pixels; empty: measured on each stamp.
    id : tuple of str
        Names.
    channels : tuple of str
        Of the planes, in order; empty: by their number.
    mjd : float or None
        When they were taken; for a policy that counts by night.
    """

    noise: tuple[float, ...] = ()
    fwhm: tuple[float, ...] = ()
    id: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    mjd: float | None = None


@dataclass(frozen=True)
class Plane:
    """One stamp as a file has it.

    Parameters
    ----------
    pixels : ndarray of float32, shape (C, S, S)
    id : str
        Empty where the file has none.
    noise, fwhm, mjd : float
        NaN where the file says nothing of it.
    """

    pixels: NDArray[np.float32]
    id: str = ""
    noise: float = float("nan")
    fwhm: float = float("nan")
    mjd: float = float("nan")


@dataclass(frozen=True)
class Posted:
    """N stamps in the model's channels, and what could not be read.

    Parameters
    ----------
    ids : list of str
    pixels : ndarray of float32, shape (N, C, 64, 64)
    noise, fwhm, missing, mjd : ndarray of float, shape (N,)
    noise_from, fwhm_from : list of str
        `given`, `packet`, `measured` or `assumed`.
    usable : ndarray of bool, shape (N,)
    failed : sequence of Failed
    """

    ids: list[str]
    pixels: NDArray[np.float32]
    noise: NDArray[np.float64]
    fwhm: NDArray[np.float64]
    missing: NDArray[np.float64]
    mjd: NDArray[np.float64]
    noise_from: list[str]
    fwhm_from: list[str]
    usable: NDArray[np.bool_]
    failed: Sequence[Failed] = ()

    def __len__(self) -> int:
        return len(self.ids)


def channels_of(count: int, given: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Say which channels `count` planes are.

    Parameters
    ----------
    count : int
        Planes of a stamp.
    given : sequence of str
        What the request says; else
    wanted : sequence of str
        those of the model, where it takes so many; one plane is the difference, three are those of alerts.

    Raises
    ------
    Refusal
        It cannot be said.

    Examples
    --------
    >>> channels_of(3, (), ("difference",))
    ('difference', 'science', 'reference')
    """
    if given:
        if len(given) != count or len(set(given)) < count:
            raise Refusal(422, f"{count} planes a stamp and the channels {list(given)}: name each plane once")
        return tuple(given)
    for known in (tuple(wanted), ("difference",), CHANNELS):
        if len(known) == count:
            return known
    raise Refusal(
        422,
        f"{count} planes a stamp: the model takes {list(wanted)}; send so many, 1 (difference), 3 "
        f"({', '.join(CHANNELS)}), or name them with ?channels=",
    )


def posted_of(planes: Sequence[Plane], given: Given, wanted: Sequence[str]) -> Posted:
    """Make stamps ready: cut to 64 x 64 pixels about their centre, in the model's channels, noise and FWHM known.

    Parameters
    ----------
    planes : sequence of Plane
        All of one shape.
    given : Given
        Goes before what the file says.
    wanted : sequence of str
        Channels of the model.

    Raises
    ------
    Refusal
        A pixel is not finite, shapes or numbers are wrong, a channel is missing.
    """
    shapes = {plane.pixels.shape for plane in planes}
    if len(shapes) != 1:
        raise Refusal(422, f"stamps of several shapes, {sorted(shapes)}: send stamps of one shape together")
    stamps = np.stack([plane.pixels for plane in planes])
    count, side = len(stamps), stamps.shape[-1]
    if stamps.shape[2] != side or not SIDES[0] <= side <= SIDES[1]:
        raise Refusal(
            422, f"stamps of {stamps.shape[2]} x {side} pixels: they must be square, {SIDES[0]} to {SIDES[1]} pixels"
            " a side, with the source in the middle, on [S // 2, S // 2]")  # fmt: skip
    ids = _names(planes, given.id)
    _finite(stamps, ids)
    channels = channels_of(stamps.shape[1], given.channels, wanted)
    noise, noise_from = _numbers("noise", given.noise, [plane.noise for plane in planes])
    fwhm, fwhm_from = _numbers("fwhm", given.fwhm, [plane.fwhm for plane in planes])
    mjd = np.full(count, given.mjd) if given.mjd is not None else np.array([plane.mjd for plane in planes])
    missing, usable = np.zeros(count), np.ones(count, dtype=bool)
    if side != STAMP_SIZE:
        stamps, missing, usable = _cut(stamps)
    if "difference" in channels:
        _measure(stamps[:, channels.index("difference")], noise, noise_from, fwhm, fwhm_from)
    elif not (np.isfinite(noise).all() and np.isfinite(fwhm).all()):
        raise Refusal(422, "without a difference there is nothing to measure on: give ?noise= and ?fwhm=")
    try:
        pixels = np.ascontiguousarray(stamps[:, channel_indices(channels, wanted)])
    except InputError as error:
        raise Refusal(422, str(error)) from error
    return Posted(ids, pixels, noise, fwhm, missing, mjd, noise_from, fwhm_from, usable)


def _names(planes: Sequence[Plane], given: Sequence[str]) -> list[str]:
    if given and len(given) != len(planes):
        raise Refusal(422, f"{len(given)} names (?id=) for {len(planes)} stamps: give one a stamp, or none")
    return list(given) or [plane.id or f"stamp-{number}" for number, plane in enumerate(planes)]


def _finite(stamps: NDArray[np.float32], ids: Sequence[str]) -> None:
    bad = (~np.isfinite(stamps)).sum(axis=(1, 2, 3))
    if bad.any():
        first = int(np.argmax(bad > 0))
        raise Refusal(
            422,
            f"{int((bad > 0).sum())} of {len(ids)} stamps hold pixels that are not finite (NaN, infinite or too large "
            f"for float32); the first is {ids[first]} with {int(bad[first])}: fill them with the local background",
        )


def _numbers(name: str, given: Sequence[float], own: Sequence[float]) -> tuple[NDArray[np.float64], list[str]]:
    if len(given) not in (0, 1, len(own)):
        raise Refusal(
            422, f"{len(given)} values of {name} for {len(own)} stamps: give one for all, one a stamp, or none"
        )
    if given:
        return np.broadcast_to(np.asarray(given, dtype=np.float64), (len(own),)).copy(), ["given"] * len(own)
    return np.array(own, dtype=np.float64), ["packet" if value == value else "" for value in own]


def _cut(
    stamps: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    """Cut 64 x 64 pixels about the middle of each; what lies outside is filled as `images.cut` does."""
    count, planes, side = stamps.shape[0], stamps.shape[1], stamps.shape[-1]
    half = STAMP_SIZE // 2
    middle = side // 2
    low, high = max(middle - half, 0), min(middle + half, side)
    cells = np.full((planes, count * STAMP_SIZE, STAMP_SIZE), np.nan, dtype=np.float32)
    view = cells.reshape(planes, count, STAMP_SIZE, STAMP_SIZE)
    target = slice(half - middle + low, half - middle + high)
    view[:, :, target, target] = np.moveaxis(stamps[:, :, low:high, low:high], 1, 0)
    pixels, missing, usable = filled(cells, min_valid=0.0)  # a smaller stamp was sent whole, as adapters take it
    return pixels, missing.astype(np.float64), usable


def _measure(
    difference: NDArray[np.float32],
    noise: NDArray[np.float64],
    noise_from: list[str],
    fwhm: NDArray[np.float64],
    fwhm_from: list[str],
) -> None:
    """Fill in what nobody gave, as the adapters of alerts do."""
    with np.errstate(all="ignore"):  # what overflows has no score, and its row says so
        for row, plane in enumerate(difference):
            known = (float(noise[row]), float(fwhm[row]))
            noise[row], fwhm[row], source = measured(plane, *known)
            noise_from[row] = noise_from[row] or "measured"
            fwhm_from[row] = fwhm_from[row] or source
