"""Frames to FITS, with all that this package knows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError
from .frame import Frame
from .headers import fits_text

__all__ = ["write_frame"]


def write_frame(frame: Frame, path: Path | str, *, compress: bool = False) -> Path:
    """Write a frame as FITS that `read_frame` (profile "generic") reads back.

    Parameters
    ----------
    frame : Frame
    path : Path or str
        Written anew; the folder must exist.
    compress : bool
        Tile-compress losslessly (gzip); give the name .fz then.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    from astropy.io import fits

    path = Path(path)
    header = frame.wcs.to_header(relax=True) if frame.wcs is not None else fits.Header()
    cards = {
        "GAIN": (frame.gain, "e/ADU"),
        "RDNOISE": (frame.read_noise, "e"),
        "SATURATE": (frame.saturation if np.isfinite(frame.saturation) else None, "ADU"),
        "EXPTIME": (frame.exposure_s, "s"),
        "MJD-MID": (frame.mjd, "middle of the exposure, UTC"),
        "FILTER": (frame.band, ""),
        "PIXSCALE": (frame.pixel_scale_arcsec, "arcsec per pixel"),
        "RBTEL": (frame.telescope, "telescope profile"),
    }
    for key, (value, comment) in cards.items():
        if value is not None:
            header[key] = (fits_text(value) if isinstance(value, str) else value, comment)
    hdus: list[Any] = [fits.PrimaryHDU()]
    mask_header = fits.Header({"RBMASK": True})
    if compress:
        lossless = {"compression_type": "GZIP_2", "quantize_level": 0}
        hdus.append(fits.CompImageHDU(frame.pixels, header, name="SCI", **lossless))
        hdus.append(fits.CompImageHDU(frame.mask, mask_header, name="MASK", compression_type="GZIP_1"))
    else:
        hdus.append(fits.ImageHDU(frame.pixels, header, name="SCI"))
        hdus.append(fits.ImageHDU(frame.mask, mask_header, name="MASK"))
    try:
        fits.HDUList(hdus).writeto(path, overwrite=True, output_verify="silentfix")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}): give a writable folder with room") from None
    return path
