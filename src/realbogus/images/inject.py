"""Synthetic sources added to real frames: the truth that needs no sky to repeat itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from .frame import NODATA, SATURATED, Frame
from .measure import Measurement

__all__ = ["KINDS", "inject", "noise_equivalent_area", "shifted_psf"]

#: Places a source can be put: blank sky, on a star (variability), beside a galaxy.
KINDS = ("open", "star", "galaxy")

_TRIES = 60  # draws per wanted source before a crowded frame is given up on


def noise_equivalent_area(psf: NDArray[np.floating]) -> float:
    """Return N_eff = 1 / sum(P^2) in pixels of a unit-sum PSF.

    Examples
    --------
    >>> noise_equivalent_area(np.full((2, 2), 0.25))
    4.0
    """
    return float(1.0 / np.sum(np.asarray(psf, dtype=np.float64) ** 2))


def shifted_psf(psf: NDArray[np.floating], dx: float, dy: float) -> NDArray[np.float64]:
    """Return the PSF moved by a part of a pixel: unit sum, nowhere negative.

    Cubic spline interpolation keeps the shape of an undersampled PSF better than linear
    does; it rings below zero beside a sharp core, so the result is clipped at zero and
    brought back to unit sum.

    Parameters
    ----------
    psf : ndarray, shape (P, P), P odd
        Unit sum, centred on the middle pixel.
    dx, dy : float
        Shift along x and y, pixels; at most 0.5 in size for a whole PSF.

    Returns
    -------
    ndarray of float64, shape (P + 2, P + 2)
        One pixel wider on each side, so that the shift loses nothing.

    Examples
    --------
    >>> star = shifted_psf(np.ones((3, 3)) / 9, 0.25, 0.0)
    >>> star.shape, round(float(star.sum()), 6)
    ((5, 5), 1.0)
    """
    wide = np.pad(np.asarray(psf, dtype=np.float64), 1)
    moved = np.clip(ndimage.shift(wide, (dy, dx), order=3, mode="constant", cval=0.0), 0.0, None)
    return np.asarray(moved / moved.sum())


def _fluxes(
    n: int,
    rng: np.random.Generator,
    snr: tuple[float, float] | None,
    mag: tuple[float, float] | None,
    zero_point: float | None,
    unit: float,
) -> NDArray[np.float64]:
    """Draw `n` fluxes in ADU; `unit` is the flux of S/N 1."""
    if mag is not None:
        if zero_point is None:
            raise InputError(f"mag={mag} needs zero_point, the magnitude of 1 ADU in this frame; got None")
        low, high = sorted(mag)
        return np.asarray(10 ** (0.4 * (zero_point - rng.uniform(low, high, n))))
    if snr is None:
        raise InputError("neither snr nor mag was given: pass a (low, high) range of one of them")
    low, high = snr
    if not 0 < low <= high:
        raise InputError(f"snr={snr}: expected 0 < low <= high")
    return np.asarray(unit * np.exp(rng.uniform(np.log(low), np.log(high), n)))


def _quiet_stars(frame: Frame, measurement: Measurement) -> NDArray[np.float64]:
    """Return x, y of stars whose core is neither masked nor near saturation."""
    stars = measurement.stars[:, :2]
    height, width = frame.shape
    inside = (stars >= 1).all(1) & (stars[:, 0] < width - 1) & (stars[:, 1] < height - 1)
    stars = stars[inside]
    xi, yi = np.rint(stars).astype(int).T
    high = frame.pixels[yi, xi] > measurement.sky + 0.7 * (frame.saturation - measurement.sky)
    masked = ndimage.maximum_filter(frame.unusable, 5)[yi, xi]
    return np.asarray(stars[~(high | masked)])


class _Places:
    """Draws positions of each kind over the allowed pixels."""

    def __init__(
        self,
        frame: Frame,
        measurement: Measurement,
        rng: np.random.Generator,
        allowed: NDArray[np.bool_] | None,
        galaxies: NDArray[np.floating] | None,
    ) -> None:
        edge = max(8.0, 3 * measurement.fwhm)
        height, width = frame.shape
        self.box = (edge, width - 1 - edge, edge, height - 1 - edge)
        open_pixels = ~frame.unusable
        if allowed is not None:
            if allowed.shape != frame.shape:
                raise InputError(f"allowed has shape {allowed.shape}, expected that of {frame.name}, {frame.shape}")
            open_pixels &= np.asarray(allowed, dtype=bool)
        margin = int(np.ceil(edge))
        inner = np.zeros_like(open_pixels)
        inner[margin : height - margin, margin : width - margin] = True
        self.rng, self.width, self.spread = rng, width, 1.5 * measurement.fwhm
        self.open_pixels = open_pixels & inner
        # where little is allowed, aim; else draw and reject, which needs no list of pixels
        share = float(self.open_pixels.mean())
        self.flat = np.flatnonzero(self.open_pixels) if share < 0.3 else None
        self.empty = share == 0
        self.stars = _quiet_stars(frame, measurement)
        self.galaxies = np.empty((0, 2)) if galaxies is None else np.asarray(galaxies, float).reshape(-1, 2)

    def _inside(self, x: float, y: float) -> bool:
        x0, x1, y0, y1 = self.box
        return x0 <= x <= x1 and y0 <= y <= y1 and bool(self.open_pixels[round(y), round(x)])

    def draw(self, kind: str) -> tuple[float, float, str] | None:
        """Return x, y and the kind it became, or None when this draw fell outside."""
        rng = self.rng
        if kind == "star" and len(self.stars):
            x, y = self.stars[rng.integers(len(self.stars))]
        elif kind == "galaxy" and len(self.galaxies):
            x, y = self.galaxies[rng.integers(len(self.galaxies)), :2] + rng.normal(0, self.spread, 2)
        else:
            kind = "open"
            if self.flat is None:
                x, y = rng.uniform(self.box[0], self.box[1]), rng.uniform(self.box[2], self.box[3])
            else:
                pixel = self.flat[rng.integers(len(self.flat))]
                x, y = np.array([pixel % self.width, pixel // self.width]) + rng.uniform(-0.5, 0.5, 2)
        return (float(x), float(y), kind) if self._inside(x, y) else None


def inject(
    frame: Frame,
    measurement: Measurement,
    n: int,
    *,
    rng: np.random.Generator,
    snr: tuple[float, float] | None = (5.0, 50.0),
    mag: tuple[float, float] | None = None,
    zero_point: float | None = None,
    allowed: NDArray[np.bool_] | None = None,
    kinds: Mapping[str, float] | None = None,
    galaxies: NDArray[np.floating] | None = None,
) -> tuple[Frame, Table]:
    """Add point sources with the frame's own PSF and their own photon noise.

    S/N := flux / (measurement.noise * sqrt(N_eff)), N_eff = 1 / sum(psf^2). Sources stay
    max(8, 3 FWHM) pixels from the edges and max(10, 4 FWHM) from each other. Pixels that
    pass the saturation level are clipped and marked `SATURATED`.

    Parameters
    ----------
    frame : Frame
        Left as it is; a changed copy is returned.
    measurement : Measurement
        Of that frame: `noise`, `fwhm`, `psf` and, for kind "star", `stars` are used.
    n : int
        Sources wanted.
    rng : numpy.random.Generator
        The only randomness.
    snr : (low, high) or None
        S/N drawn log-uniform; not used when `mag` is given.
    mag : (bright, faint) or None
        Magnitudes drawn uniform; needs `zero_point`.
    zero_point : float or None
        Magnitude of a source of 1 ADU (whole exposure) in this frame.
    allowed : ndarray of bool, shape (H, W), or None
        True where a source's centre may lie; masked pixels are never used.
    kinds : mapping of str to float, or None
        Weights of "open" (uniform over the allowed pixels, so beside stars by chance), "star"
        (exactly on an unsaturated star: variability) and "galaxy" (beside one of `galaxies`).
        None means {"open": 1.0}. A kind with nothing to sit on becomes "open".
    galaxies : ndarray, shape (M, 2) or more columns, or None
        x, y of extended sources.

    Returns
    -------
    frame : Frame
        With the sources; the name is kept.
    truth : astropy.table.Table
        Columns x, y, flux (ADU), snr, mag (NaN without `zero_point`), kind. Shorter than `n`
        where the frame lacks the space.

    Raises
    ------
    InputError
        An impossible range, an unknown kind, a mask of another shape, or a frame without gain.

    Examples
    --------
    >>> g = np.exp(-0.5 * (np.mgrid[-7:8, -7:8] ** 2).sum(0) / 1.5**2)
    >>> psf = (g / g.sum()).astype(np.float32)
    >>> sky = Frame("sky", np.full((200, 200), 100.0, np.float32), np.zeros((200, 200), np.uint8))
    >>> m = Measurement(100.0, 5.0, 3.5, 0.0, psf, np.empty((0, 3)))
    >>> changed, truth = inject(sky, m, 5, rng=np.random.default_rng(1), snr=(20, 50))
    >>> len(truth), truth.colnames
    (5, ['x', 'y', 'flux', 'snr', 'mag', 'kind'])
    """
    weights = {"open": 1.0} if kinds is None else dict(kinds)
    unknown = sorted(set(weights) - set(KINDS))
    if unknown:
        raise InputError(f"unknown kind of place {unknown}: known are {', '.join(KINDS)}")
    share = np.array(list(weights.values()), dtype=float)
    if n < 0 or not len(share) or (share < 0).any() or share.sum() <= 0:
        raise InputError(f"n={n}, kinds={weights}: expected n >= 0 and weights >= 0 with a positive sum")
    if not frame.gain > 0:
        raise InputError(f"{frame.name} has gain {frame.gain} e/ADU, it must be above zero: sources have photon noise")
    places = _Places(frame, measurement, rng, allowed, galaxies)
    wanted = rng.choice(list(weights), n, p=share / share.sum())
    unit = measurement.noise * np.sqrt(noise_equivalent_area(measurement.psf))
    flux = _fluxes(n, rng, snr, mag, zero_point, unit)

    apart2 = max(10.0, 4 * measurement.fwhm) ** 2
    found = np.empty((0, 2))
    kept: list[str] = []
    for kind in wanted if not places.empty else []:
        for _ in range(_TRIES):
            place = places.draw(str(kind))
            if place is None or (((found - place[:2]) ** 2).sum(1) < apart2).any():
                continue
            found = np.vstack([found, place[:2]])
            kept.append(place[2])
            break
    flux = flux[: len(found)]

    pixels = frame.pixels.astype(np.float32, copy=True)
    mask = frame.mask.copy()
    for (x, y), f in zip(found, flux, strict=True):
        _add(pixels, mask, frame, measurement.psf, x, y, f, rng)
    magnitudes = np.full(len(flux), np.nan) if zero_point is None else zero_point - 2.5 * np.log10(flux)
    columns = [found[:, 0], found[:, 1], flux, flux / unit, magnitudes, np.array(kept, dtype="U6")]
    return frame.with_pixels(pixels, mask), Table(columns, names=["x", "y", "flux", "snr", "mag", "kind"])


def _add(
    pixels: NDArray[np.float32],
    mask: NDArray[np.uint8],
    frame: Frame,
    psf: NDArray[np.float32],
    x: float,
    y: float,
    flux: float,
    rng: np.random.Generator,
) -> None:
    """Add one source in place, with its photon noise, and mark what it saturates."""
    xi, yi = round(x), round(y)
    star = shifted_psf(psf, x - xi, y - yi) * flux
    star = rng.poisson(star * frame.gain) / frame.gain
    half = star.shape[0] // 2
    height, width = frame.shape
    y0, y1 = max(0, yi - half), min(height, yi + half + 1)
    x0, x1 = max(0, xi - half), min(width, xi + half + 1)
    here = np.s_[y0:y1, x0:x1]
    part = star[y0 - yi + half : y1 - yi + half, x0 - xi + half : x1 - xi + half]
    part = np.where((frame.mask[here] & (NODATA | SATURATED)) != 0, 0.0, part)
    full = pixels[here] + part
    mask[here] |= np.where((full >= frame.saturation) & (part > 0), SATURATED, 0).astype(np.uint8)
    pixels[here] = np.where(part > 0, np.minimum(full, frame.saturation), pixels[here])
