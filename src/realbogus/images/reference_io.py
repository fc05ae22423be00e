"""References on disk: a multi-extension FITS of ours, or anybody's deep image."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError, OutputError
from .frame import Frame
from .headers import fits_text, fits_text_back
from .measure import Measurement, background, measure
from .read import read_frame
from .telescope import Telescope

if TYPE_CHECKING:
    from .reference import Reference

__all__ = ["read_reference", "write_reference"]

_FORMAT = 1
#: Header cards of the frame's numbers: keyword, attribute, comment.
_CARDS = (
    ("GAIN", "gain", "[e/ADU] effective: variance = flux / gain"),
    ("RDNOISE", "read_noise", "[e] effective"),
    ("SATURATE", "saturation", "[ADU] above sky"),
    ("EXPTIME", "exposure_s", "[s] of the frame that sets the zero point"),
    ("MJD-OBS", "mjd", "mean of the members, UTC"),
    ("FILTER", "band", ""),
    ("PIXSCALE", "pixel_scale_arcsec", "[arcsec/px]"),
    ("TELPROF", "telescope", "realbogus telescope profile"),
)
_MEASURED = (("RBSKY", "sky"), ("RBNOISE", "noise"), ("RBFWHM", "fwhm"), ("RBELL", "ellipticity"))


def write_reference(ref: Reference, path: Path | str) -> Path:
    """Write a reference as FITS with extensions SCI, MASK, NOISE, COVERAGE, PSF, STARS and MEMBERS.

    The file appears whole or not at all.

    Parameters
    ----------
    ref : Reference
        What `build_reference` returned.
    path : Path or str
        File to write; replaced if it exists.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        The folder is missing, full or not writable.
    """
    from astropy.io import fits

    path = Path(path)
    frame, m = ref.frame, ref.measurement
    header = frame.wcs.to_header(relax=True) if frame.wcs is not None else fits.Header()
    header["RBREF"] = (_FORMAT, "realbogus reference, version of the layout")
    for keyword, name, comment in _CARDS:
        value = getattr(frame, name)
        if value is not None and (isinstance(value, str) or np.isfinite(value)):
            header[keyword] = (fits_text(value) if isinstance(value, str) else value, comment)
    for keyword, name in _MEASURED:
        header[keyword] = float(getattr(m, name))
    names = [fits_text(name).encode() for name in ref.members]
    members = np.array([(name,) for name in names], dtype=[("name", f"S{max(map(len, names), default=1)}")])
    stars = np.array([tuple(row) for row in m.stars], dtype=[(c, "f8") for c in ("x", "y", "flux")])
    planes: list[Any] = [
        fits.PrimaryHDU(),
        fits.ImageHDU(frame.pixels, header, name="SCI"),
        fits.ImageHDU(frame.mask, name="MASK"),
        fits.ImageHDU(ref.noise, name="NOISE"),
        fits.ImageHDU(ref.coverage, name="COVERAGE"),
        fits.ImageHDU(m.psf, name="PSF"),
        fits.BinTableHDU(stars, name="STARS"),
        fits.BinTableHDU(members, name="MEMBERS"),
    ]
    # The suffix stays last, because it decides whether astropy compresses.
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        fits.HDUList(planes).writeto(partial, overwrite=True)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write the reference to {path}: {error}; give a writable place") from None
    return path


def read_reference(path: Path | str, telescope: str | Telescope = "generic") -> Reference:
    """Read a reference that `write_reference` wrote, or a plain FITS image of somebody else.

    Of a plain image the smooth sky is subtracted, the coverage is 1 and the noise map is
    its local background noise with the photon noise of its sources.

    Parameters
    ----------
    path : Path or str
        FITS file.
    telescope : str or Telescope
        Profile that a plain image is read with.

    Returns
    -------
    Reference

    Raises
    ------
    FrameError
        No such file, no FITS, no image in it, or a reference of ours that is incomplete.
    """
    from .reference import Reference

    path = Path(path)
    ours = _load(path)
    if ours is None:
        frame = read_frame(path, telescope)
        sky, rms = background(frame.pixels, frame.mask != 0)
        frame = frame.with_pixels(frame.pixels - sky)
        frame = replace(frame, saturation=frame.saturation - float(np.median(sky)))
        noise = np.sqrt(rms**2 + np.maximum(frame.pixels, 0) / np.float32(frame.gain))
        noise = np.asarray(noise, np.float32)
        coverage = np.ones(frame.shape, np.uint8)
        return Reference(frame, noise, coverage, measure(frame), (frame.name,))
    header, data = ours
    stars = np.column_stack([np.asarray(data["STARS"][c], float) for c in ("x", "y", "flux")])
    numbers = {name: float(header[keyword]) for keyword, name in _MEASURED}
    measurement = Measurement(**numbers, psf=_native(data["PSF"], np.float32), stars=stars)
    known = {name: header[keyword] for keyword, name, _ in _CARDS if keyword in header}
    facts: dict[str, Any] = {
        name: fits_text_back(value) if isinstance(value, str) else value for name, value in known.items()
    }
    frame = Frame(
        name=path.name,
        pixels=_native(data["SCI"], np.float32),
        mask=_native(data["MASK"], np.uint8),
        wcs=_wcs(header),
        **facts,
    )
    members = tuple(fits_text_back(str(name)) for name in data["MEMBERS"]["name"])
    return Reference(
        frame, _native(data["NOISE"], np.float32), _native(data["COVERAGE"], np.uint8), measurement, members
    )


def _load(path: Path) -> tuple[Any, dict[str, Any]] | None:
    """Header and extensions of a reference of ours; None for any other file."""
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdus:
            if "SCI" not in hdus or "RBREF" not in hdus["SCI"].header:
                return None
            header = hdus["SCI"].header
            if int(header["RBREF"]) > _FORMAT:
                raise FrameError(
                    f"{path} is a reference of layout {header['RBREF']}, this realbogus reads up to "
                    f"{_FORMAT}; update realbogus or build the reference again"
                )
            wanted = ("SCI", "MASK", "NOISE", "COVERAGE", "PSF", "STARS", "MEMBERS")
            missing = [name for name in wanted if name not in hdus]
            if missing:
                lacks = ", ".join(missing)
                raise FrameError(f"{path} is an incomplete reference, it lacks {lacks}; build it again")
            return header, {name: hdus[name].data for name in wanted}
    except FrameError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None  # read_frame says what is wrong with it, in one place


def _native(values: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype=kind)


def _wcs(header: Any) -> Any:
    from astropy.wcs import WCS

    if "CTYPE1" not in header:
        return None
    wcs = WCS(header)
    return wcs.celestial if wcs.has_celestial else None
