"""Scaled subtraction without any matching of the PSFs: the baseline the others are measured against."""

from __future__ import annotations

import numpy as np

from .noise import photon_variance
from .pair import Matched, Pair

__all__ = ["plain"]


def plain(pair: Pair, *, jobs: int = 1) -> Matched:
    """Subtract the reference, scaled to the science frame by aperture fluxes.

    Parameters
    ----------
    pair : Pair
    jobs : int
        Not used; every method takes it.

    Returns
    -------
    Matched
    """
    scale = np.float32(pair.scale.value)
    model = pair.reference * scale
    variance = photon_variance(pair.science, model, pair.science_noise, pair.gain)
    variance += pair.reference_variance(lambda a: a) * scale**2
    return Matched(
        pixels=np.subtract(pair.science, model, out=model),
        noise=np.sqrt(variance, out=variance),
        convolved="none",
        scale=pair.scale.value,
        stars=pair.scale.stars,
    )
