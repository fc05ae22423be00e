"""Saturated and bad pixels, found from the pixels themselves. Nothing is mended, only flagged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["find_bad", "find_saturation", "saturated_pixels", "star_sharpness"]

#: Plateaus are told apart on a grid of cells this large, pixels: labelling 61 Mpix takes a second.
_CELL = 4
#: Share of its height by which a clipped star falls within 2 to 3 px of its plateau, at least.
_CLIFF = 0.15


def find_saturation(
    pixels: NDArray[np.float32], sky: float, noise: float, good: NDArray[np.bool_] | None = None
) -> float | None:
    """Return the level at which the detector clips as the pixels show it, or None.

    Two signs count: a pile-up (many pixels within 0.1 % of the brightest, far more than the
    levels just below hold), and flat-topped stars (clusters of adjacent pixels within 1 % of
    the brightest, with a cliff around), which survive flat-fielding. The core of a galaxy or of
    a defocused star is as flat but has no cliff.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        ADU.
    sky, noise : float
        Level and sigma of the background, ADU.
    good : ndarray of bool, shape (H, W), optional
        True where a pixel holds data.

    Returns
    -------
    float or None
        ADU; pixels at or above it are saturated.

    Examples
    --------
    >>> image = np.full((64, 64), 100, np.float32)
    >>> image[10:13, 20:23] = 4095
    >>> find_saturation(image, 100.0, 3.0)
    4095.0
    """
    floor = sky + max(20 * noise, 1.0)
    bright = pixels > floor
    if good is not None:
        bright &= good
    values = np.sort(pixels[bright]).astype(np.float64)
    if values.size < 5:
        return None
    # one particle hit above a flat-fielded clip must not hide it: five tries for the top
    for top in np.unique(values[-5:])[::-1]:
        height = top - sky
        for hair in (0.0, 1e-3 * height):
            piled = np.searchsorted(values, top + hair, "right") - np.searchsorted(values, top - hair)
            # what natural star profiles would put into such a bin, judged just below the top
            below = np.searchsorted(values, top - hair) - np.searchsorted(values, top - 0.2 * height)
            expected = below * max(2 * hair, 1.0) / max(0.2 * height - hair, 1.0)
            if piled >= 5 and piled > 5 * expected + 3:
                return float(top - hair)
    level = float(values[-5] - 0.01 * (values[-5] - sky))
    return level if _flat_tops(bright & (pixels >= level), pixels, level, sky) else None


def _flat_tops(high: NDArray[np.bool_], pixels: NDArray[np.float32], level: float, sky: float) -> bool:
    """Whether the high pixels form one plateau of 3x3, or two of 2x2, with a cliff around."""
    y, x = np.nonzero(high)
    if y.size < 8 or y.size > 1_000_000:
        return y.size > 1_000_000
    coarse = np.zeros((y.max() // _CELL + 1, x.max() // _CELL + 1), bool)
    coarse[y // _CELL, x // _CELL] = True
    labels, _ = ndimage.label(coarse, np.ones((3, 3), bool))
    small = 0
    for rows, columns in ndimage.find_objects(labels):
        box = tuple(slice(max(_CELL * (s.start - 1), 0), _CELL * (s.stop + 1)) for s in (rows, columns))
        squares = _squares(high[box])
        if squares.any() and _has_cliff(high[box], pixels[box], level, sky):
            small += 1
            if small == 2 or _squares(squares).any():
                return True
    return False


def _squares(image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Upper left corners of the 2x2 squares that are all True; of 3x3 when applied twice."""
    return image[:-1, :-1] & image[1:, :-1] & image[:-1, 1:] & image[1:, 1:]


def _has_cliff(plateau: NDArray[np.bool_], pixels: NDArray[np.float32], level: float, sky: float) -> bool:
    """Whether light falls off beside a plateau faster than beside a smooth tip as flat and wide."""
    distance = np.asarray(ndimage.distance_transform_edt(~plateau))
    ring = pixels[(distance >= 2) & (distance <= 3)]
    if not ring.size:
        return True
    fall = (level - float(np.median(ring))) / (level - sky)
    # a paraboloid has half its area in the upper half of its height, and falls with radius squared
    tip = 2 * (float(np.median(pixels[plateau])) - level) / (level - sky)
    smooth = tip * ((1 + 2.5 / np.sqrt(plateau.sum() / np.pi)) ** 2 - 1)
    return bool(fall > max(_CLIFF, 1.5 * smooth))


