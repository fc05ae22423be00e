"""Stars that both sides of a subtraction see: their flux ratio, and which of them shape the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray

from ...errors import SubtractionError

__all__ = ["MIN_STARS", "Scale", "Stars", "choose_stamps", "match_stars", "photometric_scale"]

#: With fewer stars neither the kernel nor its check means anything.
MIN_STARS = 3


@dataclass(frozen=True)
class Stars:
    """Aperture fluxes of the same stars on both sides, brightest first.

    Parameters
    ----------
    x, y : ndarray of float64, shape (N,)
        0-based pixel centres.
    science, reference : ndarray of float64, shape (N,)
        Fluxes in one aperture less the mean of a ring around it, ADU.
    error : ndarray of float64, shape (N,)
        Relative error of the ratio science / reference from the sky noise of both.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    science: NDArray[np.float64]
    reference: NDArray[np.float64]
    error: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Stars:
        """Return the stars of `index`, in its order."""
        return Stars(self.x[index], self.y[index], self.science[index], self.reference[index], self.error[index])


@dataclass(frozen=True)
class Scale:
    """A flux ratio science / reference with its error and the number of stars behind it."""

    value: float
    error: float
    stars: int


def match_stars(
    positions: NDArray[np.float64],
    science: NDArray[np.float32],
    reference: NDArray[np.float32],
    lost: NDArray[np.bool_],
    *,
    noise: tuple[float, float],
    fwhm: float,
    min_snr: float = 10.0,
) -> Stars:
    """Measure the stars at `positions` on both sides and keep those that both see well.

    The mean of a ring is subtracted: it is linear in the pixels, so a neighbour that
    falls into it falls into both sides alike and leaves their ratio alone.

    Parameters
    ----------
    positions : ndarray, shape (N, 2)
        x, y, 0-based pixel centres.
    science, reference : ndarray of float32, shape (H, W)
        Sky-subtracted pixels.
    lost : ndarray of bool, shape (H, W)
        True where a side has no data or is saturated; stars touching it are left out.
    noise : (float, float)
        Sigma of a blank pixel of science frame and reference, ADU.
    fwhm : float
        The broader PSF size, pixels.
    min_snr : float
        Least aperture S/N on either side.

    Returns
    -------
    Stars
    """
    x, y = (np.ascontiguousarray(positions[:, i], dtype=np.float64) for i in (0, 1))
    height, width = science.shape
    radius = float(np.clip(2.0 * fwhm, 4.0, 20.0))
    ring = (radius + 1.0, 1.5 * radius + 2.0)
    core = int(np.ceil(fwhm)) + 1
    inside = (x >= ring[1]) & (y >= ring[1]) & (x <= width - 1 - ring[1]) & (y <= height - 1 - ring[1])
    x, y = x[inside], y[inside]
    clean = np.array([not _box(lost, a, b, core).any() for a, b in zip(x, y, strict=True)], dtype=bool)
    x, y = x[clean], y[clean]
    if not len(x):
        empty = np.zeros(0)
        return Stars(empty, empty, empty, empty, empty)
    flux_s, flux_r = (
        np.asarray(sep.sum_circle(np.ascontiguousarray(side), x, y, radius, bkgann=ring, subpix=5)[0])
        for side in (science, reference)
    )
    area = np.pi * radius**2 * (1 + radius**2 / (ring[1] ** 2 - ring[0] ** 2))
    error_s, error_r = (sigma * np.sqrt(area) for sigma in noise)
    keep = (flux_s > min_snr * error_s) & (flux_r > min_snr * error_r)
    relative = np.hypot(error_s / np.where(keep, flux_s, 1.0), error_r / np.where(keep, flux_r, 1.0))
    order = np.flatnonzero(keep)[np.argsort(-flux_s[keep], kind="stable")]
    return Stars(x, y, flux_s, flux_r, relative).take(order)


def photometric_scale(stars: Stars, *, name: str = "frame") -> Scale:
    """Median flux ratio science / reference of the best-measured half of the stars.

    Raises
    ------
    SubtractionError
        Fewer than `MIN_STARS` stars are common.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones(5)
    >>> photometric_scale(Stars(ones, ones, 2 * ones, ones, 0.01 * ones)).value
    2.0
    """
    if len(stars) < MIN_STARS:
        raise SubtractionError(
            f"{name}: science frame and reference both see {len(stars)} stars well, {MIN_STARS} are needed: "
            "check that the two overlap and are aligned, or leave the frame out"
        )
    best = np.argsort(stars.error, kind="stable")[: max(len(stars) // 2, min(len(stars), 10))]
    ratio = stars.science[best] / stars.reference[best]
    value = float(np.median(ratio))
    spread = 1.4826 * float(np.median(np.abs(ratio - value)))
    # The scatter of three stars may be zero by chance: never below what the sky noise alone gives.
    spread = max(spread, value * float(np.median(stars.error[best])))
    return Scale(value, 1.2533 * spread / float(np.sqrt(len(best))), len(best))


def choose_stamps(
    stars: Stars,
    scale: Scale,
    unfit: NDArray[np.bool_],
    *,
    half_width: int,
    core: int,
    max_unfit: float = 0.1,
    per_cell: int = 3,
) -> Stars:
    """Choose kernel stars: constant, clean, and spread evenly over the frame.

    Parameters
    ----------
    stars, scale : Stars, Scale
        Of the pair. A star whose ratio lies 20 % and five errors off the scale varies and is left out.
    unfit : ndarray of bool, shape (H, W)
        Pixels that no kernel may learn from (no data, saturated, bad, on either side).
    half_width : int
        Of a stamp with the kernel's margin, pixels: the stamp must lie inside the frame.
    core : int
        No unfit pixel may lie within so many pixels of the centre.
    max_unfit : float
        Largest share of unfit pixels in a stamp.
    per_cell : int
        Stars taken from each cell of the frame, brightest first.

    Returns
    -------
    Stars
    """
    height, width = unfit.shape
    off = np.abs(stars.science / stars.reference / scale.value - 1)
    x, y = np.rint(stars.x), np.rint(stars.y)
    ok = (off < 0.2 + 5 * stars.error) & (x >= half_width) & (y >= half_width)
    ok &= (x < width - half_width) & (y < height - half_width)
    cells = [int(np.clip(round(side / 170), 3, 12)) for side in (height, width)]
    cell = (y * cells[0] // height).astype(int) * cells[1] + (x * cells[1] // width).astype(int)
    taken: dict[int, int] = {}
    chosen: list[int] = []
    for i in np.flatnonzero(ok):  # brightest first
        if taken.get(cell[i], 0) >= per_cell:
            continue
        if _box(unfit, stars.x[i], stars.y[i], core).any():
            continue
        if _box(unfit, stars.x[i], stars.y[i], half_width).mean() > max_unfit:
            continue
        taken[cell[i]] = taken.get(cell[i], 0) + 1
        chosen.append(int(i))
    return stars.take(np.array(chosen, dtype=np.intp))


def _box(image: NDArray[np.bool_], x: float, y: float, half: int) -> NDArray[np.bool_]:
    a, b = round(float(x)), round(float(y))
    return image[max(b - half, 0) : b + half + 1, max(a - half, 0) : a + half + 1]
