"""Masks of a difference: clipped stars grown, missing pixels spread as the kernel spreads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..frame import BAD, NODATA, SATURATED

__all__ = ["grow_saturated", "join_masks", "spread_missing", "unusable"]

_CELL = 4  # px; saturated regions are told apart on a grid this coarse
_TILE = 512
_LARGEST = 60.0  # px


def unusable(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell where a mask says no data or saturated."""
    return np.asarray((mask & np.uint8(NODATA | SATURATED)) != 0)


def join_masks(
    science: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    *,
    fwhm: float,
    reach: int,
    convolved: str,
) -> NDArray[np.uint8]:
    """Make a difference's mask of its two sides' masks.

    Saturated regions grow (an unmasked rim of a clipped star gives zebra rings), missing pixels
    of the convolved side and its frame border grow by the kernel's `reach`, bad pixels stay as
    they are: detections on them are flagged, not dropped.

    Parameters
    ----------
    science, reference : ndarray of uint8, shape (H, W)
    fwhm : float
        The broader PSF size, pixels.
    reach : int
        Pixels.
    convolved : str
        "reference", "science" or "none".
    """
    mask = science | reference
    if reach and convolved != "none":
        spread_missing(mask, reference if convolved == "reference" else science, reach)
        for edge in (np.s_[:reach], np.s_[-reach:], np.s_[:, :reach], np.s_[:, -reach:]):
            mask[edge] |= np.uint8(NODATA)
    grow_saturated(mask, fwhm)
    return mask


def grow_saturated(mask: NDArray[np.uint8], fwhm: float) -> None:
    """Grow each saturated region, in place, by 2 px + FWHM + half its own radius.

    A saturated region whose pixels are all bad is a hot pixel, no star, and is not grown.

    Parameters
    ----------
    mask : ndarray of uint8, shape (H, W)
    fwhm : float
        Pixels.

    Examples
    --------
    >>> mask = np.zeros((21, 21), np.uint8)
    >>> mask[10, 10] = SATURATED
    >>> grow_saturated(mask, 3.0)
    >>> int((mask[10] != 0).sum())
    11
    """
    full = (mask & np.uint8(SATURATED)) != 0
    height, width = mask.shape
    padded = np.zeros((-(-height // _CELL) * _CELL, -(-width // _CELL) * _CELL), dtype=bool)
    padded[:height, :width] = full
    coarse = padded.reshape(padded.shape[0] // _CELL, _CELL, -1, _CELL).any(axis=(1, 3))
    del padded
    labels, _ = ndimage.label(coarse, structure=np.ones((3, 3), dtype=int))
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        inner = (labels[box] == index).repeat(_CELL, 0).repeat(_CELL, 1)
        y0, x0 = box[0].start * _CELL, box[1].start * _CELL
        here = full[y0 : y0 + inner.shape[0], x0 : x0 + inner.shape[1]]
        blob = here & inner[: here.shape[0], : here.shape[1]]
        bits = mask[y0 : y0 + here.shape[0], x0 : x0 + here.shape[1]]
        if (bits[blob] & np.uint8(BAD)).all():
            continue
        by = float(min(2.0 + fwhm + 0.5 * np.sqrt(blob.sum() / np.pi), _LARGEST))
        margin = int(by) + 1
        distance = ndimage.distance_transform_edt(~np.pad(blob, margin))
        grown = distance <= by
        top, left = max(y0 - margin, 0), max(x0 - margin, 0)
        target = mask[top : y0 + here.shape[0] + margin, left : x0 + here.shape[1] + margin]
        part = grown[top - (y0 - margin) :, left - (x0 - margin) :][: target.shape[0], : target.shape[1]]
        target[part] |= np.uint8(SATURATED)


def spread_missing(mask: NDArray[np.uint8], source: NDArray[np.uint8], reach: int) -> None:
    """Set `NODATA` in `mask`, in place, wherever `source` misses a pixel within `reach`.

    Parameters
    ----------
    mask, source : ndarray of uint8, shape (H, W)
    reach : int
        Pixels, measured along the axes.
    """
    height, width = source.shape
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            top, left = max(y - reach, 0), max(x - reach, 0)
            missing = (source[top : y + _TILE + reach, left : x + _TILE + reach] & np.uint8(NODATA)) != 0
            if not missing.any():
                continue
            grown = ndimage.maximum_filter(missing, size=2 * reach + 1, mode="constant", cval=0)
            part = mask[y : y + _TILE, x : x + _TILE]
            inner = grown[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]]
            part[inner] |= np.uint8(NODATA)
