"""The reference of a night: taken from the user, or made of the night's best frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from astropy.wcs import WCS

from ..errors import FrameError, InputError
from ..images.align import Transform, inverse, shifted, union_grid
from ..images.frame import Frame
from ..images.members import choose_members
from ..images.read import read_frame
from ..images.reference import Reference, build_reference
from ..images.reference_io import read_reference, write_reference
from .settings import NightSettings
from .survey import Sighting, of_one_filter, place, place_on_best

__all__ = ["Baseline", "prepare_reference"]


@dataclass(frozen=True)
class Baseline:
    """A night's reference and where every frame lies on it.

    Parameters
    ----------
    path : Path
        The reference, as a FITS file.
    reference : Reference
        The same in memory.
    transforms : dict
        Frame name to the transform with the frame as target and the reference as source.
    failed : dict
        Frame name to the reason why it could not be placed.
    """

    path: Path
    reference: Reference
    transforms: dict[str, Transform]
    failed: dict[str, str]


def check_reference(settings: NightSettings) -> None:
    """Refuse a given reference that is none, before anything is done: every frame would fail by it.

    Raises
    ------
    InputError
        It cannot be used.
    """
    if settings.reference is None:
        return
    try:
        read_reference(settings.reference, settings.telescope)
    except FrameError as error:
        raise InputError(
            f"the reference {settings.reference} cannot be used: {error}; give another, or none, and one is made of "
            "the frames"
        ) from error


def prepare_reference(sightings: Sequence[Sighting], settings: NightSettings, path: Path) -> Baseline:
    """Take or build the reference, write it to `path` and place every frame on it.

    A reference that is made lies beside `path`, with the frames and the grid it is of in its name, and is used again
    where it lies there already; the caller names the folder after everything else that went into it.

    Raises
    ------
    FrameError
        No frame can be used, or the given reference cannot.
    """
    if settings.reference is not None:
        given = read_reference(settings.reference, settings.telescope)
        # in an image of somebody else, of one member, a filter may have another name
        kept, others = of_one_filter(sightings, given.frame.band if len(given.members) > 1 else None)
        transforms, failed = place(kept, given.frame, given.measurement)
        if not path.is_file():
            write_reference(given, path)
        return Baseline(path, given, {name: inverse(t) for name, t in transforms.items()}, others | failed)
    kept, others = of_one_filter(sightings)
    anchor, on_anchor, failed = place_on_best(kept)
    placed = [sighting for sighting in kept if sighting.name in on_anchor]
    if len(placed) < 2:
        raise FrameError(
            "only this frame can be used, and there is nothing to subtract from it: "
            "give more frames of the field, or a reference (--reference)"
        )
    shape, origin = union_grid([on_anchor[s.name] for s in placed], [s.frame.shape for s in placed])
    on_grid = {s.name: shifted(on_anchor[s.name], *origin) for s in placed}
    # a run before may have lacked one of these frames, and with it had another grid
    grid = repr(([s.name for s in placed], kept[anchor].name, shape, origin))
    path = path.with_name(f"{hashlib.sha256(grid.encode(errors='surrogateescape')).hexdigest()[:12]}-{path.name}")
    if path.is_file():
        reference = read_reference(path)
    else:
        reference = _build(placed, on_grid, shape, settings, path.parent)
        reference = replace(reference, frame=replace(reference.frame, wcs=_moved(kept[anchor].frame, origin)))
        write_reference(reference, path)
    return Baseline(path, reference, {name: inverse(t) for name, t in on_grid.items()}, others | failed)


def _build(
    placed: Sequence[Sighting],
    on_grid: dict[str, Transform],
    shape: tuple[int, int],
    settings: NightSettings,
    scratch: Path,
) -> Reference:
    centres = np.array([on_grid[s.name].to_target(*_centre(s.frame)) for s in placed], dtype=float).reshape(-1, 2)
    transforms = [on_grid[s.name] for s in placed]
    chosen = choose_members([s.measurement for s in placed], centres, count=settings.members, transforms=transforms)
    return build_reference(
        [partial(read_frame, placed[i].path, settings.telescope) for i in chosen],
        [placed[i].measurement for i in chosen],
        [transforms[i] for i in chosen],
        shape=shape,
        scratch=scratch,
    )


def _centre(
    frame: Frame,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    height, width = frame.shape
    return np.array([width / 2]), np.array([height / 2])


def _moved(frame: Frame, origin: tuple[int, int]) -> WCS | None:
    """WCS of the grid whose pixel (0, 0) lies at `origin` of the frame."""
    if frame.wcs is None:
        return None
    wcs = frame.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - np.asarray(origin, dtype=float)
    if wcs.sip is not None:  # the distortion keeps a reference pixel of its own
        wcs.sip.crpix[:] = wcs.wcs.crpix
    wcs.wcs.set()
    return wcs
