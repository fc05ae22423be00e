"""A whole simulated night on disk: frames as a telescope leaves them, and the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.time import Time
from astropy.wcs import WCS
from numpy.typing import NDArray

from ...errors import InputError, OutputError
from .changes import Changes, draw_changes
from .optics import Pointing
from .presets import PRESETS, Preset
from .psf import make_kernels
from .world import Epoch, Exposure, World, blank_noise, expose

__all__ = ["simulate_night"]

_OVERHEAD_S = 10.0
_WCS_ERROR = 0.08  # pixels: the astrometric residual of a real pipeline
_MIN_SNR = 1.0


def simulate_night(
    out: Path | str,
    *,
    preset: str | Preset = "mini-sitian",
    frames: int = 10,
    size: tuple[int, int] = (1024, 1024),
    seed: int = 0,
    changes_per_mpix: float = 12.0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a night of raw, unaligned frames of one field, with the truth beside them.

    All frames show one scene under changing seeing, sky and transparency (for "mini-sitian"
    35 % are poor), shifted against each other by up to 20 px. Variables change from frame to
    frame; transients rise in the last 40 % of the night or show in one frame only; asteroids
    move on: so a clipped reference made of the night itself is meaningful. Frames are
    dark-subtracted but not divided by a flat.

    Parameters
    ----------
    out : Path or str
        New folder: `frames/*.fits` (uint16), `truth.ecsv`, `variables.csv`, `asteroids.csv`, `simulation.json`.
    preset : str or callable
        "mini-sitian", "varied" (another telescope for every seed), or a function that draws a World.
    frames : int
        Number of exposures.
    size : (int, int)
        (H, W) in pixels; the whole Mini-SiTian camera is (6388, 9576).
    seed : int
        The same seed gives the same night, byte by byte.
    changes_per_mpix : float
        Variables, transients and asteroids per million pixels, a few at least.
    progress : callable or None
        Called with (frames done, frames in all) after each frame.

    Returns
    -------
    Path
        `out`. `truth.ecsv` has one row per frame and change inside it with abs(S/N) >= 1: frame, x, y
        (0-based pixels of that frame), ra, dec (deg), mag, flux (ADU above the source's mean over
        the night; negative for a variable below it), snr, kind (variable, transient, asteroid), id. What an astronomer
        knows beforehand stands in `variables.csv` (name, ra, dec) and, as predictions for the middle of each exposure,
        in `asteroids.csv` (name, ra, dec, mjd).

    Raises
    ------
    UnknownNameError
        No such preset.
    InputError
        Impossible numbers.
    OutputError
        The folder holds frames already or cannot be written.
    """
    height, width = (int(v) for v in size)
    if frames < 1 or min(height, width) < 128:
        raise InputError(f"frames={frames}, size={size}: expected at least 1 frame of 128 x 128 pixels")
    draw = PRESETS.resolve(preset)
    out = Path(out)
    folder = out / "frames"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty: choose a new folder, nights are never mixed")
    except FileExistsError as error:
        raise OutputError(f"{out} cannot hold a night: {error}") from error
    rng = np.random.default_rng(seed)
    world = draw(rng, (height, width))
    epochs = [_dithered(world.epoch(rng), rng, min(20.0, min(height, width) / 32)) for _ in range(frames)]
    cadence = world.exposure_s + _OVERHEAD_S
    unit = _unit(world, epochs)
    changes = draw_changes(world, rng, frames, cadence, unit, changes_per_mpix)
    start = 60676.5 + float(rng.uniform(0, 0.1))
    sky = _scene_wcs(world, rng)
    truths: list[Table] = []
    settings: list[dict[str, Any]] = []
    times: dict[str, float] = {}
    for k, (epoch, own) in enumerate(zip(epochs, rng.spawn(frames), strict=True)):
        name = f"{world.name}_{k:04d}.fits"
        kernels = make_kernels(epoch.psf, world.shape, cells=6 if width < 2000 else 12)
        flux, points = changes.star_flux(world, k), changes.points(k, epoch)
        shot = expose(world, epoch, own, kernels=kernels, flux=flux, events=points)
        mjd = start + k * cadence / 86400
        header = _header(world, epoch, mjd, own, sky)
        fits.PrimaryHDU(shot.pixels.astype(np.uint16), header).writeto(folder / name)
        truths.append(_truth(world, epoch, changes, shot, k, name, sky))
        times[name] = mjd + world.exposure_s / 2 / 86400
        settings.append(_facts(epoch, shot, name))
        if progress is not None:
            progress(k + 1, frames)
    truth = vstack(truths)
    truth.write(out / "truth.ecsv", format="ascii.ecsv")
    _write_known(out, truth, times)
    record = {
        "preset": world.name, "frames": frames, "size": [height, width], "seed": seed,
        "changes_per_mpix": changes_per_mpix, "pixel_scale_arcsec": world.pixel_scale_arcsec,
        "exposure_s": world.exposure_s, "gain": world.detector.gain, "read_noise": world.detector.read_noise,
        "saturation": world.detector.ceiling, "band": world.band, "zero_point_1e": world.zero_point,
        "exposures": settings,
    }  # fmt: skip
    (out / "simulation.json").write_text(json.dumps(record, indent=1) + "\n")
    return out


