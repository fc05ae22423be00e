"""The default detector: `sep`, which is Source Extractor's engine as a library."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import sep
from numpy.typing import NDArray

from .extraction import extract

__all__ = ["DEBLEND_CONTRAST", "DEBLEND_THRESHOLDS", "KERNEL", "ROW", "Detector", "detect_sep"]

#: The 3x3 pyramid every detector smooths with before it compares with the threshold.
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=np.float32)
#: Source Extractor's DEBLEND_NTHRESH and DEBLEND_MINCONT.
DEBLEND_THRESHOLDS = 32
DEBLEND_CONTRAST = 0.005

#: What a detector returns per source: barycentre (0-based pixels), peak and isophotal flux
#: (ADU), rms sizes a, b (pixels), angle (radians from x towards y), pixels, two flags.
ROW = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("peak", "f8"),
        ("flux", "f8"),
        ("a", "f8"),
        ("b", "f8"),
        ("theta", "f8"),
        ("npix", "i8"),
        ("blended", "?"),
        ("truncated", "?"),
    ]
)


class Detector(Protocol):
    """A function that finds the positive sources of a background-subtracted image.

    It takes the pixels (ADU, float32, shape (H, W)), the noise of each pixel (same shape),
    a bool mask of unusable pixels, the threshold in units of that noise (image smoothed by
    `KERNEL`, noise not) and the smallest number of connected pixels; it returns rows of
    dtype `ROW`. It raises `FrameError` when it cannot.
    """

    def __call__(
        self,
        pixels: NDArray[np.float32],
        noise: NDArray[np.float32],
        unusable: NDArray[np.bool_],
        threshold: float,
        min_area: int,
        /,
    ) -> NDArray[np.void]:
        """Return rows of dtype `ROW`."""
        ...


def detect_sep(
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32],
    unusable: NDArray[np.bool_],
    threshold: float,
    min_area: int,
) -> NDArray[np.void]:
    """Find positive sources with `sep.extract`; see `Detector`.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> star = np.float32(50 * np.exp(-((x - 20) ** 2 + (y - 40) ** 2) / 8))
    >>> rows = detect_sep(star, np.ones_like(star), np.zeros(star.shape, dtype=bool), 2.5, 5)
    >>> [(round(float(row["x"])), round(float(row["y"]))) for row in rows]
    [(20, 40)]
    """
    return _rows(
        extract(
            pixels,
            threshold,
            err=noise,
            mask=unusable,
            minarea=min_area,
            filter_kernel=KERNEL,
            filter_type="conv",  # threshold against the unsmoothed noise, as Source Extractor
            deblend_nthresh=DEBLEND_THRESHOLDS,
            contrast=DEBLEND_CONTRAST,
        )
    )


def _rows(found: NDArray[np.void]) -> NDArray[np.void]:
    rows = np.zeros(len(found), dtype=ROW)
    for name in ("x", "y", "peak", "flux", "a", "b", "theta", "npix"):
        rows[name] = found[name]
    rows["blended"] = (found["flag"] & sep.OBJ_MERGED) != 0
    rows["truncated"] = (found["flag"] & sep.OBJ_TRUNC) != 0
    return rows
