"""The quiet sky: a deep frame made of a night's best.

The recipe: `choose_members`, one `Transform` per member onto a common grid (`find_transform`,
`union_grid`, `shifted`), `build_reference`, then `warp_reference` onto each science frame.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from .align import Transform
from .combine import Layer, combine_rows
from .frame import BAD, NODATA, SATURATED, Frame
from .grid import grid_wcs, pixel_area
from .measure import Measurement, background, measure
from .members import choose_members, dead_edges, flux_ratio
from .reference_io import read_reference, write_reference
from .warp import noise_factor, warp, warp_mask

__all__ = [
    "Reference",
    "build_reference",
    "choose_members",
    "flux_ratio",
    "read_reference",
    "warp_reference",
    "write_reference",
]


@dataclass(frozen=True)
class Reference:
    """A reference image with its noise and coverage.

    Parameters
    ----------
    frame : Frame
        Sky-subtracted pixels, ADU on the zero point of the anchor frame; `NODATA` where
        fewer than the needed number of frames overlap.
    noise : ndarray of float32, shape (H, W)
        Sigma of each pixel, ADU.
    coverage : ndarray of uint8, shape (H, W)
        Number of frames behind each pixel.
    measurement : Measurement
        Of the reference itself.
    members : tuple of str
        Names of the frames it was made of.
    """

    frame: Frame
    noise: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    measurement: Measurement
    members: tuple[str, ...]


def build_reference(
    frames: Sequence[Frame | Callable[[], Frame]] | Sequence[Frame] | Sequence[Callable[[], Frame]],
    measurements: Sequence[Measurement],
    transforms: Sequence[Transform],
    *,
    shape: tuple[int, int],
    min_coverage: int | None = None,
    scratch: Path | str | None = None,
) -> Reference:
    """Resample frames onto one grid, bring them to one zero point and combine them.

    Every member loses its smooth background and is scaled by the flux ratio of matched
    stars; resampled members go to disk one by one, so that only one full frame is in
    memory. `combine_rows` says how they are combined. Saturated, bad and missing pixels do
    not contribute; a pixel is `SATURATED` where at least half of the members are, and `BAD`
    (interpolated) where it would miss the needed coverage for bad pixels alone.

    The noise map is the sigma of single pixels: resampling lowers it below that of
    independent pixels (`noise_factor`) and correlates neighbours. The gain of the result is
    the one with which its pixels' photon noise obeys variance = flux / gain at full
    coverage: gain x number of members for equal ones, not counting what resampling smooths.

    Parameters
    ----------
    frames : sequence of Frame, or of callables that return one
        Members; callables are called once each, in order. The first sets the zero point.
    measurements, transforms : sequences, one entry per frame
        Stars and noise; target = reference grid, source = frame.
    shape : tuple of int
        (H, W) of the reference grid.
    min_coverage : int, optional
        Fewest usable members for a pixel to hold data; by default 3 of five or more
        members, 2 of three or four, else 1. The area that misses it is grown by one pixel.
    scratch : path, optional
        Folder for temporary files, 5 bytes per pixel and member; the system's by default.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        No frames, or lists of different lengths.
    FrameError
        The result cannot be measured: nothing overlaps.
    """
    n = len(frames)
    if not n or len(measurements) != n or len(transforms) != n:
        raise InputError(
            f"build_reference() got {n} frames, {len(measurements)} measurements and {len(transforms)} "
            "transforms; expected one of each per frame, and at least one frame"
        )
    if min_coverage is None:
        min_coverage = 3 if n >= 5 else 2 if n >= 3 else 1
    scales = _zero_points(measurements, transforms, shape)
    height, width = shape
    out: dict[str, NDArray[Any]] = {
        "pixels": np.zeros(shape, np.float32),
        "noise": np.zeros(shape, np.float32),
        "coverage": np.zeros(shape, np.uint8),
        "saturated": np.zeros(shape, bool),
        "nodata": np.zeros(shape, bool),
        "bad": np.zeros(shape, bool),
    }
    layers: list[Layer] = []
    facts: list[Frame] = []
    with tempfile.TemporaryDirectory(prefix="realbogus-", dir=scratch) as folder:
        for k, (given, m, transform) in enumerate(zip(frames, measurements, transforms, strict=True)):
            frame = _loaded(given)
            smoothing = noise_factor(transform, shape)
            layers.append(Layer(scales[k], scales[k] * m.noise * smoothing**0.5, frame.gain, smoothing))
            _resample(frame, m.noise, transform, shape, scales[k], Path(folder), k)
            sky = float(m.sky)
            nothing = np.zeros((1, 1), np.float32)
            facts.append(replace(frame, pixels=nothing, mask=nothing.astype(np.uint8), notes={"sky": sky}))
        rows = max(1, min(256, 2_000_000 // (width * n)))
        for start in range(0, height, rows):
            lines = min(rows, height - start)
            values, state = (
                np.stack([_strip(Path(folder), k, kind, start, lines, width) for k in range(n)])
                for kind in (np.float32, np.uint8)
            )
            strip = combine_rows(values, state, layers, min_coverage)
            for name, plane in out.items():
                plane[start : start + lines] = getattr(strip, name)
    nodata = ndimage.binary_dilation(out["nodata"], np.ones((3, 3), bool))
    mask = NODATA * nodata.astype(np.uint8) | SATURATED * (out["saturated"] & ~nodata).astype(np.uint8)
    mask |= BAD * (out["bad"] & ~nodata).astype(np.uint8)
    out["pixels"][nodata] = 0
    frame = _described(facts, layers, transforms, out["pixels"], mask)
    return Reference(frame, out["noise"], out["coverage"], measure(frame), tuple(f.name for f in facts))


def warp_reference(reference: Reference, transform: Transform, shape: tuple[int, int]) -> Reference:
    """Resample a reference onto a science frame's grid.

    Pixels by cubic splines, noise linearly, coverage by nearest pixel. The noise map is not
    lowered for the smoothing by this second interpolation, so it errs to the safe side by
    up to a sixth where the sub-pixel phase is near one half; `Difference.noise_ratio` shows it.

    Parameters
    ----------
    reference : Reference
        As built.
    transform : Transform
        Target = science frame, source = reference grid.
    shape : tuple of int
        (H, W) of the science frame.

    Returns
    -------
    Reference
        Its measurement has the stars' positions and the FWHM in pixels of the new grid; sky and
        noise are those of the reference (for a FWHM of 2 px or more resampling changes noise and
        FWHM by less than 2 %), and the PSF's image stays on the reference's own pixels.
    """
    old = reference.frame
    nodata = warp_mask((old.mask & NODATA) != 0, transform, shape)
    mask = NODATA * nodata.astype(np.uint8)
    for bit in (SATURATED, BAD):
        if (old.mask & bit).any():
            mask |= bit * (warp_mask((old.mask & bit) != 0, transform, shape) & ~nodata).astype(np.uint8)
    pixels = warp(old.pixels, transform, shape, mask=(old.mask & (BAD | NODATA)) != 0)
    pixels[nodata] = 0
    noise = warp(reference.noise, transform, shape, order=1, fill=float(np.median(reference.noise[::8, ::8])))
    coverage = warp(reference.coverage.astype(np.float32), transform, shape, order=0).astype(np.uint8)
    stars = reference.measurement.stars.copy()
    stars[:, 0], stars[:, 1] = transform.to_target(stars[:, 0], stars[:, 1])
    fwhm = reference.measurement.fwhm / float(np.sqrt(pixel_area(transform, shape)))
    inside = ((stars[:, :2] >= 0) & (stars[:, :2] <= np.array(shape[::-1]) - 1)).all(axis=1)
    return replace(
        reference,
        frame=replace(old, pixels=pixels, mask=mask, wcs=None),
        noise=noise,
        coverage=coverage,
        measurement=replace(reference.measurement, stars=stars[inside], fwhm=fwhm),
    )


def _loaded(given: Frame | Callable[[], Frame]) -> Frame:
    return given if isinstance(given, Frame) else given()


def _resample(
    frame: Frame,
    noise: float,
    transform: Transform,
    shape: tuple[int, int],
    scale: float,
    folder: Path,
    k: int,
) -> None:
    """Write one member's resampled pixels and their state to disk."""
    sky, _ = background(frame.pixels, frame.mask != 0)
    flat = (frame.pixels - sky) * np.float32(scale)
    del sky
    missing = ((frame.mask & NODATA) != 0) | dead_edges(flat, noise * scale)
    warp(flat, transform, shape, mask=missing | ((frame.mask & BAD) != 0)).tofile(folder / f"{k}.float32")
    del flat
    state = warp_mask(missing, transform, shape).astype(np.uint8)
    for bit, value in ((SATURATED, 2), (BAD, 4)):
        if (frame.mask & bit).any():
            hit = warp_mask((frame.mask & bit) != 0, transform, shape)
            state[hit & (state == 0)] = value
    state.tofile(folder / f"{k}.uint8")


