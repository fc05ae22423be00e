"""What a camera does to electrons: noise, bad pixels, cosmic rays, saturation, digits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .optics import Vignette, bands

__all__ = ["Detector", "add_cosmic_rays", "read_out"]

_NONE: tuple[NDArray[np.int64], NDArray[np.float32]] = (np.empty(0, np.int64), np.empty(0, np.float32))
_TILE = 512  # pixels; the pixel response repeats, nobody sees it


@dataclass(frozen=True)
class Detector:
    """One camera; its defects stay where they are from frame to frame.

    Parameters
    ----------
    shape : (int, int)
        (H, W), pixels.
    gain : float
        Electrons per ADU.
    read_noise : float
        Electrons, of a usual pixel.
    bias : float
        ADU added on.
    ceiling : float
        ADU at which the converter clips (bias included).
    noisy, hot, dead : (index, value) arrays
        Flat pixel index with extra read noise (e-), extra charge (e-), or sensitivity (0..1).
    hot_jitter : float
        Relative scatter of the hot charge from frame to frame.
    unstable : float
        Share of the hot pixels that change their level in any one frame.
    columns : (index, value) arrays
        Column index with a constant offset (e-).
    response : ndarray of float32, shape (512, 512), or None
        That response minus one, repeated over the frame.
    vignette : Vignette
        Loss of light.
    cosmic_rate : float
        Mean number of hits per exposure.
    cosmic_charge : (float, float)
        Median (e-) and spread (dex) of their charge per pixel of path.
    nonlinearity : float
        Relative loss at saturation, quadratic in the level.
    bleeds : bool
        Whether a full pixel spills along its column (CCD) or just clips (CMOS).
    tail : (length, share)
        Charge left behind along a row by bright pixels, pixels and share; zero is none.
    tail_axis, tail_sign : int
        Direction of the tail.
    row_noise, row_length, row_axis : float, float, int
        Correlated noise of the rows: sigma (e-), correlation length (pixels), axis it runs along.
    quantum : float
        Extra coarse digitisation, e-; 0 is the converter's own.
    edge : (side, amplitude, length)
        Glow (e-) that decays from one side: 0 top, 1 bottom, 2 left, 3 right; amplitude 0 is none.
    """

    shape: tuple[int, int]
    gain: float
    read_noise: float
    bias: float
    ceiling: float
    noisy: tuple[NDArray[np.int64], NDArray[np.float32]] = _NONE
    hot: tuple[NDArray[np.int64], NDArray[np.float32]] = _NONE
    dead: tuple[NDArray[np.int64], NDArray[np.float32]] = _NONE
    hot_jitter: float = 0.05
    unstable: float = 0.0
    columns: tuple[NDArray[np.int64], NDArray[np.float32]] = _NONE
    response: NDArray[np.float32] | None = None
    vignette: Vignette = field(default_factory=Vignette)
    cosmic_rate: float = 0.0
    cosmic_charge: tuple[float, float] = (400.0, 0.35)
    nonlinearity: float = 0.0
    bleeds: bool = False
    tail: tuple[float, float] = (0.0, 0.0)
    tail_axis: int = 0
    tail_sign: int = 1
    row_noise: float = 0.0
    row_length: float = 10.0
    row_axis: int = 1
    quantum: float = 0.0
    edge: tuple[int, float, float] = (0, 0.0, 1.0)

    @property
    def well(self) -> float:
        """Electrons at which a pixel reads the ceiling."""
        return (self.ceiling - self.bias) * self.gain

    def throughput(self, rows: slice) -> NDArray[np.float32] | float:
        """Return vignetting times pixel response in a band of rows."""
        light = self.vignette.rows(self.shape, rows)
        if self.response is None:
            return light
        n = self.response.shape[0]
        y = np.arange(rows.start, rows.stop) % n
        wide = np.tile(self.response[y], (1, -(-self.shape[1] // n)))[:, : self.shape[1]]
        return np.asarray(light * (1 + wide), dtype=np.float32)


def add_cosmic_rays(
    image: NDArray[np.float32], hits: int, charge: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Add `hits` particles in place: straight tracks, wriggling ones, single pixels, small blobs.

    Returns the flat index of the pixels that were struck, of a blob its middle.

    The blobs (2-5 px) are charge that spread before it was collected; on an undersampled camera
    they are the hardest bogus of all.
    """
    height, width = image.shape
    struck: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for _ in range(hits):
        x, y = rng.uniform(3, width - 4), rng.uniform(3, height - 4)
        total = charge[0] * 10 ** rng.normal(0, charge[1])
        kind = rng.random()
        if kind < 0.45:
            struck.append(np.array([int(y) * width + int(x)]))
        if kind < 0.15:
            image[int(y), int(x)] += total
        elif kind < 0.45:
            sigma = rng.uniform(0.3, 0.9) * rng.uniform(0.7, 1.4, 2)
            gy, gx = np.arange(int(y) - 2, int(y) + 3), np.arange(int(x) - 2, int(x) + 3)
            blob = np.exp(-0.5 * (((gy - y) / sigma[0])[:, None] ** 2 + ((gx - x) / sigma[1])[None] ** 2))
            image[gy[0] : gy[-1] + 1, gx[0] : gx[-1] + 1] += (blob * (total / blob.sum())).astype(np.float32)
        else:
            length = min(40, int(rng.exponential(4)) + 1)
            turn = 0.04 if rng.random() < 0.5 else 0.45
            angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, turn, 2 * length))
            px = (x + 0.5 * np.cumsum(np.cos(angle))).astype(int)
            py = (y + 0.5 * np.cumsum(np.sin(angle))).astype(int)
            ok = (px >= 0) & (py >= 0) & (px < width) & (py < height)
            step = (total / 2 * rng.uniform(0.5, 1.5, 2 * length)).astype(np.float32)
            np.add.at(image, (py[ok], px[ok]), step[ok])
            struck.append(py[ok] * width + px[ok])
    return np.concatenate(struck)


