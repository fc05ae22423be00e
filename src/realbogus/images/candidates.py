"""From a science frame and its reference to candidates with stamps: subtract, detect, cut."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..stamps import STAMP_SIZE
from .cut import cut
from .detect import detect
from .frame import Frame
from .measure import Measurement
from .reference import Reference
from .subtract import subtract
from .subtract.difference import Difference

__all__ = ["CHANNELS", "Candidates", "find_candidates"]

#: Every channel a stamp can have, in order.
CHANNELS = ("difference", "science", "reference")


@dataclass(frozen=True)
class Candidates:
    """What one frame yields.

    Parameters
    ----------
    difference : Difference
        The judged difference image.
    catalogue : astropy.table.Table, N rows
        The columns of `detect`, and `noise` (ADU), `fwhm` (px), `missing` (share of the
        stamp that was filled) and `usable` (False: no score is possible).
    pixels : ndarray of float32, shape (N, len(channels), 64, 64)
        Stamps, ADU; science and reference with their local background removed.
    channels : tuple of str
        Name of each plane.
    seconds : dict
        Wall time of `subtract`, `detect` and `cut`.
    """

    difference: Difference
    catalogue: Table
    pixels: NDArray[np.float32]
    channels: tuple[str, ...]
    seconds: dict[str, float]


def find_candidates(
    science: Frame,
    reference: Reference,
    measurement: Measurement,
    *,
    method: str = "alard-lupton",
    detector: str = "sep",
    threshold: float = 2.5,
    min_area: int | None = None,
    channels: tuple[str, ...] = CHANNELS,
) -> Candidates:
    """Subtract the reference from a frame, detect on the difference and cut stamps.

    Parameters
    ----------
    science : Frame
        As read, on its own pixel grid.
    reference : Reference
        Already on the grid of `science`.
    measurement : Measurement
        Of the science frame.
    method, detector : str
        Names in the tables of subtraction methods and detectors.
    threshold : float
        Detection threshold in units of the true noise.
    min_area : int, optional
        Connected pixels a detection needs; by the PSF's size where absent.
    channels : tuple of str
        Which of `CHANNELS` to cut, in order.

    Returns
    -------
    Candidates
        As many stamps as detections, usable or not.

    Raises
    ------
    SubtractionError
        No difference image fit for use came out.
    """
    clock = [perf_counter()]
    difference = subtract(science, reference, measurement, method=method)
    clock.append(perf_counter())
    found = detect(difference, threshold=threshold, min_area=min_area, method=detector)
    clock.append(perf_counter())
    images = {"difference": difference.pixels, "science": science.pixels, "reference": reference.frame.pixels}
    pixels, missing, usable = cut(found, [images[name] for name in channels], difference.mask, size=STAMP_SIZE)
    for plane, name in enumerate(channels):
        if name != "difference" and len(pixels):
            pixels[:, plane] -= np.median(pixels[:, plane], axis=(1, 2))[:, None, None]
    found["noise"] = np.full(len(found), difference.sigma, dtype=np.float32)
    found["fwhm"] = np.full(len(found), difference.fwhm, dtype=np.float32)
    found["missing"] = missing
    found["usable"] = usable
    clock.append(perf_counter())
    seconds = dict(zip(("subtract", "detect", "cut"), np.diff(clock).tolist(), strict=True))
    return Candidates(difference, found, pixels, tuple(channels), seconds)
