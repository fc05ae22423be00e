"""The default detector: `sep`, which is Source Extractor's engine as a library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import sep
from numpy.typing import NDArray

from ..errors import FrameError

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

_STACK = 300_000  # sep's own default
_LARGEST_STACK = 8_000_000  # pixels, about 0.2 GB inside sep
_SUB_OBJECTS = 1024  # sep's own default


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

    sep keeps the pixels of open objects in a buffer of fixed size and gives up when it, or
    the table of deblended parts, is full. Then the limits grow, at last without deblending.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> star = np.float32(50 * np.exp(-((x - 20) ** 2 + (y - 40) ** 2) / 8))
    >>> rows = detect_sep(star, np.ones_like(star), np.zeros(star.shape, dtype=bool), 2.5, 5)
    >>> [(round(float(row["x"])), round(float(row["y"]))) for row in rows]
    [(20, 40)]
    """
    largest = min(max(pixels.size, _STACK), _LARGEST_STACK)
    tries = (
        (min(max(_STACK, pixels.size // 16), largest), _SUB_OBJECTS, DEBLEND_CONTRAST),
        (largest, 16 * _SUB_OBJECTS, DEBLEND_CONTRAST),
        (largest, 16 * _SUB_OBJECTS, 1.0),
    )
    reason: Exception | None = None
    for stack, parts, contrast in tries:
        try:
            with _limits(stack, parts):
                found = sep.extract(
                    pixels,
                    threshold,
                    err=noise,
                    mask=unusable,
                    minarea=min_area,
                    filter_kernel=KERNEL,
                    filter_type="conv",  # threshold against the unsmoothed noise, as Source Extractor
                    deblend_nthresh=DEBLEND_THRESHOLDS,
                    deblend_cont=contrast,
                )
        except Exception as error:  # sep raises nothing more particular
            reason = error
        else:
            return _rows(found)
    raise FrameError(
        f"sep found too much above {threshold:g} sigma in {pixels.shape[1]}x{pixels.shape[0]} pixels "
        f"({reason}): the difference or its noise map is wrong, or raise `threshold`"
    ) from reason


@contextmanager
def _limits(stack: int, parts: int) -> Iterator[None]:
    """Set sep's process-wide buffer sizes for one call and put the old ones back."""
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    sep.set_extract_pixstack(stack)
    sep.set_sub_object_limit(parts)
    try:
        yield
    finally:
        sep.set_extract_pixstack(before[0])
        sep.set_sub_object_limit(before[1])


def _rows(found: NDArray[np.void]) -> NDArray[np.void]:
    rows = np.zeros(len(found), dtype=ROW)
    for name in ("x", "y", "peak", "flux", "a", "b", "theta", "npix"):
        rows[name] = found[name]
    rows["blended"] = (found["flag"] & sep.OBJ_MERGED) != 0
    rows["truncated"] = (found["flag"] & sep.OBJ_TRUNC) != 0
    return rows
