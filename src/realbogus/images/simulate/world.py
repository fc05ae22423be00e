"""One imaginary telescope and one night's exposures of one patch of sky."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .detector import Detector, read_out
from .optics import Clouds, Pointing, Sky, add_ghost, add_halos, bands, trail_rows
from .psf import Kernels, Psf, make_kernels
from .scene import Scene, add_galaxies, add_points

__all__ = ["Epoch", "Exposure", "Halo", "World", "expose"]


@dataclass(frozen=True)
class Epoch:
    """All that changes from exposure to exposure.

    Parameters
    ----------
    psf : Psf
        Seeing, focus and guiding.
    sky : Sky
        Background light.
    pointing : Pointing
        Where the scene falls.
    transparency : float
        Factor on all fluxes.
    clouds : Clouds
        Uneven transparency.
    dispersion : (float, float)
        Shift (dx, dy) in pixels per unit of star colour.
    colour_term : float
        Relative change of the flux per unit of star colour (airmass, filters that differ).
    jitter : float
        Relative scatter of each star's flux (scintillation, flat field).
    wobble : float
        Scatter of each star's position, pixels (seeing).
    trails : tuple of ndarray, each shape (7,)
        Satellites, see `trail_rows`.
    ghosts : tuple of (x, y, flux, radius)
        Reflections that belong to no star of the frame.
    poor : bool
        Whether it was drawn as one of the poor frames.
    """

    psf: Psf
    sky: Sky
    pointing: Pointing
    transparency: float = 1.0
    clouds: Clouds = field(default_factory=Clouds)
    dispersion: tuple[float, float] = (0.0, 0.0)
    jitter: float = 0.0
    wobble: float = 0.0
    trails: tuple[NDArray[np.float64], ...] = ()
    ghosts: tuple[tuple[float, float, float, float], ...] = ()
    poor: bool = False
    colour_term: float = 0.0


@dataclass(frozen=True)
class Halo:
    """What bright stars leave around them: halo, spikes, mirrored ghosts; `above` in electrons."""

    above: float
    share: float
    spikes: float
    core: float
    reach: int
    angle: float
    ghost_above: float = float("inf")
    ghost_share: float = 2e-4
    ghost_radius: float = 38.0


@dataclass(frozen=True)
class World:
    """A telescope, a sky and the weather.

    Parameters
    ----------
    name : str
        Preset it was drawn from.
    shape : (int, int)
        (H, W) of the detector.
    scene : Scene
        In pixels of an undithered frame.
    detector : Detector
        The camera.
    epoch : callable
        rng -> Epoch, with the weather and pointing of one exposure.
    pixel_scale_arcsec, exposure_s : float
        Of the telescope.
    zero_point : float
        Magnitude of 1 electron per exposure.
    band : str
        Filter.
    halo : Halo or None
        Scattered light of bright stars.
    """

    name: str
    shape: tuple[int, int]
    scene: Scene
    detector: Detector
    epoch: Callable[[np.random.Generator], Epoch]
    pixel_scale_arcsec: float
    exposure_s: float
    zero_point: float
    band: str
    halo: Halo | None = None


@dataclass(frozen=True)
class Exposure:
    """One raw frame and what went into it.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        Whole ADU.
    x, y, flux : ndarray, shape (N,)
        Detector position and electrons of every star of the scene, as drawn.
    kernels : Kernels
        The PSF.
    noise : float
        Sigma of a blank pixel in the frame's middle, electrons.
    struck : ndarray of int
        Flat index of the pixels that cosmic rays struck.
    """

    pixels: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    kernels: Kernels
    noise: float
    struck: NDArray[np.int64]


def blank_noise(world: World, epoch: Epoch, depth: float = 1.0) -> float:
    """Return sigma of a blank pixel in the frame's middle, electrons."""
    d = world.detector
    variance = epoch.sky.level + d.read_noise**2 + d.row_noise**2 + d.quantum**2 / 12 + d.gain**2 / 12
    return float(np.sqrt(variance / depth))


def expose(
    world: World,
    epoch: Epoch,
    rng: np.random.Generator,
    *,
    kernels: Kernels | None = None,
    flux: NDArray[np.floating] | None = None,
    events: tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]] | None = None,
    depth: float = 1.0,
) -> Exposure:
    """Take one picture.

    Parameters
    ----------
    world, epoch : World, Epoch
        What to look at and how.
    rng : numpy.random.Generator
        The only randomness.
    kernels : Kernels or None
        Of `epoch.psf`, when they were made before.
    flux : ndarray, shape (N,), or None
        The stars' fluxes at this epoch through a clear sky; the scene's own by default.
    events : (x, y, flux) or None
        More point sources, on detector positions and with the electrons collected: neither
        distortion nor transparency is applied to them.
    depth : float
        Number of frames this one stands for; see `read_out`.
    """
    scene, shape, pointing = world.scene, world.shape, epoch.pointing
    kernels = make_kernels(epoch.psf, shape) if kernels is None else kernels
    noise = blank_noise(world, epoch, depth)
    image = np.zeros(shape, np.float32)
    ax, ay = epoch.dispersion
    x, y = pointing.to_detector(scene.x + ax * scene.colour, scene.y + ay * scene.colour)
    if epoch.wobble:
        x, y = x + rng.normal(0, epoch.wobble, len(x)), y + rng.normal(0, epoch.wobble, len(y))
    light = (scene.flux if flux is None else flux) * epoch.transparency * epoch.clouds.at(x, y)
    if epoch.colour_term:
        light = light * (1 + epoch.colour_term * scene.colour)
    if epoch.jitter:
        light = light * (1 + rng.normal(0, epoch.jitter, len(x)))
    floor = 0.03 * noise
    add_points(image, x, y, light, kernels, floor)
    if events is not None:
        # truth must be whole: full stamps
        add_points(image, *events, kernels, 1e-9, wings=False)
    galaxies = scene.galaxies
    if len(galaxies.x):
        gx, gy = pointing.to_detector(galaxies.x, galaxies.y)
        veil = epoch.transparency * epoch.clouds.at(gx, gy)
        add_galaxies(image, galaxies, gx, gy, galaxies.flux * veil, kernels)
    _scatter(image, world.halo, x, y, light, rng)
    for ghost in epoch.ghosts:
        add_ghost(image, *ghost)
    for rows in bands(shape[0]):
        band = image[rows]
        band += epoch.sky.rows(shape, rows)
        for trail in epoch.trails:
            piece = trail_rows(shape, rows, trail)
            if piece is not None:
                band[:, piece[0]] += piece[1]
        band *= world.detector.throughput(rows)
        np.clip(band, 0, None, out=band)
    struck: list[NDArray[np.int64]] = []
    pixels = read_out(image, world.detector, rng, depth, struck=struck)
    return Exposure(pixels, x, y, light, kernels, noise, np.concatenate(struck))


def _scatter(
    image: NDArray[np.float32],
    halo: Halo | None,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    light: NDArray[np.floating],
    rng: np.random.Generator,
) -> None:
    """Add halos and mirrored ghosts of bright stars in place."""
    if halo is None:
        return
    bright = light > halo.above
    add_halos(
        image, x[bright], y[bright], light[bright], share=halo.share, spikes=halo.spikes,
        core=halo.core, reach=halo.reach, angle=halo.angle,
    )  # fmt: skip
    height, width = image.shape
    for n in np.flatnonzero(light > halo.ghost_above):
        gx, gy = width - 1 - x[n] + rng.normal(0, 3), height - 1 - y[n] + rng.normal(0, 3)
        add_ghost(image, float(gx), float(gy), float(light[n]) * halo.ghost_share, halo.ghost_radius)
