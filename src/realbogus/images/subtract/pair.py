"""What a subtraction method is handed, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import SubtractionError
from ..frame import BAD, NODATA, SATURATED, Frame
from ..measure import Measurement, background
from ..reference import Reference
from .noise import blank_noise, reference_variance, sampled
from .stars import Scale, Stars, match_stars, photometric_scale

__all__ = ["Matched", "Method", "Pair", "prepare"]


@dataclass(frozen=True)
class Pair:
    """A science frame and a reference on one grid, both without sky.

    Parameters
    ----------
    science, reference : ndarray of float32, shape (H, W)
        Sky-subtracted pixels, ADU of the science frame and of the reference.
    science_mask, reference_mask : ndarray of uint8, shape (H, W)
        Bits of `realbogus.images.frame`, as they came.
    science_noise : float
        Sigma of one pixel of the science frame's blank sky, ADU.
    reference_noise : ndarray of float32, shape (H, W)
        Sigma of each pixel of the reference as its maker gave it, ADU.
    coverage : ndarray of uint8, shape (H, W)
        Frames behind each pixel of the reference.
    reference_sky : float
        Median sigma of the reference's pixels, ADU.
    depth : float
        Median of the reference's variance times coverage, ADU^2.
    reference_gain : float
        Electrons per ADU of the reference.
    gain : float
        Electrons per ADU of the science frame.
    science_fwhm, reference_fwhm : float
        PSF sizes (FWHM_NEA), pixels.
    stars : Stars
        Stars seen well on both sides, brightest first.
    scale : Scale
        Flux ratio science / reference that their apertures say.
    """

    science: NDArray[np.float32]
    reference: NDArray[np.float32]
    science_mask: NDArray[np.uint8]
    reference_mask: NDArray[np.uint8]
    science_noise: float
    reference_noise: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    reference_sky: float
    depth: float
    reference_gain: float
    gain: float
    science_fwhm: float
    reference_fwhm: float
    stars: Stars
    scale: Scale

    def reference_variance(self, cut: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[np.float32]:
        """Variance of the reference in the part of it that `cut` takes of an array, reference ADU^2."""
        return reference_variance(
            *(cut(a) for a in (self.reference_noise, self.reference, self.coverage, self.reference_mask)),
            depth=self.depth,
            gain=self.reference_gain,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.science.shape
        return int(height), int(width)

    @property
    def broad_fwhm(self) -> float:
        """The larger of the two PSF sizes, pixels."""
        return max(self.science_fwhm, self.reference_fwhm)


@dataclass(frozen=True)
class Matched:
    """What a method made of a `Pair`, before masks, residual sky and judgement.

    Parameters
    ----------
    pixels, noise : ndarray of float32, shape (H, W)
        Difference and its expected sigma, science ADU.
    convolved : str
        "reference", "science" or "none".
    scale : float
        Flux ratio science / reference that the kernel says.
    stars : int
        Number of stars behind the kernel.
    correlation, psf_correlation : float
        See `Difference`.
    reach : int
        Pixels over which the convolution carries a missing pixel of the convolved side.
    invalid : ndarray of bool, shape (H, W), or None
        True where the method itself gave no value.
    """

    pixels: NDArray[np.float32]
    noise: NDArray[np.float32]
    convolved: str
    scale: float
    stars: int
    correlation: float = 1.0
    psf_correlation: float = 1.0
    reach: int = 0
    invalid: NDArray[np.bool_] | None = None


class Method(Protocol):
    """A subtraction method: any callable of this shape can stand in the table."""

    def __call__(self, pair: Pair, *, jobs: int) -> Matched:
        """Subtract the reference of `pair` from its science frame with `jobs` threads."""


def prepare(science: Frame, reference: Reference, science_m: Measurement) -> Pair:
    """Check the two sides, take the sky off the science frame and find the common stars.

    Raises
    ------
    SubtractionError
        The grids differ, there is no overlap, a PSF size is no number or too few stars are common.
    """
    if science.shape != reference.frame.shape:
        raise SubtractionError(
            f"{science.name} is {science.shape} pixels and the reference {reference.frame.shape}: "
            "warp the reference onto the science frame's grid first"
        )
    fwhms = (float(science_m.fwhm), float(reference.measurement.fwhm))
    if not all(np.isfinite(f) and f > 0 for f in fwhms):
        raise SubtractionError(
            f"{science.name}: PSF sizes {fwhms} px (science, reference) are not both positive numbers: "
            "measure both frames again, or leave this one out"
        )
    if not (science_m.noise > 0 and science.gain > 0):
        raise SubtractionError(
            f"{science.name}: noise {science_m.noise} ADU and gain {science.gain} e/ADU must be above zero: "
            "give the gain in the telescope profile"
        )
    if not reference.frame.gain > 0:
        raise SubtractionError(
            f"{science.name}: the reference has gain {reference.frame.gain} e/ADU, it must be above zero: make it anew"
        )
    lost = (science.mask | reference.frame.mask) & np.uint8(NODATA | SATURATED) != 0
    if lost.mean() > 0.9:
        raise SubtractionError(
            f"{science.name}: only {100 * (1 - lost.mean()):.1f} % of the frame has data on both sides, "
            "10 % are needed: choose reference frames of the same pointing"
        )
    sky, _ = background(science.pixels, (science.mask & np.uint8(NODATA | SATURATED | BAD)) != 0)
    pixels = np.subtract(science.pixels, sky, out=sky)
    good = sampled(reference.frame.mask) & np.uint8(NODATA) == 0
    noise, coverage = sampled(reference.noise)[good], np.maximum(sampled(reference.coverage)[good], 1)
    known = np.isfinite(noise)
    reference_sky = float(np.median(noise[known])) if known.any() else 0.0
    depth = float(np.median(noise[known].astype(np.float64) ** 2 * coverage[known])) if known.any() else 0.0
    noise_s = blank_noise(pixels, reference.frame.pixels, lost, most=float(science_m.noise))
    stars = match_stars(
        science_m.stars[:, :2],
        pixels,
        reference.frame.pixels,
        lost,
        noise=(noise_s, reference_sky),
        fwhm=max(fwhms),
    )
    return Pair(
        science=pixels,
        reference=reference.frame.pixels,
        science_mask=science.mask,
        reference_mask=reference.frame.mask,
        science_noise=noise_s,
        reference_noise=reference.noise,
        coverage=reference.coverage,
        reference_sky=reference_sky,
        depth=depth,
        reference_gain=float(reference.frame.gain),
        gain=float(science.gain),
        science_fwhm=fwhms[0],
        reference_fwhm=fwhms[1],
        stars=stars,
        scale=photometric_scale(stars, name=science.name),
    )
