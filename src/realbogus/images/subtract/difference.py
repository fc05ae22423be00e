"""The outcome of a subtraction, judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference"]


@dataclass(frozen=True)
class Difference:
    """Science minus reference on the science frame's grid and flux scale.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        ADU; zero where `mask` says no data or saturated.
    noise : ndarray of float32, shape (H, W)
        Expected sigma of each pixel, ADU (photon noise of sources included).
    mask : ndarray of uint8, shape (H, W)
        Bits of `realbogus.images.frame`; saturated regions grown.
    sigma : float
        One robust sigma of all unmasked pixels, ADU: the number stamps are normalised by.
    fwhm : float
        PSF size of the difference (FWHM_NEA), pixels.
    correlation : float
        Factor by which the noise of a smoothed (3x3) pixel exceeds that of white noise;
        1 where the science frame was not convolved.
    convolved : str
        "reference", "science" or "none".
    scale : float
        Flux ratio science / reference that the kernel sum says.
    noise_ratio : float
        Measured over expected sigma on blank sky.
    finite_fraction : float
        Share of unmasked pixels.
    stars : int
        Number of stars behind the kernel.
    method : str
        Name of the subtraction method.
    psf_correlation : float
        As `correlation`, for a flux that is measured through the PSF: what its error and S/N are corrected by.
    """

    pixels: NDArray[np.float32]
    noise: NDArray[np.float32]
    mask: NDArray[np.uint8]
    sigma: float
    fwhm: float
    correlation: float
    convolved: str
    scale: float
    noise_ratio: float
    finite_fraction: float
    stars: int
    method: str
    psf_correlation: float = 1.0
