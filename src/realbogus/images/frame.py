"""The noun `Frame`: one image and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["BAD", "NODATA", "SATURATED", "Frame"]

#: Mask bit: no measurement here (NaN, sentinel, outside the footprint).
NODATA = 1
#: Mask bit: at or above saturation, or grown from such a pixel.
SATURATED = 2
#: Mask bit: a hot, dead or unstable pixel. Detections on it are flagged, never dropped.
BAD = 4


@dataclass(frozen=True)
class Frame:
    """One image: pixels (y, x) with a mask and the facts that image work needs.

    Parameters
    ----------
    name : str
        File name without folders; unique in a night.
    pixels : ndarray of float32, shape (H, W)
        ADU, native byte order, finite everywhere (missing pixels hold the median
        and carry `NODATA` in the mask).
    mask : ndarray of uint8, shape (H, W)
        Bits `NODATA`, `SATURATED`, `BAD`; 0 is a good pixel.
    gain : float
        Electrons per ADU.
    read_noise : float
        Electrons.
    saturation : float
        ADU at which the detector clips.
    exposure_s : float or None
        Exposure time in seconds.
    mjd : float or None
        Mid-exposure, Modified Julian Date (UTC).
    band : str or None
        Filter name.
    pixel_scale_arcsec : float or None
        Arcseconds per pixel.
    wcs : astropy.wcs.WCS or None
        Celestial WCS where the header has a usable one.
    telescope : str
        Name of the profile it was read with.
    notes : dict
        What was estimated from the pixels or mended in the header.
    """

    name: str
    pixels: NDArray[np.float32]
    mask: NDArray[np.uint8]
    gain: float = 1.0
    read_noise: float = 0.0
    saturation: float = float("inf")
    exposure_s: float | None = None
    mjd: float | None = None
    band: str | None = None
    pixel_scale_arcsec: float | None = None
    wcs: WCS | None = None
    telescope: str = "generic"
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.pixels.shape
        return int(height), int(width)

    @property
    def unusable(self) -> NDArray[np.bool_]:
        """True where a pixel holds no trustworthy flux: no data or saturated."""
        return np.asarray((self.mask & (NODATA | SATURATED)) != 0)

    def with_pixels(self, pixels: NDArray[np.float32], mask: NDArray[np.uint8] | None = None) -> Frame:
        """Return a copy that holds other pixels (and mask)."""
        return replace(self, pixels=pixels, mask=self.mask if mask is None else mask)
