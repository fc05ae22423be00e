"""Pixels, mask and header out of one FITS file, whatever the file is like."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import FrameError

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["load_fits", "missing_pixels"]

_SMALLEST = 64  # px: below this neither sky nor PSF can be measured


def load_fits(path: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None, Header, float]:
    """Return the image of a FITS file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pixels : ndarray of float32, shape (H, W)
        As stored: NaN and sentinels are still there.
    mask : ndarray of uint8 or None
        The mask that `write_frame` stored.
    header : astropy.io.fits.Header
        Of the image's extension, completed by the primary header.
    depth : float
        The largest value the stored integers can mean, ADU; inf for floats.

    Raises
    ------
    FrameError
        Missing, empty, truncated or no FITS file, or no image in it.
    """
    from astropy.io import fits

    if path.is_dir():
        raise FrameError(f"{path} is a folder, expected one FITS file: find_frames lists a folder's files")
    if not path.exists():
        raise FrameError(f"no file {path}: check the path")
    if path.stat().st_size == 0:
        raise FrameError(f"{path} is empty (0 bytes), expected a FITS image: fetch it again")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            with fits.open(path, memmap=False, ignore_missing_simple=True, output_verify="silentfix") as hdus:
                index = _choose(hdus, path)
                hdu = hdus[index]
                header = hdu.header.copy()
                header.extend(hdus[0].header, unique=True, strip=True, update=False)
                depth = _depth(hdu.header)
                data = np.asarray(hdu.data)
                data = data.reshape(data.shape[-2:])
                stored = _stored_mask(hdus, data.shape)
                pixels = np.array(data, dtype=np.float32, order="C")
                if data.dtype.kind == "u" and isinstance(header.get("BLANK"), int):
                    # astropy heeds BLANK in signed integers only
                    blank = header["BLANK"] * float(header.get("BSCALE", 1)) + float(header.get("BZERO", 0))
                    pixels[data == blank] = np.nan
        except FrameError:
            raise
        except (EOFError, gzip.BadGzipFile) as error:
            raise FrameError(f"{path} is cut short or damaged ({error}): fetch it again") from None
        except Exception as error:  # astropy, zlib and cfitsio raise a dozen kinds on damaged files
            raise FrameError(_diagnosis(path, error)) from None
    return pixels, stored, header, depth


def _diagnosis(path: Path, error: Exception) -> str:
    try:
        with path.open("rb") as stream:
            start = stream.read(6)
    except OSError as unread:
        return f"{path} cannot be read ({unread.strerror or unread}): look at its permissions and its disk"
    if start not in (b"SIMPLE", b"XTENSI") and start[:2] != b"\x1f\x8b" and start[:3] != b"BZh":
        return f"{path} is not a FITS file (it begins with {start!r}): give FITS, plain, .gz or .fz"
    return f"{path} is cut short or damaged ({type(error).__name__}: {error}): fetch it again"


def _choose(hdus: Any, path: Path) -> int:
    flat = []
    for index, hdu in enumerate(hdus):
        if not hdu.is_image or hdu.header.get("NAXIS", 0) < 2:
            continue
        shape = hdu.shape
        if len(shape) >= 2 and all(side == 1 for side in shape[:-2]) and min(shape[-2:]) > 1:
            name = str(hdu.name).upper()
            if name not in ("MASK", "DQ", "WEIGHT", "ERR", "VAR"):
                flat.append((name not in ("SCI", "IMAGE"), index))
    if not flat:
        found = ", ".join(f"{h.name or 'PRIMARY'} {getattr(h, 'shape', '')}" for h in hdus)
        raise FrameError(f"{path} holds no two-dimensional image (found {found}): give a single exposure")
    return min(flat)[1]


def _depth(header: Header) -> float:
    """Return the largest value the stored integers can mean, ADU; inf for floats."""
    bits = int(header.get("BITPIX", -32))
    if bits not in (8, 16):
        return float("inf")
    top = 255 if bits == 8 else 32767
    return float(top * float(header.get("BSCALE", 1)) + float(header.get("BZERO", 0)))


def _stored_mask(hdus: Any, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    for hdu in hdus[1:]:
        ours = hdu.is_image and str(hdu.name).upper() == "MASK" and hdu.header.get("RBMASK")
        if ours and hdu.shape == shape:
            return np.array(hdu.data, dtype=np.uint8, order="C")
    return None


def missing_pixels(pixels: NDArray[np.float32], path: Path) -> NDArray[np.bool_]:
    """Return True where there is no data, and zero those pixels in place.

    No data are NaN, infinities, values beyond 1e30 (sentinels) and areas of exact zeros such
    as resampling leaves beside a footprint.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
    path : Path
        For messages.

    Raises
    ------
    FrameError
        Too small, no finite pixel, or constant.
    """
    height, width = pixels.shape
    if min(height, width) < _SMALLEST:
        raise FrameError(
            f"{path} is {width}x{height} px, expected at least {_SMALLEST}x{_SMALLEST}: give a whole frame"
        )
    missing = np.empty(pixels.shape, bool)
    for start in range(0, height, 256):  # in bands: no full-size temporaries
        rows = slice(start, start + 256)
        # NaN compares false; survey sentinels are near -3.4e38
        missing[rows] = ~(np.abs(pixels[rows]) < 1e30)
    if missing.all():
        raise FrameError(f"{path} holds no finite pixel, expected an image: leave this frame out")
    if missing.any():
        pixels[missing] = 0
    good = pixels[~missing] if missing.any() else pixels
    if good.min() == good.max():
        raise FrameError(f"{path} is constant ({good.flat[0]:g} everywhere): no exposure, leave it out")
    _mark_padding(pixels, missing)
    return missing


def _mark_padding(pixels: NDArray[np.float32], missing: NDArray[np.bool_]) -> None:
    """Add to `missing` the areas of exact zeros that resampling leaves beside a footprint."""
    zero = pixels == 0
    if np.count_nonzero(zero) < 9:
        return
    core = ndimage.binary_erosion(zero, np.ones((3, 3), bool), border_value=1)
    # noise of real pixels never gives 3x3 equal values, unless it is below the digits
    if core.any() and core.mean() < 0.9 and np.count_nonzero(core) > 0.2 * np.count_nonzero(zero):
        missing |= ndimage.binary_dilation(core, np.ones((3, 3), bool)) & zero