def _strip(folder: Path, k: int, kind: type[np.generic], start: int, lines: int, width: int) -> NDArray[Any]:
    """Read some rows of one member back."""
    size = np.dtype(kind).itemsize
    path = folder / f"{k}.{np.dtype(kind).name}"
    return np.fromfile(path, kind, lines * width, offset=start * width * size).reshape(lines, width)


def _zero_points(
    measurements: Sequence[Measurement], transforms: Sequence[Transform], shape: tuple[int, int]
) -> list[float]:
    """Factor per frame that brings its resampled pixels to the first frame's zero point.

    A frame is compared with all stars placed so far, so that drifting frames that share no
    sky with the first are reached through others; one that shares nothing has a flux ratio
    of 1. `warp` keeps surface brightness, so the pixel areas enter where they differ.
    """
    placed = []
    for m, transform in zip(measurements, transforms, strict=True):
        x, y = transform.to_target(m.stars[:, 0], m.stars[:, 1])
        placed.append(np.column_stack([x, y, m.stars[:, 2]]))
    scales = [1.0] * len(placed)
    known, waiting = placed[0], list(range(1, len(placed)))
    while waiting:
        counts = [flux_ratio(known, placed[k]) for k in waiting]
        best = int(np.argmax([count for _, count in counts]))
        ratio, count = counts[best]
        k = waiting.pop(best)
        if not count:
            break
        scales[k] = ratio
        fresh = placed[k] * np.array([1.0, 1.0, ratio])
        known = np.concatenate([known, fresh]) if count < len(fresh) // 2 else known
    areas = [pixel_area(transform, shape) for transform in transforms]
    return [scale * area / areas[0] for scale, area in zip(scales, areas, strict=True)]