def _write_known(out: Path, truth: Table, times: Mapping[str, float]) -> None:
    """Write the catalogues that an observatory has: the known variables, and where asteroids are predicted."""
    variables = truth[truth["kind"] == "variable"]
    _, first = np.unique(variables["id"], return_index=True)
    stars = variables[np.sort(first)]
    table = Table({"name": [f"V{number}" for number in stars["id"]], "ra": stars["ra"], "dec": stars["dec"]})
    table.write(out / "variables.csv", format="ascii.csv")
    moving = truth[truth["kind"] == "asteroid"]
    table = Table({"name": [f"A{number}" for number in moving["id"]], "ra": moving["ra"], "dec": moving["dec"]})
    table["mjd"] = [round(times[name], 6) for name in moving["frame"]]
    table.write(out / "asteroids.csv", format="ascii.csv")


def _dithered(epoch: Epoch, rng: np.random.Generator, reach: float) -> Epoch:
    """Return the epoch with a telescope's own loose pointing."""
    dx, dy = rng.uniform(-reach, reach, 2)
    turn = float(np.deg2rad(rng.normal(0, 0.02)))
    return replace(epoch, pointing=replace(epoch.pointing, dx=float(dx), dy=float(dy), rotation=turn))


def _unit(world: World, epochs: list[Epoch]) -> float:
    """Return the flux of S/N 1 in the middling frame, e- through a clear sky."""
    middle = (world.shape[1] / 2, world.shape[0] / 2)
    each = [
        blank_noise(world, e) * np.sqrt(make_kernels(e.psf, world.shape, 1).area(*middle)) / e.transparency
        for e in epochs[:9]
    ]
    return float(np.median(each))


def _scene_wcs(world: World, rng: np.random.Generator) -> WCS:
    """Return the true WCS of the scene's own grid: TAN, north up, east left."""
    ra, dec = float(rng.uniform(0, 360)), float(rng.uniform(-30, 60))
    return _wcs(world, Pointing(world.shape), ra, dec, 0.0, 0.0)


def _wcs(world: World, pointing: Pointing, ra: float, dec: float, ex: float, ey: float) -> WCS:
    """Return the TAN WCS of a frame, off by (ex, ey) pixels."""
    c, s = np.cos(pointing.rotation), np.sin(pointing.rotation)
    step = world.pixel_scale_arcsec / 3600
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [pointing.middle[0] + pointing.dx + ex + 1, pointing.middle[1] + pointing.dy + ey + 1]
    wcs.wcs.cd = np.array([[-step, 0], [0, step]]) @ np.array([[c, s], [-s, c]])
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    return wcs


