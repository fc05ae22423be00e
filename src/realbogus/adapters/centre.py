"""Where the source lies in a cutout that a survey or a broker has cut or padded at an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .kind import number
from .missing import Edges

__all__ = ["Centre", "Place", "centre_by_header", "find_centre"]


@dataclass(frozen=True)
class Place:
    """Where the survey says that the source lies on the image it was found in.

    Parameters
    ----------
    x, y : float
        0-based pixel centres.
    width, height : int
        Of the image.
    """

    x: float
    y: float
    width: int
    height: int


@dataclass(frozen=True)
class Centre:
    """The source's pixel in a cutout, and how it was found.

    Parameters
    ----------
    y, x : int
        The source's pixel.
    how : str
        `whole`: the cutout is whole, and the source is in its middle. `position`: from the source's
        position on the detector. `header`: from the packet's or the FITS header's own statement. `measured`: where
        the difference is strongest among the places that are possible. `assumed`: the middle, for lack of better.
    """

    y: int
    x: int
    how: str


def find_centre(
    planes: Sequence[NDArray[np.float32]], edges: Edges, *, side: int | None = None, place: Place | None = None
) -> Centre:
    """Find the source in a cutout.

    A whole cutout has its source on ``side // 2``. At the low edge of the detector (first rows or columns) a cutout
    that was cut has its source nearer to its start by the lines that are missing; padded at the far side it has the
    full size, and the source is where it was before. At the high edge the source stays on ``side // 2``. The position
    on the detector says which it is; without one the places that are possible are compared.

    Parameters
    ----------
    planes : sequence of ndarray of float32, shape (H, W)
        The channels, cleaned; the first is looked at where the centre has to be measured.
    edges : tuple of four ints
        Lines without data in every channel, as `missing.cleaned` counts them.
    side : int, optional
        Of a whole cutout; the longer side where absent.
    place : Place, optional
        On the detector.

    Returns
    -------
    Centre

    Examples
    --------
    >>> flat = np.zeros((45, 63), dtype="float32")
    >>> find_centre([flat], (0, 0, 0, 0), side=63, place=Place(93.4, 12.9, 3072, 3080))
    Centre(y=13, x=31, how='position')
    >>> padded = np.zeros((63, 63), dtype="float32")
    >>> find_centre([padded], (0, 18, 0, 0), side=63, place=Place(93.4, 12.9, 3072, 3080))
    Centre(y=13, x=31, how='position')
    """
    height, width = planes[0].shape
    whole = side or max(height, width)
    top, bottom, left, right = edges
    rows, how_y = _along(height, whole, (top, bottom), None if place is None else (place.y, place.height))
    columns, how_x = _along(width, whole, (left, right), None if place is None else (place.x, place.width))
    hows = {how_y, how_x} - {"whole"}
    how = next((word for word in ("assumed", "measured", "position") if word in hows), "whole")
    if len(rows) == len(columns) == 1:
        return Centre(rows[0], columns[0], how)
    y, x, clear = _strongest(planes[0], [(y, x) for y in rows for x in columns])
    return Centre(y, x, how if clear else "assumed")


def _along(length: int, side: int, empty: tuple[int, int], position: tuple[float, int] | None) -> tuple[list[int], str]:
    """Return the places along one axis that the source can have, the likeliest first."""
    middle = side // 2
    after = side - middle  # from the source's pixel to the end, itself included
    low_empty, high_empty = empty
    if length > side:
        return [length // 2], "assumed"
    if position is None or not np.isfinite(position[0]):
        if length < side:
            return _distinct([middle, length - after], length), "measured"
        if high_empty == 0:
            return [middle], "whole"
        return _distinct([middle, length - high_empty - after], length), "measured"
    pixel = int(np.floor(position[0] + 0.5))
    low, high = max(0, middle - pixel), max(0, pixel + after - position[1])
    if low == high == 0 and length == side:
        return [middle], "whole"
    if length == side:
        if low == 0:
            return [middle], "position"  # what is missing is missing at the far side, padded or not
        far, near = high_empty >= low, low_empty >= low
        if far != near:
            return [middle - low if far else middle], "position"
        return _distinct([middle, middle - low], length), "measured"
    # a pixel either way: surveys round positions in their own manner
    if abs(length - (side - low - high)) <= 1:
        if low and not high:
            return [length - after], "position"  # its end is whole
        if high and not low:
            return [middle], "position"
        if low and high:
            return [middle - low], "position"
    return _distinct([middle, length - after], length), "measured"


def _distinct(places: Sequence[int], length: int) -> list[int]:
    return [place for place in dict.fromkeys(places) if 0 <= place < length] or [length // 2]


def _strongest(plane: NDArray[np.float32], places: Sequence[tuple[int, int]]) -> tuple[int, int, bool]:
    """Return the place with the strongest source of either sign within 2 px, and whether one is there at all."""
    there = np.isfinite(plane)
    if not there.any():
        return *places[0], False
    level = float(np.median(plane[there]))
    signal = np.where(there, plane - level, 0.0)
    spread = 1.4826 * float(np.median(np.abs(signal[there])))
    # as a star of FWHM 2.5 px would weigh; sky noise falls by the square root of the area
    smooth = np.abs(ndimage.gaussian_filter(signal, 1.06, mode="constant"))
    limit = 5 * spread / (2 * np.sqrt(np.pi) * 1.06)
    y0, x0 = max(places, key=lambda place: _near(smooth, *place))
    return y0, x0, len(places) == 1 or _near(smooth, y0, x0) > limit


def _near(smooth: NDArray[np.floating], y: int, x: int) -> float:
    return float(smooth[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max())


def centre_by_header(
    header: Mapping[str, Any], shape: tuple[int, int], ra: float, dec: float
) -> tuple[float, float] | None:
    """Return the 0-based (x, y) at which a cutout's WCS has a position, or None where it has none.

    Rubin's cutouts have the source itself as their reference; others go through the whole WCS.

    Parameters
    ----------
    header : mapping
    shape : tuple of two ints
        (H, W) of the cutout; a position outside is None.
    ra, dec : float
        Degrees.

    Examples
    --------
    >>> header = {"CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 12.0, "CRPIX2": 16.0}
    >>> centre_by_header(header, (30, 30), 150.0, 2.0)
    (11.0, 15.0)
    """
    x, y, ra0, dec0 = (number(header.get(name)) for name in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2"))
    if not np.isfinite([x, y, ra0, dec0, ra, dec]).all():
        return None
    if str(header.get("CTYPE1", "")).upper().startswith("DEC"):
        ra0, dec0 = dec0, ra0
    away = (abs((ra - ra0 + 180) % 360 - 180) * np.cos(np.radians(dec)), abs(dec - dec0))
    if max(away) < 1e-6:  # degrees: a hundredth of a pixel
        found: tuple[float, float] | None = (x - 1, y - 1)
    else:
        found = _by_wcs(header, ra, dec)
    if found is None:
        return None
    inside = -0.5 <= found[0] < shape[1] - 0.5 and -0.5 <= found[1] < shape[0] - 0.5
    return found if inside else None


def _by_wcs(header: Mapping[str, Any], ra: float, dec: float) -> tuple[float, float] | None:
    import warnings

    from astropy.io.fits import Header
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(Header(dict(header)), naxis=2)
            if not wcs.has_celestial:
                return None
            world = [dec, ra] if wcs.wcs.lng == 1 else [ra, dec]
            x, y = wcs.all_world2pix([world], 0)[0]
        except Exception:  # wcslib has a class for every way in which a header can be wrong
            return None
    return (float(x), float(y)) if np.isfinite([x, y]).all() else None
