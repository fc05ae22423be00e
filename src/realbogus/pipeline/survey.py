"""First look at a night: read and measure every frame, and place all on one grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import AlignmentError, FrameError
from ..images.align import Transform, find_transform
from ..images.frame import Frame
from ..images.measure import Measurement, measure
from ..images.read import read_frame

__all__ = ["Sighting", "choose_anchor", "look", "of_one_filter", "place"]


@dataclass(frozen=True)
class Sighting:
    """A frame as first seen: its facts and measurement, without its pixels.

    Parameters
    ----------
    path : Path
        Where it lies.
    frame : Frame
        Its facts; pixels and mask are empty stand-ins of the right shape.
    measurement : Measurement
        Its sky, noise, stars and PSF.
    seconds : float
        What reading and measuring took.
    """

    path: Path
    frame: Frame
    measurement: Measurement
    seconds: float

    def __getstate__(self) -> dict[str, Any]:
        # a broadcast stand-in would travel between processes as a full array
        empty = replace(self.frame, pixels=np.zeros((1, 1), np.float32), mask=np.zeros((1, 1), np.uint8))
        return self.__dict__ | {"frame": empty, "shape": self.frame.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        shape = state.pop("shape")
        self.__dict__.update(state | {"frame": _without_pixels(state["frame"], shape)})

    @property
    def name(self) -> str:
        """The frame's name."""
        return self.frame.name


def look(job: tuple[Path, str]) -> Sighting:
    """Read and measure one frame; `job` is its path and telescope.

    Raises
    ------
    FrameError
        The frame cannot be used; the message says why.
    """
    path, telescope = job
    start = perf_counter()
    frame = read_frame(path, telescope)
    measurement = measure(frame)
    return Sighting(path, _without_pixels(frame, frame.shape), measurement, perf_counter() - start)


def _without_pixels(frame: Frame, shape: tuple[int, int]) -> Frame:
    return replace(frame, pixels=np.broadcast_to(np.float32(0), shape), mask=np.broadcast_to(np.uint8(0), shape))


def of_one_filter(sightings: Sequence[Sighting], band: str | None = None) -> tuple[list[Sighting], dict[str, str]]:
    """Keep the frames of one filter: a star's colour must not look like a change.

    Parameters
    ----------
    sightings : sequence of Sighting
    band : str, optional
        The reference's filter; the most common one of the frames by default.

    Returns
    -------
    kept : list of Sighting
        Those of the filter, and frames of which no filter is known.
    failed : dict
        Name of every other frame to the reason why it is not used.
    """
    bands = Counter(s.frame.band for s in sightings if s.frame.band is not None)
    whose, wanted = "the reference's is", band
    if wanted is None:
        whose, wanted = "most frames have", max(sorted(bands), key=lambda name: bands[name], default=None)
    failed = {
        sighting.name: f"its filter is {sighting.frame.band}, {whose} {wanted}: run each filter on its own"
        for sighting in sightings
        if sighting.frame.band not in (None, wanted)
    }
    return [sighting for sighting in sightings if sighting.name not in failed], failed


def choose_anchor(sightings: Sequence[Sighting]) -> list[int]:
    """Rank frames by how well the others can be placed on them: sharp, dark, rich in stars.

    Returns
    -------
    list of int
        Indices of `sightings`, best first.
    """
    fwhm = np.array([s.measurement.fwhm for s in sightings])
    depth = fwhm * np.array([s.measurement.noise for s in sightings])
    stars = np.array([len(s.measurement.stars) for s in sightings], dtype=float)
    cost = depth / np.median(depth) + fwhm / np.median(fwhm) - stars / np.median(stars)
    return [int(i) for i in np.argsort(cost, kind="stable")]


def place(
    sightings: Sequence[Sighting], target: Frame, target_measurement: Measurement
) -> tuple[dict[str, Transform], dict[str, str]]:
    """Place every frame on `target`.

    Returns
    -------
    transforms : dict
        Frame name to the transform with `target` as target and the frame as source.
    failed : dict
        Frame name to the reason why it could not be placed.
    """
    transforms: dict[str, Transform] = {}
    failed: dict[str, str] = {}
    for sighting in sightings:
        try:
            transforms[sighting.name] = find_transform(sighting.frame, sighting.measurement, target, target_measurement)
        except AlignmentError as error:
            failed[sighting.name] = str(error)
    return transforms, failed


def place_on_best(sightings: Sequence[Sighting]) -> tuple[int, Mapping[str, Transform], dict[str, str]]:
    """Choose the anchor on which most frames can be placed, of the three most promising.

    Returns
    -------
    anchor : int
        Index of the anchor frame.
    transforms, failed : dict
        As `place` returns them.

    Raises
    ------
    FrameError
        There is no frame to place.
    """
    if not sightings:
        raise FrameError("no frame of the night can be used: see the reason of each in summary.json")
    best: tuple[int, dict[str, Transform], dict[str, str]] | None = None
    for anchor in choose_anchor(sightings)[:3]:
        chosen = sightings[anchor]
        transforms, failed = place(sightings, chosen.frame, chosen.measurement)
        if best is None or len(transforms) > len(best[1]):
            best = (anchor, transforms, failed)
        if len(failed) <= 0.05 * len(sightings):
            break
    assert best is not None
    return best
