"""One science frame, its reference and the truth: food for training, made in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import InputError
from ..align import warp, warp_mask
from ..frame import BAD, Frame
from ..reference import Reference, warp_reference
from .coadd import Coadd, make_coadd, sloppy, transform_of
from .events import Events, draw_events
from .presets import PRESETS, Preset
from .psf import make_kernels
from .reading import as_read
from .world import Epoch, Exposure, World, blank_noise, expose

__all__ = ["SimulatedPair", "simulate_pair"]

_PAD = 24  # pixels around the science frame, so that dithered members cover all of it
_EDGE = 10.0  # events stay this far from the frame's edge


@dataclass(frozen=True)
class SimulatedPair:
    """What `simulate_pair` makes.

    Parameters
    ----------
    science : Frame
        Raw, on its own pixel grid (in 15 % of pairs resampled); the mask is what the product finds.
    reference : Reference
        Sky-subtracted and already on the science grid; not scaled to the science frame.
    truth : astropy.table.Table
        x, y (science grid), flux (ADU change), snr, kind: all real changes that a clean
        detector could see. Negative flux and S/N: light that has gone.
    ignore : astropy.table.Table
        x, y, radius (pixels): places whose label nobody can say. Stars and galaxies whose flux
        changed by more than 2 sigma through clouds or scatter; events on masked pixels.
    meta : dict
        preset, pixel_scale_arcsec, fwhm, reference_fwhm (FWHM_NEA, pixels), noise (ADU),
        depth, resampled, poor, saturation_known, registration_px.
    """

    science: Frame
    reference: Reference
    truth: Table
    ignore: Table
    meta: dict[str, Any]


def simulate_pair(preset: str | Preset, rng: np.random.Generator, *, size: int = 416) -> SimulatedPair:
    """Simulate a science frame and a reference on its grid, with all that goes wrong.

    The science frame is native: hot pixels stay single pixels. The reference is made of 1 to 30
    dithered frames, each resampled once onto the reference grid and that once more onto the
    science grid, misregistered by 0.02 to 0.35 px, sometimes with a footprint edge in the frame.

    Parameters
    ----------
    preset : str or callable
        "mini-sitian", "varied", or a function that draws a `World`.
    rng : numpy.random.Generator
        The only randomness.
    size : int
        Side of the frame, pixels, at least 128.

    Returns
    -------
    SimulatedPair

    Raises
    ------
    UnknownNameError
        No such preset.
    InputError
        The size is too small.
    FrameError
        The reference drawn has too few stars to be measured: draw another.

    Examples
    --------
    >>> pair = simulate_pair("mini-sitian", np.random.default_rng(1), size=192)
    >>> pair.science.shape == pair.reference.frame.shape == (192, 192)
    True
    >>> pair.truth.colnames
    ['x', 'y', 'flux', 'snr', 'kind']
    """
    if size < 128:
        raise InputError(f"size={size}: expected at least 128 pixels, room for stars to match")
    side = size + 2 * _PAD
    world = PRESETS.resolve(preset)(rng, (side, side))
    epoch = world.epoch(rng)
    if world.name == "varied" and rng.random() < 0.15:  # dithered by whole pixels, not turned
        dx, dy = (float(np.rint(d)) for d in (epoch.pointing.dx, epoch.pointing.dy))
        epoch = replace(epoch, pointing=replace(epoch.pointing, dx=dx, dy=dy, rotation=0.0))
    kernels = make_kernels(epoch.psf, world.shape)
    noise = blank_noise(world, epoch)
    events = draw_events(world, epoch, kernels, noise, rng, (_PAD + _EDGE, _PAD + size - 1 - _EDGE))
    flux = world.scene.flux.copy()
    star = events.star >= 0
    flux[events.star[star]] += events.flux[star] / epoch.transparency
    shot = expose(world, epoch, rng, kernels=kernels, flux=flux, events=events.added())

    def gone(member: Epoch) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        x, y, lost = events.gone()
        back = member.pointing.matrix() @ np.linalg.inv(epoch.pointing.matrix())
        x, y = back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2]
        return x, y, lost * member.transparency / epoch.transparency

    claimed = bool(rng.random() < 0.9)
    coadd = make_coadd(world, rng, gone=gone, claimed=claimed)
    science, to_native, resampled = _science(shot, world, rng, size, claimed)
    wrong = float(rng.uniform(0.05, 0.35)) if rng.random() < 0.35 else float(abs(rng.normal(0.02, 0.06)))
    to_reference = coadd.pointing.matrix() @ np.linalg.inv(epoch.pointing.matrix()) @ to_native
    to_reference = to_reference @ sloppy(rng, size, wrong / np.sqrt(2), 1e-4)
    reference = warp_reference(coadd.reference, transform_of(to_reference), science.shape)
    back = np.asarray(np.linalg.inv(to_native), dtype=np.float64)
    truth, ignore = _labels(world, epoch, events, shot, coadd, science, reference, back)
    area = kernels.area(side / 2, side / 2)
    meta = {
        "preset": world.name,
        "pixel_scale_arcsec": world.pixel_scale_arcsec,
        "fwhm": 2.355 * float(np.sqrt(area / (4 * np.pi))),
        "reference_fwhm": coadd.fwhm,
        "noise": noise / world.detector.gain,
        "depth": coadd.depth,
        "resampled": resampled,
        "poor": epoch.poor,
        "saturation_known": claimed,
        "registration_px": wrong,
    }
    return SimulatedPair(science, reference, truth, ignore, meta)


def _science(
    shot: Exposure, world: World, rng: np.random.Generator, size: int, claimed: bool
) -> tuple[Frame, NDArray[np.float64], bool]:
    """Cut the frame out of the detector; 15 % are resampled, as aligned frames of users are."""
    to_native = np.array([[1, 0, _PAD], [0, 1, _PAD], [0, 0, 1.0]])
    shape = (size, size)
    if rng.random() >= 0.15:
        pixels = np.ascontiguousarray(shot.pixels[_PAD : _PAD + size, _PAD : _PAD + size])
        return as_read(pixels, world, "science", claimed=claimed), to_native, False
    dx, dy = rng.uniform(-6, 6, 2)
    a = rng.normal(0, 0.002)
    h = size / 2
    to_native = to_native @ np.array([[1, -a, dx + a * h], [a, 1, dy - a * h], [0, 0, 1.0]])
    transform = transform_of(to_native)
    order = int(rng.choice([1, 3, 3, 5]))
    missing = warp_mask(np.zeros(shot.pixels.shape, bool), transform, shape)
    pixels = warp(shot.pixels, transform, shape, order=order, fill=float(np.median(shot.pixels)))
    return as_read(pixels, world, "science", claimed=claimed, missing=missing), to_native, True


def _labels(
    world: World,
    epoch: Epoch,
    events: Events,
    shot: Exposure,
    coadd: Coadd,
    science: Frame,
    reference: Reference,
    to_science: NDArray[np.float64],
) -> tuple[Table, Table]:
    """Return truth and ignore on the science grid."""
    scene, size = world.scene, science.shape[0]
    x, y = events.x.copy(), events.y.copy()
    star = events.star >= 0
    x[star], y[star] = shot.x[events.star[star]], shot.y[events.star[star]]
    u, v = 2 * x / (world.shape[1] - 1) - 1, 2 * y / (world.shape[0] - 1) - 1
    flux = events.flux * world.detector.vignette.light(u, v)
    area = np.array([shot.kernels.area(a, b) for a, b in zip(x, y, strict=True)])
    snr = flux / (shot.noise * np.sqrt(area))
    x, y = _mapped(to_science, x, y)
    inside = (x > 4) & (y > 4) & (x < size - 5) & (y < size - 5)
    dark = ndimage.maximum_filter(science.unusable | reference.frame.unusable, 3)
    xi, yi = np.clip(np.rint(x), 0, size - 1).astype(int), np.clip(np.rint(y), 0, size - 1).astype(int)
    hidden = dark[yi, xi] | ((science.mask[yi, xi] & BAD) != 0)
    good = inside & ~hidden
    gain = world.detector.gain
    truth = Table(
        [x[good], y[good], flux[good] / gain, snr[good], events.kind[good]],
        names=["x", "y", "flux", "snr", "kind"],
    )
    # flux that changed though the source did not: no label can be right
    galaxies = scene.galaxies
    gx, gy = epoch.pointing.to_detector(galaxies.x, galaxies.y)
    now = np.append(shot.flux, galaxies.flux * epoch.transparency * epoch.clouds.at(gx, gy))
    before = np.append(coadd.flux, galaxies.flux)
    px, py = _mapped(to_science, np.append(shot.x, gx), np.append(shot.y, gy))
    here = (px > -8) & (py > -8) & (px < size + 8) & (py < size + 8)
    bright = here & (before > np.percentile(before[here], 50))
    scale = float(np.median(now[bright] / before[bright])) if bright.any() else epoch.transparency
    sigma = np.sqrt(shot.noise**2 * float(np.median(area)) * (1 + 1 / coadd.depth) + np.clip(now, 0, None))
    here[events.star[star]] = False
    odd = here & (np.abs(now - scale * before) > 2 * sigma)
    radius = max(3.0, shot.kernels.psf.fwhm)
    cx, cy = np.append(x[~good], px[odd]), np.append(y[~good], py[odd])
    ignore = Table([cx, cy, np.full(len(cx), radius)], names=["x", "y", "radius"])
    return truth, ignore


def _mapped(
    matrix: NDArray[np.float64], x: NDArray[np.floating], y: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Apply a 3x3 matrix to positions."""
    return (
        matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2],
        matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2],
    )
