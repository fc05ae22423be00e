"""What is in the sky, and how it is drawn: points, wings, galaxies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .psf import Kernels

__all__ = ["Galaxies", "Scene", "add_galaxies", "add_points"]

_TILE = 1024  # pixels; bounds the memory of a galaxy convolution


@dataclass(frozen=True)
class Galaxies:
    """Sersic galaxies in scene pixels: position, flux (e-), half-light radius, index, axis ratio, angle."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    radius: NDArray[np.float64]
    index: NDArray[np.float64]
    ratio: NDArray[np.float64]
    angle: NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """The quiet sky in scene pixels (those of an undithered frame).

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Stars, also some beyond the frame's edges.
    flux : ndarray, shape (N,)
        Electrons per exposure through a clear sky.
    colour : ndarray, shape (N,)
        Unit normal; moves a star by atmospheric dispersion.
    galaxies : Galaxies
        Extended sources.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    colour: NDArray[np.float64]
    galaxies: Galaxies


def _clip(low: int, size: int, limit: int) -> tuple[int, int, int, int]:
    """Return image start, stop and stamp start, stop of a stamp that begins at `low`."""
    a, b = max(low, 0), min(low + size, limit)
    return a, b, a - low, b - low


def add_points(
    image: NDArray[np.float32],
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    flux: NDArray[np.floating],
    kernels: Kernels,
    floor: float,
    *,
    wings: bool = True,
) -> None:
    """Add point sources to `image` in place.

    Each stamp reaches to where its brightest pixel falls below `floor`. A flux is that within a
    full stamp (more than 5 FWHM); very bright stars of a Moffat PSF get what lies beyond from the
    formula, on top.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Electrons.
    x, y : ndarray, shape (N,)
        0-based pixel centres; may lie outside.
    flux : ndarray, shape (N,)
        Electrons, may be negative.
    kernels : Kernels
        PSFs of this frame.
    floor : float
        Electrons per pixel that do not matter.
    wings : bool
        Whether to draw what lies beyond a full stamp.

    Examples
    --------
    >>> from realbogus.images.simulate.psf import Psf, make_kernels
    >>> image, kernels = np.zeros((64, 64), np.float32), make_kernels(Psf(3.0), (64, 64))
    >>> add_points(image, np.array([30.3]), np.array([31.6]), np.array([1e4]), kernels, 0.01)
    >>> round(float(image.sum()) / 100)
    100
    """
    height, width = image.shape
    k, full = kernels.oversample, kernels.radius
    need = floor / np.maximum(np.abs(flux), 1e-9)
    radius = np.clip(np.searchsorted(-kernels.profile, -need), 3, full)
    xi, yi = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    near = (xi > -radius) & (yi > -radius) & (xi < width + radius) & (yi < height + radius)
    row, column = kernels.cell(x, y)
    tx, ty = (xi - x) * k, (yi - y) * k
    jx, jy = np.floor(tx).astype(int), np.floor(ty).astype(int)
    y0, y1 = np.maximum(yi - radius, 0), np.minimum(yi + radius + 1, height)
    x0, x1 = np.maximum(xi - radius, 0), np.minimum(xi + radius + 1, width)
    # first pixel of the stamp in the whole one of this phase
    top, left = jy // k + full + 1 - yi + y0, jx // k + full + 1 - xi + x0
    # bilinear between fine steps; the step after a pixel's last is the next pixel's first
    u, v = tx - jx, ty - jy
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], 1) * np.asarray(flux)[:, None]
    todo = np.flatnonzero(near & (flux != 0) & (y1 > y0) & (x1 > x0))
    table = np.stack([row, column, jy % k, jx % k, y0, y1, x0, x1, top, left], 1)[todo].tolist()
    for (j, i, py, px, a, b, c, d, sy, sx), w in zip(table, weights[todo].astype(np.float32), strict=True):
        fine = kernels.phases[j, i]
        here = np.s_[sy : sy + b - a, sx : sx + d - c]
        part = fine[py, px][here] * w[0]
        part += fine[py, px + 1][here] * w[1]
        part += fine[py + 1, px][here] * w[2]
        part += fine[py + 1, px + 1][here] * w[3]
        image[a:b, c:d] += part
    if wings and np.isfinite(kernels.psf.beta):
        for n in np.flatnonzero((radius >= full) & (kernels.profile[full] > need)):
            _add_wing(image, float(x[n]), float(y[n]), float(flux[n]), kernels, floor)


def _add_wing(image: NDArray[np.float32], x: float, y: float, flux: float, kernels: Kernels, floor: float) -> None:
    """Add what a bright star has outside its stamp."""
    height, width = image.shape
    psf, full = kernels.psf, kernels.radius
    reach = full * (abs(flux) * kernels.profile[full] / floor) ** (1 / (2 * psf.beta))
    r = int(min(np.ceil(reach), 40 * psf.fwhm, 400))
    xi, yi = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    y0, y1, sy, _ = _clip(yi - r, 2 * r + 1, height)
    x0, x1, sx, _ = _clip(xi - r, 2 * r + 1, width)
    if r <= full or y1 <= y0 or x1 <= x0:
        return
    u, v = 2 * x / width - 1, 2 * y / height - 1
    local = psf.at(float(np.clip(u, -1, 1)), float(np.clip(v, -1, 1)))
    gx, gy = (np.arange(x0, x1) - x).astype(np.float32), (np.arange(y0, y1) - y).astype(np.float32)
    wing = local.profile(gx[None], gy[:, None]) * np.float32(flux)
    a, b = max(0, r - full - sy), max(0, r - full - sx)
    wing[a : max(a, r + full + 1 - sy), b : max(b, r + full + 1 - sx)] = 0  # the stamp is there already
    image[y0:y1, x0:x1] += wing


def _sersic(x: NDArray[np.float64], y: NDArray[np.float64], g: Galaxies, n: int) -> NDArray[np.float32]:
    """Return a Sersic profile (Sersic 1963) over the axes x (W,) and y (H,), unit sum; softened core."""
    c, s = np.cos(g.angle[n]), np.sin(g.angle[n])
    along = x[None] * c + y[:, None] * s
    across = (y[:, None] * c - x[None] * s) / g.ratio[n]
    r = np.sqrt(along**2 + across**2 + 0.03) / g.radius[n]
    p = np.exp(-(2 * g.index[n] - 1 / 3) * r ** (1 / g.index[n]))
    return np.asarray(p / p.sum(), dtype=np.float32)


def add_galaxies(
    image: NDArray[np.float32],
    galaxies: Galaxies,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    flux: NDArray[np.floating],
    kernels: Kernels,
) -> None:
    """Add galaxies at (x, y) to `image` in place, convolved with the PSF, tile by tile.

    Undersampled PSFs are convolved on a grid twice as fine. The PSF of a tile's middle serves the tile.
    """
    height, width = image.shape
    fine = 1 if kernels.psf.fwhm >= 2.6 else 2
    step = kernels.oversample // fine
    margin = kernels.radius
    reach = np.clip(6 * galaxies.radius, 5, 80).astype(int) + 1
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            h, w = min(_TILE, height - top), min(_TILE, width - left)
            box = reach + margin
            inside = (x > left - box) & (x < left + w + box) & (y > top - box) & (y < top + h + box)
            if not inside.any():
                continue
            canvas = np.zeros(((h + 2 * margin) * fine, (w + 2 * margin) * fine), np.float32)
            for n in np.flatnonzero(inside):
                cx, cy = (x[n] - left + margin) * fine, (y[n] - top + margin) * fine
                r = int(reach[n]) * fine
                xi, yi = round(float(cx)), round(float(cy))
                y0, y1, sy0, sy1 = _clip(yi - r, 2 * r + 1, canvas.shape[0])
                x0, x1, sx0, sx1 = _clip(xi - r, 2 * r + 1, canvas.shape[1])
                if y1 <= y0 or x1 <= x0:
                    continue
                g = np.arange(-r, r + 1)
                shape = _sersic((g + xi - cx) / fine, (g + yi - cy) / fine, galaxies, int(n))
                canvas[y0:y1, x0:x1] += shape[sy0:sy1, sx0:sx1] * np.float32(flux[n])
            row, column = kernels.cell(np.array(left + w / 2), np.array(top + h / 2))
            k = kernels.oversample
            kernel = kernels.stack[row, column, k : -k or None : step, k : -k or None : step]
            size = [fft.next_fast_len(c + kernel.shape[0] - 1, True) for c in canvas.shape]
            product = fft.rfft2(canvas, size) * fft.rfft2(kernel, size)
            m = (margin + kernels.radius) * fine
            blurred = fft.irfft2(product, size)[m : m + h * fine : fine, m : m + w * fine : fine]
            image[top : top + h, left : left + w] += np.clip(blurred, 0, None)