def _described(
    facts: list[Frame],
    layers: list[Layer],
    transforms: Sequence[Transform],
    pixels: NDArray[np.float32],
    mask: NDArray[np.uint8],
) -> Frame:
    """Make the frame of the reference from those of its members."""
    first = facts[0]
    shape = (mask.shape[0], mask.shape[1])
    weight = np.array([layer.weight for layer in layers])
    weight /= weight.sum()
    # Photon variance of the weighted mean per ADU of flux is 1 / gain.
    gain = 1.0 / float(sum(w * w * layer.scale / layer.gain for w, layer in zip(weight, layers, strict=True)))
    scaled = [layer.scale * f.read_noise / f.gain for f, layer in zip(facts, layers, strict=True)]
    full = [layer.scale * (f.saturation - f.notes["sky"]) for f, layer in zip(facts, layers, strict=True)]
    times = [f.mjd for f in facts if f.mjd is not None]
    return Frame(
        name="reference",
        pixels=pixels,
        mask=mask,
        gain=gain,
        read_noise=gain * float(np.sqrt(np.sum((weight * scaled) ** 2))),
        saturation=min(full),
        exposure_s=first.exposure_s,
        mjd=float(np.mean(times)) if times else None,
        band=first.band,
        pixel_scale_arcsec=first.pixel_scale_arcsec,
        wcs=grid_wcs(first.wcs, transforms[0], shape) if first.wcs is not None else None,
        telescope=first.telescope,
        notes={"members": len(facts), "scales": [layer.scale for layer in layers]},
    )
