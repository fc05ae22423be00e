"""The kernel's basis: Gaussians times polynomials (Alard & Lupton 1998, eq. 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Basis", "gauss_hermite", "gaussian_sigmas", "kernel_half_width", "polynomial", "size_basis"]

_SIGMA_PER_FWHM = 1 / 2.3548


@dataclass(frozen=True)
class Basis:
    """Kernel images whose sum matches one PSF to another.

    The first has unit sum, all others zero sum and unit L2 norm, so a kernel whose
    other coefficients vary over the frame keeps one flux scale (Alard 2000, sec. 2.2).

    Parameters
    ----------
    half_width : int
        Kernels are 2 half_width + 1 pixels wide.
    profiles : ndarray of float64, shape (P, K)
        One-dimensional factors.
    pairs : tuple of (int, int)
        Which profiles, along y and along x, make each raw product.
    mixing : ndarray of float64, shape (B, B)
        Raw products to basis images.
    """

    half_width: int
    profiles: NDArray[np.float64]
    pairs: tuple[tuple[int, int], ...]
    mixing: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pairs)

    @cached_property
    def kernels(self) -> NDArray[np.float64]:
        """Basis images, shape (B, K, K)."""
        raw = np.stack([np.outer(self.profiles[b], self.profiles[a]) for b, a in self.pairs])
        return np.asarray(np.tensordot(self.mixing, raw, 1))

    def convolve(self, stamps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convolve stamps with every basis image, factor by factor.

        Parameters
        ----------
        stamps : ndarray, shape (N, S, S)

        Returns
        -------
        ndarray, shape (N, B, T * T), T = S - 2 half_width
            Only pixels whose whole footprint lies in the stamp.
        """
        size = self.profiles.shape[1]
        flipped = self.profiles[:, ::-1].T
        along_x = np.lib.stride_tricks.sliding_window_view(stamps, size, axis=2) @ flipped
        along_x = np.moveaxis(along_x, -1, 0)  # (P, N, S, T)
        out = np.empty((len(self.pairs), len(stamps), (stamps.shape[1] - size + 1) ** 2))
        for first in sorted({a for _, a in self.pairs}):
            windows = np.lib.stride_tricks.sliding_window_view(along_x[first], size, axis=1)
            rows = [i for i, (_, a) in enumerate(self.pairs) if a == first]
            both = windows @ flipped[:, [self.pairs[i][0] for i in rows]]  # (N, T, T, len(rows))
            out[rows] = np.moveaxis(both, -1, 0).reshape(len(rows), len(stamps), -1)
        return np.moveaxis(np.tensordot(self.mixing, out, 1), 0, 1)


def gauss_hermite(half_width: int, components: tuple[tuple[float, int], ...], *, delta: bool = False) -> Basis:
    """Build the basis exp(-(u^2 + v^2) / 2 s^2) u^p v^q, p + q <= degree, for each (s, degree).

    Parameters
    ----------
    half_width : int
        Pixels.
    components : tuple of (float, int)
        Gaussian sigma in pixels and degree of its polynomial; the first is the one of unit sum.
    delta : bool
        Add a single-pixel kernel, which two equal PSFs need and no sampled Gaussian gives.

    Examples
    --------
    >>> basis = gauss_hermite(6, ((1.0, 2), (2.0, 1)))
    >>> len(basis)
    9
    >>> [round(abs(float(k.sum())), 9) for k in basis.kernels[:3]]
    [1.0, 0.0, 0.0]
    """
    grid = np.arange(-half_width, half_width + 1, dtype=np.float64)
    profiles: list[NDArray[np.float64]] = []
    pairs: list[tuple[int, int]] = []
    for sigma, degree in components:
        base = len(profiles)
        profiles += [np.exp(-0.5 * (grid / sigma) ** 2) * (grid / sigma) ** p for p in range(degree + 1)]
        pairs += [(base + q, base + p) for p in range(degree + 1) for q in range(degree + 1 - p)]
    if delta:
        profiles.append((grid == 0).astype(np.float64))
        pairs.append((len(profiles) - 1, len(profiles) - 1))
    stack = np.stack(profiles)
    raw = np.stack([np.outer(stack[b], stack[a]) for b, a in pairs])
    sums = raw.sum((1, 2))
    mixing = np.eye(len(raw))
    mixing[0] /= sums[0]
    for i in range(1, len(raw)):
        mixing[i] -= sums[i] * mixing[0]
        mixing[i] /= np.sqrt((np.tensordot(mixing[i], raw, 1) ** 2).sum())
    return Basis(half_width, stack, tuple(pairs), mixing)


def gaussian_sigmas(sharp_fwhm: float, broad_fwhm: float) -> tuple[float, float, float]:
    """Sigmas of the basis' Gaussians, pixels, no two of them equal.

    The middle one would match two Gaussian PSFs, its neighbours are half and twice as wide
    (the rule of the HOTPANTS manual). Nearly equal PSFs would make it vanish; it never falls
    below what sub-pixel shifts and wings of the PSF need.

    Examples
    --------
    >>> [round(s, 2) for s in gaussian_sigmas(3.0, 5.0)]
    [0.85, 1.7, 3.4]
    """
    match = math.sqrt(max(broad_fwhm**2 - sharp_fwhm**2, 0.0)) * _SIGMA_PER_FWHM
    middle = max(match, 0.8 * broad_fwhm * _SIGMA_PER_FWHM, 1.0)
    return 0.5 * middle, middle, 2 * middle


def kernel_half_width(sigmas: tuple[float, float, float]) -> int:
    """Half-width of the kernel that holds three sigmas of the widest Gaussian, 5 to 20 px."""
    return min(max(math.ceil(3 * sigmas[2]), 5), 20)


def size_basis(sharp_fwhm: float, broad_fwhm: float, *, stars: int) -> Basis:
    """Choose the basis that takes a PSF of `sharp_fwhm` to one of `broad_fwhm`.

    Parameters
    ----------
    sharp_fwhm, broad_fwhm : float
        Pixels.
    stars : int
        Number of kernel stars: few stars carry few coefficients.

    Examples
    --------
    >>> size_basis(2.5, 4.0, stars=50).half_width
    9
    """
    sigmas = gaussian_sigmas(sharp_fwhm, broad_fwhm)
    degrees = (6, 4, 2) if stars >= 20 else (4, 3, 2) if stars >= 8 else (3, 2, 1)
    alike = broad_fwhm**2 - sharp_fwhm**2 < 1 / _SIGMA_PER_FWHM**2
    return gauss_hermite(kernel_half_width(sigmas), tuple(zip(sigmas, degrees, strict=True)), delta=alike)


def polynomial(
    x: NDArray[np.float64] | float, y: NDArray[np.float64] | float, shape: tuple[int, int], order: int
) -> NDArray[np.float64]:
    """Terms u^i v^j, i + j <= order, of positions scaled to [-1, 1]; shape (..., terms)."""
    u = 2 * np.asarray(x, dtype=np.float64) / max(shape[1] - 1, 1) - 1
    v = 2 * np.asarray(y, dtype=np.float64) / max(shape[0] - 1, 1) - 1
    return np.stack([u**i * v**j for i in range(order + 1) for j in range(order + 1 - i)], axis=-1)
