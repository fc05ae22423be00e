"""One field that a survey comes back to: a reference made once, many epochs, known variables."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..frame import Frame
from ..reference import Reference, warp_reference
from .coadd import Coadd, make_coadd, sloppy, transform_of
from .detector import Detector
from .mini_sitian import mini_sitian
from .psf import make_kernels
from .reading import as_read
from .variables import Variables, draw_variables
from .world import Epoch, Exposure, World, blank_noise, expose

__all__ = ["Field", "Nuisance", "Observation", "draw_field", "observe"]

PAD = 24  # pixels around the frame that is kept, so that dithered members cover all of it


@dataclass(frozen=True)
class Nuisance:
    """What keeps a quiet star from vanishing in a difference image, beyond what a preset draws.

    Parameters
    ----------
    scatter : float
        Relative scatter of each star's flux in an epoch: flat field, scintillation, small clouds.
    scatter_poor : float
        The same in poor epochs.
    colour_term : float
        Scatter from epoch to epoch of the relative change of flux per unit of star colour.
    dispersion : float
        Scatter of the shift per unit of star colour, pixels per axis.
    crowding : (float, float)
        Density of stars, in units of the camera's mean field.
    cosmics : float
        Cosmic rays, in units of the camera's rate.
    hot : float
        Unstable hot pixels, share of all.
    """

    scatter: float = 0.011
    scatter_poor: float = 0.021
    colour_term: float = 0.008
    dispersion: float = 0.04
    crowding: tuple[float, float] = (2.0, 4.5)
    cosmics: float = 16.0
    hot: float = 7e-5

    def camera(self, detector: Detector, rng: np.random.Generator) -> Detector:
        """Return the detector with more of what makes work in it."""
        pixels = detector.shape[0] * detector.shape[1]
        wild = rng.integers(0, pixels, rng.poisson(self.hot * pixels))
        charge = rng.exponential(2000.0, len(wild)).astype(np.float32)
        hot = (np.concatenate([detector.hot[0], wild]), np.concatenate([detector.hot[1], charge]))
        return replace(detector, cosmic_rate=detector.cosmic_rate * self.cosmics, hot=hot)

    def on(self, epoch: Epoch, rng: np.random.Generator) -> Epoch:
        """Return the epoch with all that added."""
        dx, dy = rng.normal(0, self.dispersion, 2)
        scale = float(rng.lognormal(0.0, 0.35))
        return replace(
            epoch,
            jitter=scale * (self.scatter_poor if epoch.poor else self.scatter),
            colour_term=float(rng.normal(0, self.colour_term)),
            dispersion=(float(dx), float(dy)),
        )


@dataclass(frozen=True)
class Field:
    """A patch of sky with its reference and its known variables."""

    world: World
    coadd: Coadd
    variables: Variables
    size: int


@dataclass(frozen=True)
class Observation:
    """One epoch of a field, and what is true of it; positions are those of `science`.

    Parameters
    ----------
    science : Frame
        As the product reads it.
    reference : Reference
        On the grid of `science`, misregistered a little.
    epoch : Epoch
        Weather and pointing.
    shot : Exposure
        The raw frame, `PAD` pixels larger on every side.
    x, y : ndarray, shape (V,)
        Known variables.
    flux, snr : ndarray, shape (V,)
        Their change, e-, and S/N against blank sky.
    registration_px : float
        Error of the alignment, rms per axis.
    """

    science: Frame
    reference: Reference
    epoch: Epoch
    shot: Exposure
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    snr: NDArray[np.float64]
    registration_px: float


def draw_field(
    rng: np.random.Generator,
    *,
    size: int = 640,
    variables: int = 3,
    members: int = 9,
    nuisance: Nuisance | None = None,
) -> Field:
    """Draw a field of the preset "mini-sitian" and make its reference.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only randomness.
    size : int
        Side of the frames, pixels.
    variables : int
        Known variables and transients in it.
    members : int
        Frames of the reference.
    nuisance : Nuisance, optional
        What spoils the subtraction.

    Returns
    -------
    Field

    Raises
    ------
    FrameError
        Too few stars to measure the reference.
    """
    nuisance = nuisance or Nuisance()
    side = size + 2 * PAD
    quiet = mini_sitian(rng, (side, side), crowding=nuisance.crowding)

    def epoch(r: np.random.Generator) -> Epoch:
        return nuisance.on(quiet.epoch(r), r)

    world = replace(quiet, epoch=epoch, detector=nuisance.camera(quiet.detector, rng))
    typical = make_kernels(replace(epoch(rng).psf, fwhm=3.1, trail=0.0, donut=0.0), world.shape, 1)
    unit = float(np.sqrt(450.0 * typical.area(side / 2, side / 2)))  # e-; the sky of a middling night
    known = draw_variables(world, unit, variables, rng)
    nothing = np.zeros(0)
    coadd = make_coadd(world, rng, gone=lambda _: (nothing, nothing, nothing), depth=members)
    return Field(world, coadd, known, size)


def observe(field: Field, rng: np.random.Generator) -> Observation:
    """Take one epoch of a field."""
    world, known, size = field.world, field.variables, field.size
    epoch = world.epoch(rng)
    kernels = make_kernels(epoch.psf, world.shape)
    change = known.change(rng)
    star = known.star >= 0
    flux = world.scene.flux.copy()
    flux[known.star[star]] += change[star]
    px, py = epoch.pointing.to_detector(known.x, known.y)
    caught = change * epoch.transparency * epoch.clouds.at(px, py)
    shot = expose(world, epoch, rng, kernels=kernels, flux=flux, events=(px[~star], py[~star], caught[~star]))
    px[star], py[star] = shot.x[known.star[star]], shot.y[known.star[star]]
    area = np.array([kernels.area(a, b) for a, b in zip(px, py, strict=True)])
    snr = caught / (blank_noise(world, epoch) * np.sqrt(area)) if len(area) else area
    pixels = np.ascontiguousarray(shot.pixels[PAD : PAD + size, PAD : PAD + size])
    science = as_read(pixels, world, "science")
    wrong = float(rng.uniform(0.06, 0.25) if epoch.poor else abs(rng.normal(0.06, 0.03)))
    native = np.array([[1, 0, PAD], [0, 1, PAD], [0, 0, 1.0]])
    there = field.coadd.pointing.matrix() @ np.linalg.inv(epoch.pointing.matrix()) @ native
    transform = transform_of(there @ sloppy(rng, size, wrong, 1e-4))
    reference = warp_reference(field.coadd.reference, transform, science.shape)
    return Observation(science, reference, epoch, shot, px - PAD, py - PAD, caught, snr, wrong)