def _spill(image: NDArray[np.float32], well: float) -> None:
    """Let the charge above `well` run up and down its column, in place."""
    for column in np.flatnonzero((image > well).any(0)):
        line = image[:, column]
        full = np.flatnonzero(line > well)
        for run in np.split(full, np.flatnonzero(np.diff(full) > 1) + 1):
            extra = float(np.sum(line[run] - well) / well)
            reach = int(min(80, np.ceil(extra / 2)))
            a, b = max(0, run[0] - reach), min(len(line), run[-1] + reach + 1)
            line[a:b] = np.maximum(line[a:b], well)


def _defects(image: NDArray[np.float32], detector: Detector, rng: np.random.Generator) -> None:
    """Add hot pixels, columns and dead pixels in place."""
    flat = image.reshape(-1)
    where, charge = detector.dead
    flat[where] *= charge
    where, charge = detector.hot
    level = 1 + detector.hot_jitter * rng.standard_normal(len(where))
    moved = rng.random(len(where)) < detector.unstable
    level = np.where(moved, rng.uniform(0, 1.5, len(where)), level)
    np.add.at(flat, where, (charge * level).astype(np.float32))
    where, charge = detector.columns
    image[:, where] += charge[None]
    side, amplitude, length = detector.edge
    if amplitude:
        reach = int(8 * length) + 1
        glow = (amplitude * np.exp(-np.arange(reach) / length)).astype(np.float32)
        if side < 2:
            view = image[:reach] if side == 0 else image[::-1][:reach]
            view += glow[: len(view), None]
        else:
            view = image[:, :reach] if side == 2 else image[:, ::-1][:, :reach]
            view += glow[None, : view.shape[1]]


