"""Facts out of FITS headers as telescopes really write them."""

from __future__ import annotations

import math
import re
import warnings
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from ..columns import JD_OF_MJD
from .telescope import Quantity, TimeCards

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from astropy.wcs import WCS
    from numpy.typing import NDArray

__all__ = [
    "card", "celestial_wcs", "fits_text", "fits_text_back", "mid_exposure_mjd", "moment", "number", "sky_positions",
    "text", "wcs_scale_arcsec",
]  # fmt: skip

_ISO = re.compile(
    r"^\s*(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?\s*(Z|UTC?|[+-]\d{2}:?\d{2})?)?\s*$"
)
_OLD = re.compile(r"^\s*(\d{1,2})/(\d{1,2})/(\d{2})\s*$")
_CLOCK = re.compile(r"^\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?\s*$")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([EeDd][+-]?\d+)?")
_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)


def card(header: Header, keyword: str) -> str | float | bool | None:
    """Return a card's value, or None when it is absent, empty or beyond repair.

    Cards that astropy refuses (`EXPTIME = 060.00s`, missing quotes) are read from their
    80 characters: what stands between `=` and `/`.

    Parameters
    ----------
    header : astropy.io.fits.Header
    keyword : str

    Returns
    -------
    str, float, bool or None
        Numbers come as float, text is stripped.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = header[keyword]
        except KeyError:
            return None
        except Exception:  # astropy raises VerifyError and others for cards outside the standard
            value = _raw(header, keyword)
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | np.number):
        return float(value) if math.isfinite(float(value)) else None
    if isinstance(value, str):
        return value.strip() or None
    return None


def _raw(header: Header, keyword: str) -> str | None:
    try:
        image = str(header.cards[keyword].image)
    except Exception:  # the card list may refuse the same card
        return None
    _, equals, rest = image.partition("=")
    return rest.split("/")[0].strip().strip("'") if equals else None


def number(header: Header, quantity: Quantity, *, positive: bool = True) -> float | None:
    """Return a number by its cards, then by its constant, or None.

    Parameters
    ----------
    header : astropy.io.fits.Header
    quantity : Quantity
    positive : bool
        Skip cards whose value is not above zero (headers use -1 and 0 for "unknown").
    """
    for keyword in quantity.keywords:
        value = card(header, keyword)
        if isinstance(value, str):
            match = _NUMBER.match(value)
            value = float(match.group().upper().replace("D", "E")) if match else None
        if value is None or isinstance(value, bool) or (positive and value <= 0):
            continue
        return value
    return None if quantity.constant is None else float(quantity.constant)


def text(header: Header, quantity: Quantity) -> str | None:
    """Return a text by its cards, then by its constant, or None."""
    for keyword in quantity.keywords:
        value = card(header, keyword)
        if isinstance(value, str) and value.lower() not in ("none", "n/a", "unknown"):
            return value
        if isinstance(value, float):
            return f"{value:g}"
    return None if quantity.constant is None else str(quantity.constant)


def moment(value: str | float, clock: str | None = None) -> float | None:
    """Return the Modified Julian Date (UTC) that a card's value means, or None.

    Parameters
    ----------
    value : str or float
        ISO date and time (a zone offset is obeyed, none means UTC), dd/mm/yy, JD or MJD.
    clock : str, optional
        hh:mm:ss for a date without a time.

    Examples
    --------
    >>> moment("2017-12-19T18:33:43.317-0700") == moment("2017-12-20T01:33:43.317")
    True
    >>> moment(2458107.5), moment("2017-12-20"), moment("2017-12-20", "12:00:00")
    (58107.0, None, 58107.5)
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value.upper().replace("D", "E"))
    if not isinstance(value, str):
        if 2.4e6 < value < 2.6e6:
            return float(value) - JD_OF_MJD
        return float(value) if 15000 < value < 150000 else None
    iso, old = _ISO.match(value), _OLD.match(value)
    if iso:
        year, month, day = (int(part) for part in iso.group(1, 2, 3))
        clock_parts, zone = iso.group(4, 5, 6), iso.group(7)
    elif old:
        day, month, year = (int(part) for part in old.groups())
        year, clock_parts, zone = year + 1900, (None, None, None), None  # FITS: dd/mm/yy is 19yy
    else:
        return None
    if clock_parts[0] is None:
        match = _CLOCK.match(clock or "")
        if match is None:
            return None
        clock_parts = match.groups()
    offset = timedelta()
    if zone and zone[0] in "+-":
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    try:
        midnight = datetime(year, month, day, tzinfo=timezone(offset))
    except ValueError:
        return None
    hour, minute, second = (float(part or 0) for part in clock_parts)
    return (midnight - _MJD_EPOCH) / timedelta(days=1) + (hour + minute / 60 + second / 3600) / 24