def _header(world: World, epoch: Epoch, mjd: float, rng: np.random.Generator, sky: WCS) -> fits.Header:
    """Return what the camera's software writes: facts of the instrument, and a WCS off by a little."""
    detector = world.detector
    ex, ey = rng.normal(0, _WCS_ERROR, 2)
    ra, dec = (float(v) for v in sky.wcs.crval)
    header = _wcs(world, epoch.pointing, ra, dec, ex, ey).to_header()
    cards: list[tuple[str, Any, str]] = [
        ("OBJECT", "SIMULATED", "no real sky"),
        ("TELESCOP", world.name, "simulation preset"),
        ("EGAIN", round(detector.gain, 6), "[e/ADU]"),
        ("GAIN", round(detector.gain, 6), "[e/ADU]"),
        ("RDNOISE", round(detector.read_noise, 3), "[e]"),
        ("SATURATE", detector.ceiling, "[ADU]"),
        ("PEDESTAL", detector.bias, "[ADU]"),
        ("EXPTIME", world.exposure_s, "[s]"),
        ("DATE-OBS", Time(mjd, format="mjd", scale="utc").isot, "start of exposure, UTC"),
        ("MJD-OBS", round(mjd, 8), "start of exposure"),
        ("FILTER", world.band, ""),
        ("PIXSCALE", round(world.pixel_scale_arcsec, 4), "[arcsec/pixel]"),
    ]
    for key, value, comment in cards:
        header[key] = (value, comment)
    return header


def _truth(world: World, epoch: Epoch, changes: Changes, shot: Exposure, k: int, name: str, sky: WCS) -> Table:
    """Return the rows of one frame."""
    there = np.flatnonzero(changes.flux[:, k] > 0)
    px, py = epoch.pointing.to_detector(changes.x[there, k], changes.y[there, k])
    scene = world.scene
    x, y = np.append(shot.x[changes.star], px), np.append(shot.y[changes.star], py)
    clear = np.append(changes.variation[:, k], changes.flux[there, k])
    u, v = 2 * x / (world.shape[1] - 1) - 1, 2 * y / (world.shape[0] - 1) - 1
    caught = clear * epoch.transparency * epoch.clouds.at(x, y) * world.detector.vignette.light(u, v)
    area = np.array([shot.kernels.area(a, b) for a, b in zip(x, y, strict=True)])
    snr = caught / (shot.noise * np.sqrt(area))
    ra, dec = sky.all_pix2world(
        np.append(scene.x[changes.star], changes.x[there, k]),
        np.append(scene.y[changes.star], changes.y[there, k]), 0,
    )  # fmt: skip
    kinds = np.append(np.full(len(changes.star), "variable"), changes.kind[there])
    ids = np.append(np.arange(len(changes.star)), len(changes.star) + there)
    whole = np.append(scene.flux[changes.star] + changes.variation[:, k], changes.flux[there, k])
    magnitude = world.zero_point - 2.5 * np.log10(np.maximum(whole, 1e-9))
    height, width = world.shape
    keep = (x > 4) & (y > 4) & (x < width - 5) & (y < height - 5) & (np.abs(snr) >= _MIN_SNR)
    columns: list[NDArray[Any]] = [
        np.full(len(x), name), x, y, ra, dec, magnitude, caught / world.detector.gain, snr, kinds, ids
    ]  # fmt: skip
    names = ["frame", "x", "y", "ra", "dec", "mag", "flux", "snr", "kind", "id"]
    return Table([column[keep] for column in columns], names=names)


def _facts(epoch: Epoch, shot: Exposure, name: str) -> dict[str, Any]:
    """Return one exposure's settings for `simulation.json`."""
    return {
        "frame": name,
        "psf_fwhm_px": epoch.psf.fwhm,
        "trail_px": epoch.psf.trail,
        "donut_px": epoch.psf.donut,
        "transparency": epoch.transparency,
        "clouds": epoch.clouds.amount,
        "sky_e": epoch.sky.level,
        "noise_e": shot.noise,
        "dx": epoch.pointing.dx,
        "dy": epoch.pointing.dy,
        "rotation": epoch.pointing.rotation,
        "satellites": len(epoch.trails),
        "poor": epoch.poor,
    }
