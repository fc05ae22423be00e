"""Point-spread functions of imaginary optics, sampled finer than the pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

__all__ = ["Kernels", "Psf", "make_kernels", "moffat_alpha"]


def moffat_alpha(fwhm: float, beta: float) -> float:
    """Return the core radius of a Moffat profile (1 + r^2 / alpha^2)^-beta (Moffat 1969).

    Examples
    --------
    >>> round(moffat_alpha(3.0, 3.0), 4)
    2.9422
    """
    return float(fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1)))


@dataclass(frozen=True)
class Psf:
    """A PSF and how it changes over the frame; u, v run from -1 to 1 from edge to edge.

    Parameters
    ----------
    fwhm : float
        Of the untrailed profile in the frame's middle, pixels.
    beta : float
        Moffat exponent; infinity is a Gaussian.
    e1, e2 : float
        Ellipticity along the axes and the diagonals, 0 is round.
    trail, trail_angle : float
        Length (pixels) and direction (radians) of a guiding error.
    donut : float
        Outer radius of a defocused pupil with 45 % central hole, pixels.
    fwhm_slope : (float, float)
        Relative change of the FWHM per unit u and v.
    fwhm_curve : float
        Relative change of the FWHM per unit (u^2 + v^2).
    e_slope : (float, float, float, float)
        d e1/du, d e1/dv, d e2/du, d e2/dv.
    """

    fwhm: float
    beta: float = 3.0
    e1: float = 0.0
    e2: float = 0.0
    trail: float = 0.0
    trail_angle: float = 0.0
    donut: float = 0.0
    fwhm_slope: tuple[float, float] = (0.0, 0.0)
    fwhm_curve: float = 0.0
    e_slope: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def at(self, u: float, v: float) -> Psf:
        """Return the PSF at one place, the same all over."""
        growth = 1 + self.fwhm_slope[0] * u + self.fwhm_slope[1] * v + self.fwhm_curve * (u * u + v * v)
        a, b, c, d = self.e_slope
        e1, e2 = self.e1 + a * u + b * v, self.e2 + c * u + d * v
        shrink = min(1.0, 0.6 / max(float(np.hypot(e1, e2)), 1e-9))  # beyond 0.6 a profile is a line
        return replace(
            self, fwhm=self.fwhm * max(growth, 0.3), e1=e1 * shrink, e2=e2 * shrink,
            fwhm_slope=(0.0, 0.0), fwhm_curve=0.0, e_slope=(0.0, 0.0, 0.0, 0.0),
        )  # fmt: skip

    def profile(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return surface brightness (per square pixel) of the untrailed profile, unit flux."""
        e = self.e1**2 + self.e2**2
        q = ((1 - self.e1) * x * x + (1 + self.e1) * y * y - 2 * self.e2 * x * y) / np.sqrt(1 - e)
        if np.isinf(self.beta):
            k = 4 * np.log(2) / self.fwhm**2
            return np.asarray(k / np.pi * np.exp(-k * q), dtype=np.float32)
        a2 = moffat_alpha(self.fwhm, self.beta) ** 2
        power = np.exp(-self.beta * np.log1p(q / a2))  # quicker than ** on arrays
        return np.asarray((self.beta - 1) / (np.pi * a2) * power, dtype=np.float32)

    def sampled(self, oversample: int, radius: int) -> NDArray[np.float32]:
        """Return the pixel-integrated PSF on a grid `oversample` times finer, unit flux.

        The value at offset (dy, dx) from the middle, in fine steps, is the share of the flux in a
        whole pixel whose centre lies there: every `oversample`-th value makes a pixel stamp, and
        the stamps of all sub-pixel phases have the same sum.
        """
        grid = np.arange(-radius * oversample, radius * oversample + 1, dtype=np.float32) / oversample
        fine = self.profile(grid[None], grid[:, None])
        if self.trail > 0 or self.donut > 0:
            fine = fftconvolve(fine, self._smear(oversample), "same").astype(np.float32)
        box = np.ones(oversample + 1, np.float32)
        box[[0, -1]] = 0.5  # an even number of fine steps, kept centred
        for axis in (0, 1):
            fine = ndimage.convolve1d(fine, box, axis, mode="nearest")
        fine = np.clip(fine, 0, None)
        return np.asarray(fine * np.float32(oversample**2 / fine.sum(dtype=np.float64)), dtype=np.float32)

    def _smear(self, oversample: int) -> NDArray[np.float32]:
        """Return trail and donut as one small image on the fine grid."""
        half = int(np.ceil((self.trail / 2 + self.donut) * oversample)) + 2
        image = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        steps = max(1, int(4 * self.trail * oversample))
        t = np.linspace(-0.5, 0.5, steps) * self.trail * oversample if steps > 1 else np.zeros(1)
        x, y = half + t * np.cos(self.trail_angle), half + t * np.sin(self.trail_angle)
        np.add.at(image, (np.rint(y).astype(int), np.rint(x).astype(int)), 1.0 / steps)
        if self.donut > 0:
            g = np.arange(-half, half + 1) / oversample
            r = np.hypot(g[None], g[:, None])
            ring = ((r <= self.donut) & (r > 0.45 * self.donut)).astype(np.float32)
            image = fftconvolve(image, ring / ring.sum(), "same").astype(np.float32)
        return image