def mid_exposure_mjd(header: Header, cards: TimeCards, exposure_s: float | None) -> float | None:
    """Return the middle of the exposure as MJD (UTC), or None when no card tells it.

    A number that is rounded to a second or worse gives way to a card that means the same moment more exactly.

    Parameters
    ----------
    header : astropy.io.fits.Header
    cards : TimeCards
        Cards to try: those of the middle first, then those of the start.
    exposure_s : float or None
        Half of it is added to a start time.
    """
    half = (exposure_s or 0.0) / 2 / 86400
    clocks = [value for key in cards.time_of_day if isinstance(value := card(header, key), str)]
    clock = next((value for value in clocks if _CLOCK.match(value)), None)
    for keywords, shift in ((cards.middle, 0.0), (cards.start, half)):
        values = [value for key in keywords if (value := card(header, key)) is not None and not isinstance(value, bool)]
        said = [(mjd, _step(value)) for value in values if (mjd := moment(value, clock)) is not None]
        if said:
            mjd, step = said[0]
            if step > 1e-5:
                mjd = next((other for other, finer in said if finer < step and abs(other - mjd) <= step), mjd)
            return mjd + shift
    return None


def _step(value: str | float) -> float:
    """Return the days of the last decimal place that a number shows; 0 of a date, which has seconds."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return 0.0
    words = str(value).strip().upper()
    places = words.partition(".")[2]
    if not isinstance(value, str):
        places = places.rstrip("0")  # Python's own
    return 0.0 if "E" in words or "D" in words else 10.0 ** -len(places)


def celestial_wcs(header: Header, shape: tuple[int, int]) -> WCS | None:
    """Return the header's WCS if it is celestial, finite and invertible over the image, else None.

    Its frame must be one that astropy knows (`RADESYS = 'GAPPT'`, helioecliptic axes and the like are not):
    without it nobody could say where on the sky a pixel is.

    Parameters
    ----------
    header : astropy.io.fits.Header
    shape : tuple of int
        (H, W) of the image.
    """
    from astropy.wcs import WCS
    from astropy.wcs.utils import wcs_to_celestial_frame

    if not any(key in header for key in ("CTYPE1", "CTYPE2")):
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header, fix=True).celestial
            if wcs.naxis != 2:
                return None
            # a singular matrix does not stop wcslib; such axes would ruin every position
            stretch = np.linalg.svd(wcs.pixel_scale_matrix, compute_uv=False)
            if not (np.isfinite(stretch).all() and 0 < stretch[0] < 3 * stretch[1]):
                return None
            wcs_to_celestial_frame(wcs)
            height, width = shape
            x = np.array([0.0, width - 1, 0.0, width - 1, width / 2])
            y = np.array([0.0, 0.0, height - 1, height - 1, height / 2])
            ra, dec = wcs.all_pix2world(x, y, 0)
            back = np.array(wcs.all_world2pix(ra, dec, 0))
        except Exception:  # wcslib and astropy raise a dozen kinds; none of them may cost the frame
            return None
    return wcs if np.isfinite(back).all() and np.abs(back - [x, y]).max() < 0.1 else None


def fits_text(value: str) -> str:
    r"""Return a text as FITS can hold it, in printable ASCII; `fits_text_back` gives it back.

    Examples
    --------
    >>> fits_text("Hα"), fits_text_back(fits_text("Hα"))
    ('H\\u03b1', 'Hα')
    """
    return value.encode("unicode_escape").decode("ascii")


def fits_text_back(value: str) -> str:
    """Return what `fits_text` was given."""
    return value.encode("ascii", "backslashreplace").decode("unicode_escape")


def sky_positions(
    wcs: WCS, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination (ICRS, degrees) of pixels, whatever the axes of the WCS are.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        As `celestial_wcs` returns it: its axes may be in any order, galactic, or of another equinox.
    x, y : ndarray, shape (n,)
        Positions, pixels from 0.

    Returns
    -------
    ra, dec : ndarray, shape (n,)
        NaN where the projection cannot be turned round.

    Examples
    --------
    >>> from astropy.wcs import WCS
    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype = ["DEC--TAN", "RA---TAN"]
    >>> wcs.wcs.crval, wcs.wcs.cdelt = [20.0, 150.0], [1e-4, 1e-4]
    >>> [float(round(v[0], 6)) for v in sky_positions(wcs, np.array([-1.0]), np.array([-1.0]))]
    [150.0, 20.0]
    """
    sky = wcs.pixel_to_world(x, y).icrs
    return np.asarray(sky.ra.deg, dtype=float), np.asarray(sky.dec.deg, dtype=float)


def wcs_scale_arcsec(wcs: WCS) -> float:
    """Return the pixel scale of a celestial WCS, arcsec per pixel (root of the pixel's area)."""
    from astropy.wcs.utils import proj_plane_pixel_area

    return float(np.sqrt(proj_plane_pixel_area(wcs)) * 3600)