def _row_noise(detector: Detector, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return noise that is alike along rows (or columns), e-."""
    height, width = detector.shape if detector.row_axis == 1 else detector.shape[::-1]
    offset = rng.standard_normal((height, 1)) * 0.5
    wave = ndimage.gaussian_filter1d(
        rng.standard_normal((height, width), dtype=np.float32), detector.row_length, axis=1
    )
    rows = offset + wave * (2.0 / max(float(wave.std()), 1e-6))
    rows = (rows * (detector.row_noise / max(float(rows.std()), 1e-6))).astype(np.float32)
    return np.asarray(rows if detector.row_axis == 1 else rows.T)


def read_out(
    image: NDArray[np.float32],
    detector: Detector,
    rng: np.random.Generator,
    depth: float = 1.0,
    *,
    struck: list[NDArray[np.int64]] | None = None,
) -> NDArray[np.float32]:
    """Turn collected light (e-, sky and throughput included) into ADU; `image` is used up.

    Photon noise is drawn as a Gaussian of the same variance, which above 20 electrons nobody can
    tell from Poisson's.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Expected electrons.
    detector : Detector
        The camera.
    rng : numpy.random.Generator
        The only randomness.
    depth : float
        Number of frames that this one stands for: the noise variance is divided by it.
    struck : list, optional
        Receives the flat index of the pixels that cosmic rays struck: the truth of this readout.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Whole ADU, never above `detector.ceiling`; not below zero either.

    Examples
    --------
    >>> camera = Detector((50, 50), gain=2.0, read_noise=5.0, bias=100.0, ceiling=65535.0)
    >>> adu = read_out(np.full((50, 50), 1000.0, np.float32), camera, np.random.default_rng(0))
    >>> bool(abs(adu.mean() - 600) < 2), bool(abs(adu.std() - (1025**0.5) / 2) < 1)
    (True, True)
    """
    _defects(image, detector, rng)
    hits = int(rng.poisson(detector.cosmic_rate)) if detector.cosmic_rate else 0
    tracks = add_cosmic_rays(image, hits, detector.cosmic_charge, rng)
    if struck is not None:
        struck.append(tracks)
    width = detector.shape[1]
    index, extra = detector.noisy
    order = np.argsort(index)
    index, extra = index[order], extra[order]
    for rows in bands(detector.shape[0]):
        band = image[rows]
        variance = np.clip(band, 0, None)
        variance += np.float32(detector.read_noise**2)
        a, b = np.searchsorted(index, [rows.start * width, rows.stop * width])
        variance.reshape(-1)[index[a:b] - rows.start * width] += extra[a:b] ** 2
        variance *= np.float32(1 / depth)
        band += np.sqrt(variance) * rng.standard_normal(band.shape, dtype=np.float32)
    if detector.row_noise:
        image += _row_noise(detector, rng) / np.float32(np.sqrt(depth))
    well = detector.well
    if detector.tail[1]:
        _leave_tail(image, detector)
    if detector.nonlinearity:
        image *= 1 - detector.nonlinearity * np.clip(image / well, 0, 1.5) ** 2
    if detector.bleeds:
        _spill(image, well)
    if detector.quantum:
        np.rint(image / detector.quantum, out=image)
        image *= np.float32(detector.quantum)
    image *= np.float32(1 / detector.gain)
    image += np.float32(detector.bias)
    np.rint(image, out=image)
    return np.clip(image, 0, detector.ceiling, out=image)


def _leave_tail(image: NDArray[np.float32], detector: Detector) -> None:
    """Add what bright pixels leave behind along their row or column, in place."""
    length, share = detector.tail
    well = detector.well
    view = image if detector.tail_axis == 1 else image.T
    lines = np.flatnonzero((view > 0.7 * well).any(1))
    if not len(lines):
        return
    bright = np.where(view[lines] > 0.7 * well, np.minimum(view[lines], 3 * well), 0)
    reach = np.zeros(2 * int(6 * length) + 1, np.float32)
    middle = int(6 * length)
    reach[middle + 1 :] = share * np.exp(-np.arange(1, middle + 1) / length)
    view[lines] += ndimage.convolve1d(bright, reach[:: detector.tail_sign], axis=1, mode="constant")