@dataclass(frozen=True)
class Kernels:
    """Finely sampled PSFs of a grid of cells over one frame.

    Parameters
    ----------
    stack : ndarray of float32, shape (cells, cells, K, K)
        `Psf.sampled` of each cell with a border of zeros one pixel wide.
    oversample : int
        Fine steps per pixel, even.
    radius : int
        Half size of a full stamp, pixels.
    shape : (int, int)
        (H, W) of the frame they cover.
    psf : Psf
        What they were made of.
    profile : ndarray, shape (radius + 1,)
        Largest pixel share at each distance from the middle; decides how large a stamp must be.
    """

    stack: NDArray[np.float32]
    oversample: int
    radius: int
    shape: tuple[int, int]
    psf: Psf
    profile: NDArray[np.float64]

    @cached_property
    def phases(self) -> NDArray[np.float32]:
        """The stack sorted by sub-pixel phase, shape (cells, cells, k + 1, k + 1, n, n).

        Entry [.., py, px, i, j] is the fine value at (i k + py, j k + px): one phase's stamp lies
        together in memory, which makes drawing twice as quick.
        """
        k, cells = self.oversample, self.stack.shape[0]
        n = 2 * (self.radius + 1)
        padded = np.pad(self.stack, ((0, 0), (0, 0), (0, k), (0, k)))
        out = np.empty((cells, cells, k + 1, k + 1, n + 1, n + 1), np.float32)
        for py in range(k + 1):
            for px in range(k + 1):
                out[:, :, py, px] = padded[:, :, py : py + n * k + 1 : k, px : px + n * k + 1 : k]
        return out

    def cell(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[NDArray[np.intp], ...]:
        """Return (row, column) of the cells at these pixel positions."""
        n = self.stack.shape[0]
        rows = np.clip(np.asarray(y) * n / self.shape[0], 0, n - 1).astype(np.intp)
        columns = np.clip(np.asarray(x) * n / self.shape[1], 0, n - 1).astype(np.intp)
        return rows, columns

    def stamp(self, x: float, y: float) -> NDArray[np.float32]:
        """Return the PSF at (x, y) as if centred on a pixel, shape (2 radius + 1,) * 2."""
        row, column = self.cell(np.array(x), np.array(y))
        k = self.oversample
        return self.stack[row, column, k : -k or None : k, k : -k or None : k]

    def area(self, x: float, y: float) -> float:
        """Return the noise-equivalent area 1 / sum(P^2) at (x, y), pixels."""
        p = self.stamp(x, y).astype(np.float64)
        return float(p.sum() ** 2 / (p * p).sum())


def make_kernels(psf: Psf, shape: tuple[int, int], cells: int = 6) -> Kernels:
    """Sample a varying PSF over a frame.

    The PSF is computed at 3x3 places and interpolated (quadratic Lagrange) to the middle of each
    cell, which is quick and leaves steps far below one per cent between neighbours.

    Examples
    --------
    >>> k = make_kernels(Psf(2.5), (100, 120), cells=2)
    >>> k.stack.shape[:2], round(float(k.stamp(50, 50).sum()), 3)
    ((2, 2), 1.0)
    """
    size = psf.fwhm + psf.trail + psf.donut
    oversample = 2 * int(np.clip(np.ceil(6 / psf.fwhm), 1, 6))
    radius = int(np.clip(np.ceil(3 * psf.fwhm + 2 * size), 8, 36))
    nodes = [psf.at(u, v).sampled(oversample, radius) for v in (-1, 0, 1) for u in (-1, 0, 1)]
    t = (np.arange(cells) + 0.5) / cells * 2 - 1
    weight = np.stack([t * (t - 1) / 2, 1 - t * t, t * (t + 1) / 2], 1)  # (cells, 3)
    both = np.einsum("ai,bj->abij", weight, weight).reshape(cells, cells, 9).astype(np.float32)
    side = 2 * (radius + 1) * oversample + 1
    stack = np.zeros((cells, cells, side, side), np.float32)
    k = oversample
    stack[:, :, k:-k, k:-k] = np.clip(np.tensordot(both, np.stack(nodes), 1), 0, None)
    whole = nodes[4]
    middle = radius * oversample
    shells = np.array([whole[middle, middle + r * k :].max() for r in range(radius + 1)])
    down = np.array([whole[middle + r * k :, middle].max() for r in range(radius + 1)])
    profile = np.maximum.accumulate(np.maximum(shells, down)[::-1])[::-1].astype(np.float64)
    return Kernels(stack, oversample, radius, shape, psf, profile)
