"""Stamps as pictures: a page of them is one PNG of palette colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..registry import Registry

__all__ = ["STRETCHES", "levels", "sheet", "sheet_png"]

_GREYS = 126  # of each of the two scales
_HATCH = 2 * _GREYS  # two colours: where there is no data
#: The difference runs from minus to plus so many sigma at least.
_SIGMAS = 8.0
#: Surveys fill what they do not know with numbers near the end of float32.
_FILL = 1e30

#: Stretches by name: from pixels (N, P), NaN where there are none, and sigma (N, 1) to the shares in [0, 1] of
#: images of the sky; and to the limit (N, 1) at which a difference, linear or soft, is saturated.
Stretch = Callable[[NDArray[np.float32], NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
STRETCHES: Registry[Stretch] = Registry("stretch")


@STRETCHES.register("asinh")
def _asinh(pixels: NDArray[np.float32], sigma: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    flat = pixels - _quantile(pixels, 50)
    top = np.maximum(_quantile(flat, 99.8), _SIGMAS * sigma)
    low, soft = -1.5 * sigma, 3.0 * sigma
    return np.arcsinh((flat - low) / soft) / np.arcsinh((top - low) / soft), _SIGMAS * sigma


@STRETCHES.register("zscale")
def _zscale(pixels: NDArray[np.float32], sigma: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from astropy.visualization import ZScaleInterval

    interval = ZScaleInterval(n_samples=600)
    known = [row[np.isfinite(row)] for row in pixels]
    ends = [interval.get_limits(row) if len(row) else (0.0, 1.0) for row in known]
    return _linear(pixels, np.asarray(ends, dtype=np.float32), sigma)


@STRETCHES.register("percentile")
def _percentile(
    pixels: NDArray[np.float32], sigma: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _linear(pixels, np.hstack([_quantile(pixels, 1), _quantile(pixels, 99.5)]), sigma)


def _linear(
    pixels: NDArray[np.float32], ends: NDArray[np.float32], sigma: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low, high = ends[:, :1], ends[:, 1:]
    reach = np.maximum(np.abs(ends).max(axis=1, keepdims=True), 3.0 * sigma)
    return (pixels - low) / np.maximum(high - low, 1e-30), reach


def levels(
    pixels: NDArray[np.float32], channels: Sequence[str], noise: NDArray[np.float32], stretch: str = "asinh"
) -> NDArray[np.uint8]:
    """Return palette numbers of stamps.

    Every plane has its own scale. The plane called `difference` runs through black from negative (blue) to
    positive (orange), alike in both directions, which colour-blind people tell apart; every other plane is
    grey. Pixels that are not finite, or a fill value beyond 1e30, are hatched.

    Parameters
    ----------
    pixels : ndarray of float32, shape (N, C, S, S)
        Any units.
    channels : sequence of str
        Name of each of the C planes.
    noise : ndarray of float32, shape (N,)
        Sigma of the difference, its units; taken from the stamp where it is not positive.
    stretch : str
        One of `STRETCHES`.

    Returns
    -------
    ndarray of uint8, shape (N, C, S, S)
        As in `pixels`, row 0 first.

    Raises
    ------
    UnknownNameError
        No such stretch.

    Examples
    --------
    >>> flat = levels(np.zeros((1, 1, 16, 16), "float32"), ["difference"], np.ones(1, "float32"))
    >>> int(flat.min()) == int(flat.max()) == 126 + 63
    True
    """
    draw = STRETCHES.resolve(stretch)
    count, _, size, _ = pixels.shape
    y, x = np.mgrid[:size, :size]
    hatch = (_HATCH + ((x + y) % 6 < 2)).astype(np.uint8).ravel()
    found = np.empty(pixels.shape, dtype=np.uint8)
    for place, name in enumerate(channels):
        plane = np.array(pixels[:, place], dtype=np.float32).reshape(count, -1)
        plane[~(np.abs(plane) < _FILL)] = np.nan
        sigma = _sigma(plane)
        signed = name == "difference"
        if signed:
            given = np.asarray(noise, dtype=np.float32)[:, None]
            sigma = np.where(np.isfinite(given) & (given > 0), given, sigma)
        share, reach = draw(plane, sigma)
        if signed:
            share = 0.5 + 0.5 * (plane / reach)
        missing = np.isnan(plane)
        share = np.clip(np.where(missing, 0.0, share), 0.0, 1.0)
        number = np.floor(share * (_GREYS - 1) + 0.5).astype(np.uint8) + (_GREYS if signed else 0)
        found[:, place] = np.where(missing, hatch, number).reshape(count, size, size)
    return found


def sheet(
    pixels: NDArray[np.float32], channels: Sequence[str], noise: NDArray[np.float32], stretch: str = "asinh"
) -> Image.Image:
    """Return stamps as one picture, a stamp a row and a plane a column.

    Row 0 of a stamp is at the bottom, as in every FITS viewer.

    Parameters
    ----------
    pixels, channels, noise, stretch
        As in `levels`.

    Examples
    --------
    >>> sheet(np.zeros((4, 3, 16, 16), "float32"), ["science", "reference", "difference"], np.ones(4)).size
    (48, 64)
    """
    count, planes, size, _ = pixels.shape
    found = levels(pixels, channels, noise, stretch)[:, :, ::-1]
    picture = Image.fromarray(np.ascontiguousarray(found.transpose(0, 2, 1, 3)).reshape(count * size, planes * size))
    picture.putpalette(_palette())
    return picture


def sheet_png(
    pixels: NDArray[np.float32], channels: Sequence[str], noise: NDArray[np.float32], stretch: str = "asinh"
) -> bytes:
    """Return `sheet` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    sheet(pixels, channels, noise, stretch).save(buffer, format="PNG", compress_level=1)  # a network of no length
    return buffer.getvalue()


