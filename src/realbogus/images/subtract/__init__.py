"""Subtract a reference from a science frame; the methods stand in one table.

A method is a callable ``method(pair, *, jobs) -> Matched``. To add one, write it in a file of
this folder and register it in `METHODS`.
"""

from __future__ import annotations

import numpy as np

from ...registry import Registry
from ..frame import BAD, NODATA, Frame
from ..measure import Measurement, background
from ..reference import Reference
from .alard_lupton import alard_lupton
from .difference import Difference
from .hotpants import hotpants
from .judge import judge
from .masks import join_masks, unusable
from .noise import blank_sky_ratio, frame_sigma
from .pair import Matched, Method, Pair, prepare
from .plain import plain

__all__ = ["METHODS", "Difference", "Matched", "Method", "Pair", "judge", "prepare", "subtract"]

#: Subtraction methods by name; "alard-lupton" is the default.
METHODS: Registry[Method] = Registry("subtraction method")
METHODS.register("alard-lupton")(alard_lupton)
METHODS.register("hotpants")(hotpants)
METHODS.register("plain")(plain)


def subtract(
    science: Frame,
    reference: Reference,
    science_m: Measurement,
    *,
    method: str | Method = "alard-lupton",
    jobs: int = 2,
) -> Difference:
    """Subtract a reference from a science frame, and judge the outcome.

    Parameters
    ----------
    science : Frame
    reference : Reference
        Already on the science frame's grid, without sky.
    science_m : Measurement
        Of `science`.
    method : str or Method
        A name of `METHODS`, or a callable of the same shape.
    jobs : int
        Threads.

    Returns
    -------
    Difference
        On the science frame's grid and flux scale. Saturated regions are grown and, as missing
        pixels, filled with zero; bad pixels carry their bit and keep their value.

    Raises
    ------
    SubtractionError
        No difference could be made, or the one made is unfit: the message says why and what to do.
    UnknownNameError
        `method` is in no line of the table.
    """
    run = METHODS.resolve(method)
    name = method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)
    pair = prepare(science, reference, science_m)
    matched = run(pair, jobs=jobs)
    difference = _finish(pair, matched, name)
    judge(difference, pair.scale, name=science.name)
    return difference


def _finish(pair: Pair, matched: Matched, name: str) -> Difference:
    """Mask, take off what sky is left, zero-fill and measure."""
    pixels, noise = matched.pixels, matched.noise
    mask = join_masks(
        pair.science_mask,
        pair.reference_mask,
        fwhm=pair.broad_fwhm,
        reach=matched.reach,
        convolved=matched.convolved,
    )
    if matched.invalid is not None:
        mask[matched.invalid] |= np.uint8(NODATA)
    lost = unusable(mask)
    if not lost.all():
        pixels -= background(pixels, lost | ((mask & np.uint8(BAD)) != 0))[0]
    pixels[lost] = 0
    return Difference(
        pixels=pixels,
        noise=noise,
        mask=mask,
        sigma=frame_sigma(pixels, mask),
        fwhm=pair.science_fwhm if matched.convolved == "none" else pair.broad_fwhm,
        correlation=matched.correlation,
        psf_correlation=matched.psf_correlation,
        convolved=matched.convolved,
        scale=float(matched.scale),
        noise_ratio=blank_sky_ratio(pixels, noise, mask),
        finite_fraction=float(1 - lost.mean()),
        stars=matched.stars,
        method=name,
    )
