"""Detection by the Source Extractor program (Bertin & Arnouts 1996), where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ..errors import FrameError, InputError
from .detect_sep import DEBLEND_CONTRAST, DEBLEND_THRESHOLDS, KERNEL, ROW

__all__ = ["PROGRAMS", "detect_sextractor", "find_program"]

#: Names under which distributions install it.
PROGRAMS = ("source-extractor", "sextractor", "sex")

_COLUMNS = (
    "X_IMAGE",
    "Y_IMAGE",
    "FLUX_MAX",
    "FLUX_ISO",
    "A_IMAGE",
    "B_IMAGE",
    "THETA_IMAGE",
    "ISOAREAF_IMAGE",
    "FLAGS",
)
_BLENDED, _TRUNCATED, _OVERFLOW = 2, 8, 32  # its FLAGS; overflow of the deblending buffer counts as a blend
_FAR = 1e15  # rms of an unusable pixel; squared it still fits a float32
_LIMIT_S = 900.0


def find_program() -> str:
    """Return the path of the Source Extractor program.

    Raises
    ------
    InputError
        None of `PROGRAMS` is on PATH.
    """
    for name in PROGRAMS:
        path = shutil.which(name)
        if path:
            return path
    raise InputError(
        f"the detector 'source-extractor' needs its program, and none of {', '.join(PROGRAMS)} is on PATH: "
        "install it (Debian and Ubuntu: apt install source-extractor; conda: astromatic-source-extractor) "
        "or use method='sep', which finds the same sources without it"
    )


def detect_sextractor(
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32],
    unusable: NDArray[np.bool_],
    threshold: float,
    min_area: int,
) -> NDArray[np.void]:
    """Find positive sources with the Source Extractor program; see `Detector`.

    The image and its rms map go through a temporary folder (two float32 FITS files, gone
    afterwards). Background and noise are those handed in, nothing is measured again.

    Raises
    ------
    InputError
        The program is not installed.
    FrameError
        It failed or took longer than 15 minutes; the message holds its last words.
    """
    program = find_program()
    with tempfile.TemporaryDirectory(prefix="realbogus-sex-") as name:
        folder = Path(name)
        fits.PrimaryHDU(pixels).writeto(folder / "image.fits")
        rms = np.where(unusable, np.float32(_FAR), noise)
        fits.PrimaryHDU(rms).writeto(folder / "rms.fits")
        del rms
        (folder / "columns.param").write_text("\n".join(_COLUMNS) + "\n", encoding="ascii")
        kernel = "\n".join(" ".join(f"{value:g}" for value in row) for row in KERNEL)
        (folder / "kernel.conv").write_text(f"CONV NORM\n{kernel}\n", encoding="ascii")
        options = _options(threshold, min_area, pixels.size)
        settings = "".join(f"{key} {value}\n" for key, value in options.items())
        (folder / "settings.sex").write_text(settings, encoding="ascii")
        try:
            done = subprocess.run(
                [program, "image.fits", "-c", "settings.sex"],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FrameError(f"{program} did not finish: {error}; use method='sep'") from error
        catalogue = folder / "catalogue.txt"
        if done.returncode != 0 or not catalogue.exists():
            words = " ".join(done.stderr.split())[-300:]
            raise FrameError(f"{program} ended with code {done.returncode}: {words}; use method='sep'")
        return _rows(catalogue)


def _options(threshold: float, min_area: int, size: int) -> dict[str, str]:
    """Return the settings that make Source Extractor do what `detect_sep` does."""
    return {
        "CATALOG_NAME": "catalogue.txt",
        "CATALOG_TYPE": "ASCII",
        "PARAMETERS_NAME": "columns.param",
        "FILTER": "Y",
        "FILTER_NAME": "kernel.conv",
        "DETECT_TYPE": "CCD",
        "DETECT_MINAREA": str(min_area),
        "THRESH_TYPE": "RELATIVE",
        "DETECT_THRESH": repr(threshold),
        "ANALYSIS_THRESH": repr(threshold),
        "DEBLEND_NTHRESH": str(DEBLEND_THRESHOLDS),
        "DEBLEND_MINCONT": str(DEBLEND_CONTRAST),
        "CLEAN": "Y",
        "CLEAN_PARAM": "1.0",
        "WEIGHT_TYPE": "MAP_RMS",
        "WEIGHT_IMAGE": "rms.fits",
        "WEIGHT_THRESH": repr(_FAR / 10),
        "INTERP_TYPE": "NONE",
        "BACK_TYPE": "MANUAL",
        "BACK_VALUE": "0.0",
        "SATUR_KEY": "NONE",
        "SATUR_LEVEL": "1e29",
        "MEMORY_OBJSTACK": "10000",
        "MEMORY_PIXSTACK": str(min(max(300_000, size // 8), 8_000_000)),
        "MEMORY_BUFSIZE": "2048",
        "NTHREADS": "1",
        "WRITE_XML": "N",
        "VERBOSE_TYPE": "QUIET",
    }


def _rows(catalogue: Path) -> NDArray[np.void]:
    text = catalogue.read_text(encoding="ascii")
    table = np.array(text.split(), dtype=np.float64).reshape(-1, len(_COLUMNS))
    value = dict(zip(_COLUMNS, table.T, strict=True))
    flags = value["FLAGS"].astype(np.int64)
    rows = np.zeros(len(table), dtype=ROW)
    rows["x"], rows["y"] = value["X_IMAGE"] - 1, value["Y_IMAGE"] - 1  # FITS counts from 1
    rows["peak"], rows["flux"] = value["FLUX_MAX"], value["FLUX_ISO"]
    rows["a"], rows["b"], rows["theta"] = value["A_IMAGE"], value["B_IMAGE"], np.deg2rad(value["THETA_IMAGE"])
    rows["npix"] = value["ISOAREAF_IMAGE"]
    rows["blended"] = (flags & (_BLENDED | _OVERFLOW)) != 0
    rows["truncated"] = (flags & _TRUNCATED) != 0
    return rows