def _quantile(pixels: NDArray[np.float32], percent: float) -> NDArray[np.float32]:
    """Return a percentile of every row, NaN passed over; 0 where a row has nothing else. Shape (N, 1)."""
    found = np.zeros((len(pixels), 1), dtype=np.float32)
    there = np.isfinite(pixels)
    whole, some = there.all(axis=1), there.any(axis=1)
    found[whole, 0] = np.percentile(pixels[whole], percent, axis=1)  # much faster than with an eye on NaN
    found[some & ~whole, 0] = np.nanpercentile(pixels[some & ~whole], percent, axis=1)
    return found


def _sigma(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a robust sigma of every row that is never zero, shape (N, 1)."""
    sigma = 1.4826 * _quantile(np.abs(pixels - _quantile(pixels, 50)), 50)
    for row in np.flatnonzero(sigma == 0):
        known = pixels[row][np.isfinite(pixels[row])]
        sigma[row] = (float(known.std()) if len(known) else 0.0) or 1.0
    return sigma


def _palette() -> list[int]:
    """Return 256 colours: greys, then blue through black to orange, then the two of the hatching."""
    steps = np.linspace(0, 1, _GREYS)
    colours = np.zeros((256, 3))
    colours[:_GREYS] = _ramp(steps, {0: "07090c", 0.5: "8b929b", 1: "ffffff"})
    colours[_GREYS:_HATCH] = _ramp(steps, {0: "d3ecff", 0.22: "3b8fe0", 0.5: "07090c", 0.78: "e07f1c", 1: "ffeacb"})
    colours[_HATCH : _HATCH + 2] = [[61, 69, 79], [84, 92, 102]]
    return [int(value) for value in np.round(colours).ravel()]


def _ramp(steps: NDArray[np.float64], stops: dict[float, str]) -> NDArray[np.float64]:
    ends = np.array([list(bytes.fromhex(colour)) for colour in stops.values()], dtype=float)
    return np.stack([np.interp(steps, list(stops), ends[:, k]) for k in range(3)], axis=1)
