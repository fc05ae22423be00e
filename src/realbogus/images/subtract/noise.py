"""Noise of a difference: photon noise, correlation by the kernel, and what blank sky says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import convolve

from ..frame import BAD, NODATA, SATURATED
from ..robust import clipped, robust_sigma

__all__ = [
    "blank_noise",
    "blank_sky_ratio",
    "correlation_factor",
    "frame_sigma",
    "photon_variance",
    "psf_weight",
    "reference_variance",
    "sampled",
]

_SMOOTH = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0])
_SAMPLE = 1_000_000  # pixels; a sigma good to 0.1 %
_AROUND = 15  # px; wider than a PSF, within which the noise of a reference is correlated


def photon_variance(
    pixels: NDArray[np.float32], model: NDArray[np.float32], noise: float, gain: float
) -> NDArray[np.float32]:
    """Variance of science pixels: sky noise and the photon noise of sources.

    sigma^2 + max(model, pixel if pixel > 5 sigma, 0) / gain: the other side's `model` knows the
    constant sources without noise, the pixel itself knows the new ones.

    Parameters
    ----------
    pixels, model : ndarray of float32
        Science pixels, and what the reference says they should be, ADU.
    noise : float
        Sigma of blank sky, ADU.
    gain : float
        Electrons per ADU.

    Returns
    -------
    ndarray of float32
        ADU^2.

    Examples
    --------
    >>> photon_variance(np.float32([0, 100]), np.float32([0, 0]), noise=2.0, gain=4.0).tolist()
    [4.0, 29.0]
    """
    counts = np.where(pixels > 5 * noise, pixels, np.float32(0))
    np.maximum(counts, model, out=counts)
    counts /= np.float32(gain)
    counts += np.float32(noise**2)
    return np.asarray(counts, dtype=np.float32)


def reference_variance(
    noise: NDArray[np.float32],
    pixels: NDArray[np.float32],
    coverage: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    depth: float,
    gain: float,
) -> NDArray[np.float32]:
    """Variance of reference pixels, no more than four times what photons and depth explain.

    A reference's noise map may hold the scatter of its members, which at a star is the
    variety of their PSFs: the kernel takes that up, it is no noise of the mean, and it would
    hide every star that varies.

    Parameters
    ----------
    noise, pixels : ndarray of float32
        Sigma and sky-subtracted pixels, reference ADU.
    coverage, mask : ndarray of uint8
        Frames behind each pixel, and mask bits; no data gives zero.
    depth : float
        Variance of blank sky times coverage, ADU^2.
    gain : float
        Electrons per reference ADU, at full coverage.

    Returns
    -------
    ndarray of float32
        ADU^2.

    Examples
    --------
    >>> noise, pixels, one = np.float32([3, 90]), np.float32([0, 50]), np.ones(2, np.uint8)
    >>> reference_variance(noise, pixels, one, 0 * one, depth=9.0, gain=2.0).tolist()
    [9.0, 136.0]
    """
    good = ((mask & np.uint8(NODATA)) == 0) & np.isfinite(noise)
    most = np.maximum(pixels, np.float32(0))
    most *= np.float32(4 / gain)
    most += np.float32(4 * depth) / np.maximum(coverage, np.uint8(1))
    return np.asarray(np.minimum(np.where(good, noise, np.float32(0)) ** 2, most), dtype=np.float32)


def correlation_factor(
    kernel: NDArray[np.float64], white: float = 0.0, weight: NDArray[np.float64] | None = None
) -> float:
    """Noise of a weighted sum of pixels over that of white noise of the same sigma.

    A sum with weights W over noise that went through the kernel K has the variance of white noise times
    sum (K * W)^2 / (sum K^2 sum W^2), with * the convolution; mixed with white noise, that of their shares.

    Parameters
    ----------
    kernel : ndarray, shape (K, K), K odd
        What the correlated part was convolved with.
    white : float
        Share of the variance that was not convolved, 0 to 1.
    weight : ndarray, shape (W, W), W odd, optional
        Symmetric about its middle; the (1 2 1) filter of detection by default, `psf_weight` for a flux.

    Returns
    -------
    float

    Examples
    --------
    >>> correlation_factor(np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]))
    1.0
    >>> square = np.ones((5, 5))
    >>> round(correlation_factor(square), 2), round(correlation_factor(square, weight=psf_weight(4)), 2)
    (2.27, 3.78)
    """
    weight = _SMOOTH if weight is None else weight
    spread = float((convolve(kernel, weight) ** 2).sum() / ((kernel**2).sum() * (weight**2).sum()))
    return float(np.sqrt((1 - white) * spread + white))


def psf_weight(fwhm: float) -> NDArray[np.float64]:
    """Return the Gaussian through which the flux of a source of this FWHM (pixels) is measured, on a square."""
    reach = max(2, int(np.ceil(1.5 * fwhm)))
    line = np.exp(-0.5 * (np.arange(-reach, reach + 1) * 2.3548 / fwhm) ** 2)
    return np.outer(line, line)


def blank_noise(
    science: NDArray[np.float32], reference: NDArray[np.float32], lost: NDArray[np.bool_], *, most: float
) -> float:
    """Sigma of the science pixels where the reference, which is deeper, shows no source.

    A single frame's own noise holds the faint sources that a subtraction takes away: some
    5 % in an ordinary field, 20 % where they crowd.

    Parameters
    ----------
    science, reference : ndarray of float32, shape (H, W)
        Sky-subtracted pixels.
    lost : ndarray of bool, shape (H, W)
        Pixels to leave out.
    most : float
        Noise of the science frame as measured alone, ADU: never exceeded.
    """
    good = ~sampled(lost)
    values, deep = sampled(science)[good], sampled(reference)[good]
    if values.size < 1000:
        return most
    low, high = np.quantile(deep, (0.05, 0.55))
    _, sigma = clipped(values[(deep >= low) & (deep <= high)])
    return min(sigma, most) if sigma > 0 else most


def frame_sigma(pixels: NDArray[np.float32], mask: NDArray[np.uint8]) -> float:
    """Return the robust sigma of all unmasked pixels; of every k-th where there are many."""
    good = (sampled(mask) & np.uint8(NODATA | SATURATED)) == 0
    return robust_sigma(sampled(pixels)[good])


def blank_sky_ratio(pixels: NDArray[np.float32], noise: NDArray[np.float32], mask: NDArray[np.uint8]) -> float:
    """Measured over expected sigma where no source adds to the noise.

    Blank sky is where the expected sigma, averaged over 15 x 15 pixels, lies in its lower 60 %: there no source
    stands. (A single pixel's expected sigma knows the noise of the reference, and the quietest of those would be
    the ones whose difference scatters least.)

    Returns
    -------
    float
        NaN when nothing is unmasked.
    """
    good = (sampled(mask) & np.uint8(NODATA | SATURATED | BAD)) == 0
    values, sigma = sampled(pixels)[good], sampled(noise)[good]
    if not len(sigma):
        return float("nan")
    around = sampled(ndimage.uniform_filter(noise, _AROUND))[good]
    blank = (around <= np.quantile(around, 0.6)) & (sigma > 0)
    return robust_sigma(values[blank] / sigma[blank]) if blank.any() else float("nan")


def sampled(image: NDArray[Any]) -> NDArray[Any]:
    """Every k-th pixel of an image, flat: about a million, the same ones of every image of a shape."""
    return image.ravel()[:: _step(image.shape)]


def _step(shape: tuple[int, ...]) -> int:
    """Every how many-th pixel is looked at: a number that visits all columns alike."""
    step = max(1, shape[0] * shape[1] // _SAMPLE)
    while math.gcd(step, shape[1]) > 1:
        step += 1
    return step
