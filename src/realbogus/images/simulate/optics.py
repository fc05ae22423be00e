"""What air and glass do to light: pointing, clouds, sky, halos, ghosts, trails, vignetting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clouds", "Pointing", "Sky", "Vignette", "add_ghost", "add_halos", "bands", "trail_rows"]


def bands(height: int, rows: int = 256) -> Iterator[slice]:
    """Yield slices of rows that cover an image: whole-frame arrays are dear at 60 Mpix.

    Examples
    --------
    >>> list(bands(300))
    [slice(0, 256, None), slice(256, 300, None)]
    """
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


@dataclass(frozen=True)
class Pointing:
    """Where the scene falls on the detector: a rotation about the middle, a shift, cubic distortion.

    Parameters
    ----------
    shape : (int, int)
        (H, W) of the detector; the scene's middle is that of the detector.
    dx, dy : float
        Shift, pixels.
    rotation : float
        Radians.
    cubic : float
        Radial distortion at the frame's edge, pixels.
    """

    shape: tuple[int, int]
    dx: float = 0.0
    dy: float = 0.0
    rotation: float = 0.0
    cubic: float = 0.0

    @property
    def middle(self) -> tuple[float, float]:
        """(x, y) of the frame's middle."""
        return (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2

    def matrix(self) -> NDArray[np.float64]:
        """Return the 3x3 homogeneous matrix scene (x, y, 1) -> detector, without distortion."""
        c, s = np.cos(self.rotation), np.sin(self.rotation)
        mx, my = self.middle
        return np.array(
            [[c, -s, mx + self.dx - c * mx + s * my], [s, c, my + self.dy - s * mx - c * my], [0.0, 0.0, 1.0]]
        )

    def to_detector(
        self, x: NDArray[np.floating], y: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return detector positions of scene positions.

        Examples
        --------
        >>> Pointing((100, 100), dx=2.0).to_detector(np.array([10.0]), np.array([20.0]))
        (array([12.]), array([20.]))
        """
        m = self.matrix()
        px = m[0, 0] * x + m[0, 1] * y + m[0, 2]
        py = m[1, 0] * x + m[1, 1] * y + m[1, 2]
        if self.cubic:
            mx, my = self.middle
            half = max(mx, my)
            u, v = (px - mx) / half, (py - my) / half
            bend = self.cubic * (u * u + v * v)
            px, py = px + bend * u, py + bend * v
        return px, py


@dataclass(frozen=True)
class Clouds:
    """Uneven transparency: waves of relative amplitude `amount` over the frame."""

    amount: float = 0.0
    period: tuple[float, float] = (300.0, 300.0)
    phase: tuple[float, float] = (0.0, 0.0)

    def at(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the factor on the flux at these positions."""
        wave_x = np.sin(x / self.period[0] + self.phase[0])
        return np.asarray(1 + self.amount * wave_x * np.cos(y / self.period[1] + self.phase[1]))


@dataclass(frozen=True)
class Sky:
    """Sky brightness: level (e-/pixel), slopes per unit u and v, mottling and ripples (e-).

    `mottle` is a coarse grid that is spread over the frame, `ripple` holds amplitude and the
    wave numbers in u and v (fringes).
    """

    level: float
    slope: tuple[float, float] = (0.0, 0.0)
    mottle: NDArray[np.float32] | None = None
    ripple: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def rows(self, shape: tuple[int, int], rows: slice) -> NDArray[np.float32]:
        """Return the sky in a band of rows, e-."""
        height, width = shape
        u = np.linspace(-1, 1, width, dtype=np.float32)[None]
        v = np.linspace(-1, 1, height, dtype=np.float32)[rows, None]
        sky = self.level * (1 + self.slope[0] * u + self.slope[1] * v)
        if self.ripple[0]:
            sky = sky + self.ripple[0] * np.sin(self.ripple[1] * u + self.ripple[2] * v)
        if self.mottle is not None:
            n = len(self.mottle)
            sky = sky + _spread(v[:, 0], n) @ self.mottle @ _spread(u[0], n).T
        return np.asarray(np.broadcast_to(sky, (v.shape[0], width)), dtype=np.float32)


def _spread(t: NDArray[np.float32], nodes: int) -> NDArray[np.float32]:
    """Return smooth weights, shape (len(t), nodes), of a coarse grid from -1 to 1 at places t."""
    at = (t[:, None] + 1) / 2 * (nodes - 1)
    weight = np.exp(-0.5 * ((at - np.arange(nodes)) / 0.6) ** 2)
    return np.asarray(weight / weight.sum(1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class Vignette:
    """Loss of light: `smooth` per axis at the edge, or a hard rim of depth `rim` around a circle."""

    smooth: float = 0.0
    rim: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.1

    def light(self, u: NDArray[np.floating], v: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the transmission at places from -1 to 1 across the frame."""
        light = 1 - self.smooth * (u * u + v * v)
        if self.rim:
            r = np.hypot(u - self.centre[0], v - self.centre[1]) / self.radius
            light = light - self.rim / (1 + np.exp(-(r - 1) / 0.05))
        return np.asarray(light, dtype=np.float32)

    def rows(self, shape: tuple[int, int], rows: slice) -> NDArray[np.float32] | float:
        """Return the transmission in a band of rows; 1.0 when nothing is lost."""
        if not (self.smooth or self.rim):
            return 1.0
        u = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
        v = np.linspace(-1, 1, shape[0], dtype=np.float32)[rows, None]
        return self.light(u, v)


def add_halos(
    image: NDArray[np.float32],
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    flux: NDArray[np.floating],
    *,
    share: float,
    spikes: float,
    core: float,
    reach: int,
    angle: float,
) -> None:
    """Add a 1/r^2 halo (`share` of the flux within `reach`) and four faint spikes to bright stars."""
    g = np.arange(-reach, reach + 1, dtype=np.float32)
    r2 = g[None] ** 2 + g[:, None] ** 2
    inside = r2 < reach * reach
    kernel = inside / (r2 + core * core)
    kernel *= share / kernel.sum()
    if spikes:
        c, s = np.cos(angle), np.sin(angle)
        a, b = g[None] * c + g[:, None] * s, g[:, None] * c - g[None] * s
        width = 2 * (0.25 * core) ** 2
        vane = np.exp(-(a**2) / width) / (np.abs(b) + core) + np.exp(-(b**2) / width) / (np.abs(a) + core)
        vane *= inside
        kernel += vane * (spikes / vane.sum())
    kernel = kernel.astype(np.float32)
    height, width_px = image.shape
    for px, py, f in zip(x, y, flux, strict=True):
        left, top = round(float(px)) - reach, round(float(py)) - reach
        y0, y1 = max(0, top), min(height, top + len(g))
        x0, x1 = max(0, left), min(width_px, left + len(g))
        if y1 > y0 and x1 > x0:
            image[y0:y1, x0:x1] += kernel[y0 - top : y1 - top, x0 - left : x1 - left] * np.float32(f)


def add_ghost(image: NDArray[np.float32], x: float, y: float, flux: float, radius: float, hole: float = 0.3) -> None:
    """Add an out-of-focus reflection, a ring of `flux` electrons in all, in place."""
    height, width = image.shape
    r = int(np.ceil(radius)) + 1
    y0, y1 = max(0, int(y) - r), min(height, int(y) + r + 1)
    x0, x1 = max(0, int(x) - r), min(width, int(x) + r + 1)
    if y1 <= y0 or x1 <= x0:
        return
    d = np.hypot(np.arange(x0, x1)[None] - x, np.arange(y0, y1)[:, None] - y)
    ring = np.clip(radius - d, 0, 1) * np.clip(d - hole * radius, 0, 1)
    area = np.pi * ((radius - 0.5) ** 2 - (hole * radius + 0.5) ** 2)
    image[y0:y1, x0:x1] += (ring * (flux / area)).astype(np.float32)


def trail_rows(
    shape: tuple[int, int], rows: slice, trail: NDArray[np.float64]
) -> tuple[slice, NDArray[np.float32]] | None:
    """Return the light of one satellite trail in a band of rows, e-, with its columns.

    Parameters
    ----------
    trail : ndarray, shape (7,)
        x, y of a point on it, angle, brightness (e-/pixel), sigma across (pixels), wavelength of
        its glints along it (pixels), depth of the glints (above 1: flashes with gaps).
    """
    x, y, angle, bright, sigma, wave, depth = trail
    c, s = np.cos(angle), np.sin(angle)
    height = rows.stop - rows.start
    middle = (rows.start + rows.stop - 1) / 2
    slant = max(abs(s), 1e-3)
    half = (height / 2 * abs(c) + 5 * sigma) / slant
    centre = x + (middle - y) * c / (s if abs(s) > 1e-3 else 1e-3)
    x0, x1 = int(max(0, centre - half)), int(min(shape[1], centre + half + 1))
    if x1 <= x0:
        return None
    px = (np.arange(x0, x1, dtype=np.float32) - x)[None]
    py = (np.arange(rows.start, rows.stop, dtype=np.float32) - y)[:, None]
    across, along = px * s - py * c, px * c + py * s
    glint = np.sin(along / wave)
    factor = (glint > 0.5).astype(np.float32) if depth > 1 else 1 + depth * glint
    return slice(x0, x1), np.asarray(bright * np.exp(-0.5 * (across / sigma) ** 2) * factor, dtype=np.float32)
