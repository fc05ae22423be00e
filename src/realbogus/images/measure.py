"""What one frame's pixels say: sky, noise, stars, PSF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray

from ..errors import FrameError
from .frame import Frame
from .psf import fwhm_nea, psf_ellipticity, stack_psf
from .robust import clipped, robust_sigma
from .sources import tile_stars

__all__ = ["Measurement", "background", "measure", "robust_sigma"]

_TILE = 2048  # px; larger frames are measured tile by tile
_MOST_STARS = 500
_STACKED = 80


@dataclass(frozen=True)
class Measurement:
    """Sky, noise, stars and PSF of one frame.

    Parameters
    ----------
    sky : float
        Median background, ADU.
    noise : float
        Robust sigma of one background pixel, ADU.
    fwhm : float
        FWHM_NEA of the stacked PSF, pixels: 2.355 sqrt(1 / (4 pi sum P^2)).
    ellipticity : float
        1 - b/a of the stacked PSF's second moments, 0 is round.
    psf : ndarray of float32, shape (P, P), P odd
        Robust stack of clean stars, unit sum, centred on the middle pixel.
    stars : ndarray of float64, shape (N, 3)
        x, y (0-based pixel centres) and flux (ADU), brightest first; hot pixels left out.
    """

    sky: float
    noise: float
    fwhm: float
    ellipticity: float
    psf: NDArray[np.float32]
    stars: NDArray[np.float64]


def background(
    pixels: NDArray[np.float32], mask: NDArray[np.bool_], *, mesh: int = 64
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return maps of the sky and of its noise (the mesh of Source Extractor, by sep).

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        ADU.
    mask : ndarray of bool, shape (H, W)
        True where a pixel is not to be used.
    mesh : int
        Side of a mesh cell, pixels.

    Returns
    -------
    level, rms : ndarray of float32, shape (H, W)
        ADU.
    """
    sky = sep.Background(np.ascontiguousarray(pixels, dtype=np.float32), mask=mask, bw=mesh, bh=mesh)
    return sky.back(dtype=np.float32), sky.rms(dtype=np.float32)


def measure(frame: Frame) -> Measurement:
    """Measure sky, noise, stars and PSF of a frame.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    Measurement

    Raises
    ------
    FrameError
        The frame is constant, or fewer than three usable stars stand out.
    """
    skies, noises, found = [], [], []
    for tile in _tiles(frame):
        level, noise, stars = tile_stars(frame, tile)
        if noise > 0:  # an empty tile says nothing of the others
            skies.append(level)
            noises.append(noise)
        found.append(stars)
    sky, noise = (float(np.median(values)) if values else 0.0 for values in (skies, noises))
    if not noise > 0:
        raise FrameError(f"{frame.name}: the background has no noise (level {sky:g} ADU): not a raw exposure")
    catalogue = np.concatenate(found)
    stars = catalogue[np.argsort(-catalogue["flux"])]
    clean = stars[stars["clean"]]
    if len(clean) < 3:
        raise FrameError(
            f"{frame.name}: only {len(clean)} usable stars, expected at least 3 to measure the PSF: "
            "clouds, a closed dome or a wrong `saturation`?"
        )
    fwhm = 2.355 * float(np.median(clean["size"][:_STACKED]))
    psf = np.ones((1, 1), np.float32)
    for _ in range(4):
        before = fwhm
        psf = _psf(frame, stars, fwhm, noise)
        fwhm = fwhm_nea(psf)
        if abs(fwhm - before) < 0.03 * fwhm:
            break
    real = stars[stars["star"]][:_MOST_STARS]
    table = np.stack([real["x"], real["y"], real["flux"]], axis=1)
    return Measurement(sky, noise, fwhm, psf_ellipticity(psf, fwhm), psf, table)


def _tiles(frame: Frame) -> Iterator[tuple[slice, slice]]:
    height, width = frame.shape
    rows, columns = (max(1, round(side / _TILE)) for side in (height, width))
    y = np.linspace(0, height, rows + 1).astype(int)
    x = np.linspace(0, width, columns + 1).astype(int)
    for i in range(rows):
        for j in range(columns):
            yield slice(int(y[i]), int(y[i + 1])), slice(int(x[j]), int(x[j + 1]))


def _psf(frame: Frame, stars: NDArray[np.void], fwhm: float, noise: float) -> NDArray[np.float32]:
    """Stack the brightest clean, isolated stars."""
    half = int(np.clip(np.ceil(4 * fwhm), 7, 48))
    rim = half + 3
    height, width = frame.shape
    xi, yi = np.rint(stars["x"]).astype(int), np.rint(stars["y"]).astype(int)
    fits = (xi >= rim) & (yi >= rim) & (xi < width - rim) & (yi < height - rim)
    chosen = np.nonzero(stars["clean"] & fits)[0]
    stamps, offsets, valids = [], [], []
    grid = np.arange(-rim, rim + 1)
    outer = np.hypot(grid[:, None], grid[None, :]) > half
    for k in chosen:
        dx, dy = stars["x"] - stars["x"][k], stars["y"] - stars["y"][k]
        apart = np.hypot(dx, dy)
        rivals = (apart > 0) & (apart < 1.5 * rim)
        if (stars["flux"][rivals & (apart < 2 * fwhm)] > 0.03 * stars["flux"][k]).any():
            continue
        if (stars["flux"][rivals & (apart < 4 * fwhm)] > 0.5 * stars["flux"][k]).any():
            continue
        box = np.s_[yi[k] - rim : yi[k] + rim + 1, xi[k] - rim : xi[k] + rim + 1]
        valid = frame.mask[box] == 0
        for j in np.nonzero(rivals)[0]:
            reach = fwhm * (1.5 + 0.5 * np.log10(max(stars["flux"][j] / noise, 10)) / 2)
            away_x, away_y = grid[None, :] - (stars["x"][j] - xi[k]), grid[:, None] - (stars["y"][j] - yi[k])
            valid &= np.hypot(away_x, away_y) > reach
        core = valid[rim - 2 : rim + 3, rim - 2 : rim + 3]
        if not core.all() or (valid & outer).sum() < 20:
            continue
        stamp = frame.pixels[box].astype(float)
        stamp -= clipped(stamp[valid & outer])[0]
        inner = np.s_[3:-3, 3:-3]
        stamps.append(stamp[inner])
        valids.append(valid[inner])
        offsets.append((stars["x"][k] - xi[k], stars["y"][k] - yi[k]))
        if len(stamps) == _STACKED:
            break
    if len(stamps) < 3:
        raise FrameError(
            f"{frame.name}: only {len(stamps)} clean isolated stars, expected at least 3 to measure the PSF: "
            "clouds, an extremely crowded field or a wrong `saturation`?"
        )
    return stack_psf(np.array(stamps), np.array(offsets), np.array(valids), noise, fwhm)
