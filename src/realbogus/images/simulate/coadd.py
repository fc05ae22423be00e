"""A simulated reference: a few rendered epochs that stand for many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..align import Transform, noise_factor, warp
from ..combine import Layer, combine_rows
from ..frame import BAD, NODATA, SATURATED, Frame
from ..maps import Affine
from ..measure import measure
from ..reference import Reference
from .optics import Pointing
from .reading import as_read, sky_subtracted
from .world import Epoch, Exposure, World, expose

__all__ = ["Coadd", "make_coadd", "sloppy", "transform_of"]

_RENDERED = 3


@dataclass(frozen=True)
class Coadd:
    """A reference on its own grid and the truth behind it.

    Parameters
    ----------
    reference : Reference
        On the detector grid of its first member.
    pointing : Pointing
        Scene to reference grid.
    flux : ndarray, shape (N,)
        Mean flux of the scene's stars in it, e- through a clear sky.
    depth : int
        Number of frames it stands for.
    fwhm : float
        FWHM_NEA of the members' PSF in the frame's middle, mean, pixels.
    """

    reference: Reference
    pointing: Pointing
    flux: NDArray[np.float64]
    depth: int
    fwhm: float


def sloppy(rng: np.random.Generator, size: int, shift: float, angle: float) -> NDArray[np.float64]:
    """Return a 3x3 matrix close to one: an alignment that is off by about `shift` pixels."""
    dx, dy = rng.normal(0, shift, 2)
    a, b = rng.normal(0, angle, 2)
    h = size / 2
    return np.array([[1, a, dx - a * h], [b, 1, dy - b * h], [0, 0, 1.0]])


def transform_of(target_to_source: NDArray[np.float64]) -> Transform:
    """Wrap a 3x3 matrix that acts on (x, y, 1)."""
    there = Affine.from_matrix(target_to_source)
    return Transform(there, there.inverse(), 0.1, 50, "stars")


def make_coadd(
    world: World,
    rng: np.random.Generator,
    *,
    gone: Callable[[Epoch], tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]],
    claimed: bool = True,
    depth: int | None = None,
) -> Coadd:
    """Expose, align and combine members as the product does, or as somebody else would.

    A reference of n > 3 frames is made of three whose noise is that of n / 3 frames: quick, and
    the clipping still has something to clip.

    Parameters
    ----------
    world : World
        Telescope and sky.
    rng : numpy.random.Generator
        The only randomness.
    gone : callable
        Epoch -> (x, y, flux) on the detector of sources that have vanished since.
    claimed : bool
        Whether headers name the saturation level.
    depth : int, optional
        So many frames, every one exposed, carefully aligned, clipped and whole, as the product does
        it; where absent 1 to 30 are drawn, and how careful somebody was.

    Raises
    ------
    FrameError
        Too few stars to measure the reference.
    """
    careful = depth is not None
    if depth is None:
        depth = int(rng.choice([1, 2, 3, 5, 9, 16, 30]))
    shown = depth if careful else min(depth, _RENDERED)
    share = depth / shown
    error = 0.06 if careful else float(rng.choice([0.03, 0.08, 0.15]))
    order = 3 if careful else int(rng.choice([1, 3, 3, 3, 3, 5]))
    height, width = world.shape
    exposures: list[Exposure] = []
    values: list[NDArray[np.float32]] = []
    states: list[NDArray[np.uint8]] = []
    layers: list[Layer] = []
    facts: list[Frame] = []
    pointings: list[Pointing] = []
    light: list[float] = []
    for k in range(shown):
        epoch = _good_epoch(world, rng, share)
        shot = expose(world, epoch, rng, events=gone(epoch), depth=share)
        frame = as_read(shot.pixels, world, f"member{k}", claimed=claimed)
        to_member = np.eye(3)
        if k:
            back = np.linalg.inv(pointings[0].matrix())
            to_member = epoch.pointing.matrix() @ back @ sloppy(rng, width, error, 1e-4)
        transform = transform_of(to_member)
        scale = (light[0] if light else epoch.transparency) / epoch.transparency * rng.normal(1, 0.004)
        smoothing = noise_factor(transform, world.shape)
        holes = (frame.mask & (BAD | NODATA)) != 0
        flat = sky_subtracted(frame) * np.float32(scale)
        values.append(warp(flat, transform, world.shape, order=order, mask=holes))
        states.append(_state(frame, to_member))
        sigma = scale * shot.noise / world.detector.gain * np.sqrt(smoothing)
        layers.append(Layer(scale, sigma, world.detector.gain * share, smoothing))
        exposures.append(shot)
        facts.append(frame)
        pointings.append(epoch.pointing)
        light.append(epoch.transparency)
    state = np.stack(states)
    if not careful:
        _cut_footprints(state, rng)
    least = 2 if careful else 1 if shown < 3 or rng.random() < 0.4 else 2
    combined = combine_rows(np.stack(values), state, layers, least)
    pixels, there = combined.pixels, np.rint(combined.coverage * share)
    if not careful and rng.random() < 0.2:  # somebody else's reference: no clipping, no bad-pixel map
        stack = np.where(state == 1, np.nan, np.stack(values))
        empty = (state == 1).all(0)
        stack[:, empty] = 0
        pixels = np.nanmedian(stack, 0) if rng.random() < 0.5 else np.nanmean(stack, 0)
        pixels = pixels.astype(np.float32)
    mask = NODATA * combined.nodata.astype(np.uint8)
    mask |= SATURATED * (combined.saturated & ~combined.nodata).astype(np.uint8)
    pixels[combined.nodata] = 0
    frame = replace(
        facts[0], name="reference", pixels=pixels, mask=mask, gain=world.detector.gain * depth,
        read_noise=world.detector.read_noise * float(np.sqrt(depth)),
        saturation=float(facts[0].saturation - np.median(facts[0].pixels)),
    )  # fmt: skip
    reference = Reference(
        frame, combined.noise, np.minimum(there, 255).astype(np.uint8), measure(frame),
        tuple(f"member{k}" for k in range(depth)),
    )  # fmt: skip
    flux = np.mean([shot.flux / t for shot, t in zip(exposures, light, strict=True)], axis=0)
    area = float(np.mean([shot.kernels.area(width / 2, height / 2) for shot in exposures]))
    return Coadd(reference, pointings[0], flux, depth, 2.355 * float(np.sqrt(area / (4 * np.pi))))


def _good_epoch(world: World, rng: np.random.Generator, share: float) -> Epoch:
    """Return the sharper of two epochs, with the unevenness of a mean of `share` frames."""
    first, second = world.epoch(rng), world.epoch(rng)
    best = min((first, second), key=lambda e: e.psf.fwhm + e.psf.trail + 2 * e.psf.donut)
    calm = float(1 / np.sqrt(share))
    clouds = replace(best.clouds, amount=best.clouds.amount * calm)
    return replace(best, clouds=clouds, jitter=best.jitter * calm, wobble=best.wobble * calm)


def _state(frame: Frame, to_member: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return 0 usable, 1 nothing here, 2 saturated, 4 bad, on the reference grid.

    Masked pixels are few, so each is sent to the up to four pixels that it has a share in.
    """
    height, width = frame.shape
    state = np.zeros(frame.shape, np.uint8)
    to_reference = np.linalg.inv(to_member)
    for bit, value in ((BAD, 4), (SATURATED, 2)):
        y, x = np.nonzero(frame.mask & bit)
        px, py = (to_reference[i, 0] * x + to_reference[i, 1] * y + to_reference[i, 2] for i in (0, 1))
        for column in (np.floor(px + 0.02), np.ceil(px - 0.02)):
            for row in (np.floor(py + 0.02), np.ceil(py - 0.02)):
                ok = (column >= 0) & (row >= 0) & (column < width) & (row < height)
                state[row[ok].astype(np.intp), column[ok].astype(np.intp)] = value
    y_, x_ = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]
    m = to_member.astype(np.float32)
    sx, sy = (m[i, 0] * x_ + m[i, 1] * y_ + m[i, 2] for i in (0, 1))
    state[(sx < 0) | (sy < 0) | (sx > width - 1) | (sy > height - 1)] = 1
    return state


def _cut_footprints(state: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Let the edges of some members, or of all, cross the reference, in place."""
    members, height, width = state.shape
    if rng.random() > 0.35:
        return
    cut = members if rng.random() < 0.3 else int(rng.integers(1, members + 1))
    side = int(rng.integers(4))
    tilt = rng.normal(0, 0.01)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = (x + tilt * y, width - 1 - x + tilt * y, y + tilt * x, height - 1 - y + tilt * x)[side]
    for k in rng.permutation(members)[:cut]:
        state[k][depth < rng.integers(30, 120)] = 1