def saturated_pixels(pixels: NDArray[np.float32], level: float) -> NDArray[np.bool_]:
    """Return True at pixels at or above `level` and at their eight neighbours.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
    level : float
        ADU.
    """
    height, width = pixels.shape
    grown = pixels >= level
    y, x = np.nonzero(grown)
    for dy in (-1, 0, 1):  # by coordinates: a dilation of 61 Mpix takes seconds
        for dx in (-1, 0, 1):
            grown[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)] = True
    return grown


def star_sharpness(excess: NDArray[np.float32], noise: float, exclude: NDArray[np.bool_] | None = None) -> float:
    """Return the crosswise ratio of the frame's own sharpest stars.

    The crosswise ratio of a pixel is the median of its four nearest neighbours over its own
    value. At a star's peak it is at least that of a star centred on the pixel: 0.40 for a
    Gaussian FWHM of 1.6 px, 0.69 for 2.5 px; at a lone hot pixel it is near 0.

    Parameters
    ----------
    excess : ndarray of float32, shape (H, W)
        Sky-subtracted pixels, ADU.
    noise : float
        Sigma of the background, ADU.
    exclude : ndarray of bool, shape (H, W), optional
        Saturated and missing pixels.

    Returns
    -------
    float
        The 5th percentile over bright local maxima that are no hot pixels; 0.4 where the frame
        has fewer than ten.
    """
    ratios = _peak_ratios(excess, noise, exclude)
    ratios = ratios[ratios > 0.3]
    return float(np.percentile(ratios, 5)) if ratios.size >= 10 else 0.4


def _peak_ratios(excess: NDArray[np.float32], noise: float, exclude: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    high = excess > 30 * noise
    if exclude is not None:
        high &= ~exclude
    high[:1] = high[-1:] = False
    high[:, :1] = high[:, -1:] = False
    y, x = np.nonzero(high)
    value, peak = excess[y, x], np.ones(y.size, bool)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        peak &= value >= excess[y + dy, x + dx]
    y, x = y[peak], x[peak]
    around = np.sort([excess[y - 1, x], excess[y + 1, x], excess[y, x - 1], excess[y, x + 1]], axis=0)
    ratios: NDArray[np.float32] = (around[1] + around[2]) / 2 / excess[y, x]
    return ratios


def find_bad(
    excess: NDArray[np.float32],
    noise: float,
    *,
    gain: float = 1.0,
    sharpness: float = 0.4,
    exclude: NDArray[np.bool_] | None = None,
    nsigma: float = 6.0,
) -> NDArray[np.bool_]:
    """Return True at pixels that no star could make: hot, dead, or hit by a particle.

    A pixel is hot when it stands out by `nsigma` and the median of its four nearest neighbours is,
    by 3 sigma, below half of what the sharpest stars of the frame have there. A pixel is dead
    when it lies `nsigma` below the sky and below all four neighbours. Real stars, even of FWHM
    1.6 px, are spared because a star's peak lends its neighbours at least 0.4 of itself
    wherever it falls on the pixel grid.

    Parameters
    ----------
    excess : ndarray of float32, shape (H, W)
        Sky-subtracted pixels, ADU.
    noise : float
        Sigma of the background, ADU.
    gain : float
        e/ADU, for the photon noise of bright pixels.
    sharpness : float
        What `star_sharpness` said of the frame.
    exclude : ndarray of bool, shape (H, W), optional
        Saturated and missing pixels, and those that touch them: they are never flagged.
    nsigma : float
        How far a pixel must stand out.

    Returns
    -------
    ndarray of bool, shape (H, W)

    Examples
    --------
    >>> sky = np.zeros((16, 16), np.float32)
    >>> sky[5, 7] = 100
    >>> np.argwhere(find_bad(sky, 2.0)).tolist()
    [[5, 7]]
    """
    share = np.float32(0.5 * min(max(sharpness, 0.3), 0.8))
    bad = np.zeros(excess.shape, bool)
    candidates = np.abs(excess) > nsigma * noise
    candidates[:1] = candidates[-1:] = False
    candidates[:, :1] = candidates[:, -1:] = False
    if exclude is not None:
        candidates &= ~exclude
    y, x = np.nonzero(candidates)
    value = excess[y, x]
    around = np.sort([excess[y - 1, x], excess[y + 1, x], excess[y, x - 1], excess[y, x + 1]], axis=0)
    middle = (around[1] + around[2]) / 2
    photons = np.maximum(value, 0) / max(gain, 1e-6)
    spread = np.sqrt(noise**2 * (0.36 + share**2) + photons * (share / 2 + share**2))
    hot = (value > 0) & (share * value - middle > 3 * spread)
    dead = (value < 0) & (around[0] - value > nsigma * noise)
    bad[y, x] = hot | dead
    return bad
