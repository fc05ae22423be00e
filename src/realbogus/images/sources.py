"""Stars of one tile of a frame: where they are, how bright, and which may serve as PSF."""

from __future__ import annotations

import numpy as np
import sep
from numpy.typing import NDArray

from .extraction import extract
from .frame import NODATA, SATURATED, Frame
from .robust import clipped

__all__ = ["STAR", "tile_stars"]

#: Columns of the working catalogue; `star`: no artefact, no galaxy; `clean`: fit for the PSF.
STAR = np.dtype(
    [
        *((name, float) for name in ("x", "y", "flux", "peak", "size")),
        ("star", bool),
        ("clean", bool),
    ]
)


def tile_stars(frame: Frame, tile: tuple[slice, slice]) -> tuple[float, float, NDArray[np.void]]:
    """Return level, noise and stars of one tile.

    Parameters
    ----------
    frame : Frame
    tile : tuple of slice
        Rows and columns.

    Returns
    -------
    sky, noise : float
        ADU; noise is 0.0 where the tile holds nothing to measure.
    stars : structured ndarray
        Columns `STAR`; x and y count from the frame's corner.
    """
    bits = frame.mask[tile]
    mask = bits != 0
    pixels = np.ascontiguousarray(frame.pixels[tile])
    step = max(1, int(np.sqrt(pixels.size / 150_000)))
    if mask[::step, ::step].mean() > 0.95 or pixels.min() == pixels.max():
        return float(np.median(pixels)), 0.0, np.zeros(0, STAR)
    mesh = sep.Background(pixels, mask=mask, bw=64, bh=64)
    excess = pixels - mesh.back(dtype=np.float32)
    sky = float(mesh.globalback)
    noise = clipped(excess[::step, ::step][~mask[::step, ::step]])[1]
    if not noise > 0:
        return sky, 0.0, np.zeros(0, STAR)
    for threshold in (6, 3):  # a poor field is searched deeper
        found, where = extract(excess, threshold * noise, mask=mask, minarea=3, contrast=0.01, segmentation_map=True)
        if len(found) >= 40:
            break
    blank = excess[::step, ::step][_blank(where, mask, step)]
    if blank.size > 1000:
        shift, noise = clipped(blank)
        excess -= np.float32(shift)
        sky += shift
    unusable = (bits & (NODATA | SATURATED)) != 0
    return sky, noise, _catalogue(found, excess, mask, unusable, noise, frame.saturation - sky, tile)


def _blank(where: NDArray[np.integer], mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Mark every `step`-th pixel that no source holds and that is not within 3 px of one."""
    source = np.pad(where > 0, 3)
    height, width = where.shape
    free = ~mask[::step, ::step]
    for dy, dx in ((3, 3), (0, 3), (6, 3), (3, 0), (3, 6)):
        free &= ~source[dy : dy + height : step, dx : dx + width : step]
    return free


def _catalogue(
    found: NDArray[np.void],
    excess: NDArray[np.float32],
    mask: NDArray[np.bool_],
    unusable: NDArray[np.bool_],
    noise: float,
    headroom: float,
    tile: tuple[slice, slice],
) -> NDArray[np.void]:
    """Positions, fluxes and the verdicts "star" and "clean" of what sep found."""
    found = found[(found["flux"] > 0) & (found["a"] > 0.2) & (found["b"] > 0.2)]
    stars = np.zeros(len(found), STAR)
    if not len(found):
        return stars
    size = np.sqrt(found["a"] * found["b"])
    single = (found["flag"] & ~np.int16(1)) == 0
    bright = single & (found["peak"] > 20 * noise)
    typical = float(np.median(size[bright])) if bright.sum() >= 3 else float(np.median(size))
    x, y, _ = sep.winpos(excess, found["x"], found["y"], np.full(len(found), max(typical, 0.6)), mask=mask)
    lost = ~(np.hypot(x - found["x"], y - found["y"]) < 0.5 + typical)
    x[lost], y[lost] = found["x"][lost], found["y"][lost]
    flux, _, _ = sep.sum_circle(excess, x, y, max(3.5 * typical, 2.5), mask=mask)
    height, width = excess.shape
    near = int(np.ceil(2 * typical))
    inside = (x > near) & (y > near) & (x < width - 1 - near) & (y < height - 1 - near)
    stretch = found["a"] / found["b"]
    alike = (size > 0.6 * typical) & (size < 1.7 * typical) & (stretch < 1.6 * np.median(stretch))
    good = single & inside & alike & (flux > 0)
    good[good] = ~_touches(unusable, x[good], y[good], near)
    stars["x"], stars["y"] = x + tile[1].start, y + tile[0].start
    stars["flux"], stars["peak"], stars["size"], stars["star"] = flux, found["peak"], size, good
    # S/N 25 in the noise-equivalent area of a Gaussian of this size
    loud = flux > 25 * noise * np.sqrt(4 * np.pi) * size
    stars["clean"] = good & (found["flag"] == 0) & loud & (found["peak"] < 0.8 * headroom)
    return stars


def _touches(bad: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64], reach: int) -> NDArray[np.bool_]:
    """Tell where a bad pixel lies in the square of half-width `reach` around a position."""
    height, width = bad.shape
    steps = np.arange(-reach, reach + 1)
    rows = np.clip(np.rint(y).astype(int)[:, None] + steps, 0, height - 1)
    columns = np.clip(np.rint(x).astype(int)[:, None] + steps, 0, width - 1)
    return np.asarray(bad[rows[:, :, None], columns[:, None, :]].any(axis=(1, 2)))
