"""What the product would know of a frame it reads: made from the pixels, not from the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..badpixels import find_bad, find_saturation, saturated_pixels, star_sharpness
from ..frame import BAD, NODATA, SATURATED, Frame
from ..measure import background
from ..robust import clipped
from .world import World

__all__ = ["as_read", "sky_subtracted"]


def as_read(
    pixels: NDArray[np.float32],
    world: World,
    name: str,
    *,
    claimed: bool = True,
    missing: NDArray[np.bool_] | None = None,
) -> Frame:
    """Return the Frame that `read_frame` would make of these pixels.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        ADU.
    world : World
        For what a header says: gain, read noise, exposure, band, scale.
    name : str
        Of the frame.
    claimed : bool
        Whether the header names the saturation level; else it must show in the pixels.
    missing : ndarray of bool or None
        True where there is no data.
    """
    detector = world.detector
    missing = np.zeros(pixels.shape, bool) if missing is None else missing
    good = ~missing
    sky, noise = clipped(pixels[good])
    seen = find_saturation(pixels, sky, noise, good) if noise > 0 else None
    levels = [float("inf") if seen is None else float(seen), detector.ceiling if claimed else float("inf")]
    saturation = min(levels)
    pixels = np.where(missing, np.float32(sky), pixels)
    mask = NODATA * missing.astype(np.uint8)
    if np.isfinite(saturation):
        mask |= SATURATED * (saturated_pixels(pixels, saturation) & good).astype(np.uint8)
    if noise > 0:
        used = mask != 0
        excess = pixels - background(pixels, used)[0]
        sharp = star_sharpness(excess, noise, used)
        bad = find_bad(excess, noise, gain=detector.gain, sharpness=sharp, exclude=used)
        mask |= BAD * bad.astype(np.uint8)
    return Frame(
        name=name,
        pixels=pixels,
        mask=mask,
        gain=detector.gain,
        read_noise=detector.read_noise,
        saturation=saturation,
        exposure_s=world.exposure_s,
        band=world.band,
        pixel_scale_arcsec=world.pixel_scale_arcsec,
        telescope=world.name,
    )


def sky_subtracted(frame: Frame) -> NDArray[np.float32]:
    """Return the pixels less their smooth background, ADU."""
    return np.asarray(frame.pixels - background(frame.pixels, frame.mask != 0)[0], dtype=np.float32)
