"""`sep.extract` that does not give up: its fixed buffers grow when a crowded image fills them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from ..errors import FrameError

__all__ = ["extract"]

_STACK = 300_000  # sep's own default
_LARGEST_STACK = 8_000_000  # pixels, about 0.2 GB inside sep
_SUB_OBJECTS = 1024  # sep's own default


def extract(pixels: NDArray[np.float32], threshold: float, *, contrast: float, **options: Any) -> Any:
    """Call `sep.extract`, with larger buffers where it runs out of them, at last without deblending.

    Parameters
    ----------
    pixels : ndarray of float32, shape (H, W)
        Background-subtracted.
    threshold : float
        As `sep.extract` takes it.
    contrast : float
        Its `deblend_cont`.
    **options
        Its other options.

    Returns
    -------
    Whatever `sep.extract` returns.

    Raises
    ------
    FrameError
        The image holds more than the largest buffers do.
    """
    largest = min(max(pixels.size, _STACK), _LARGEST_STACK)
    tries = (
        (min(max(_STACK, pixels.size // 16), largest), _SUB_OBJECTS, contrast),
        (largest, 16 * _SUB_OBJECTS, contrast),
        (largest, 16 * _SUB_OBJECTS, 1.0),
    )
    reason: Exception | None = None
    for stack, parts, level in tries:
        try:
            with _limits(stack, parts):
                return sep.extract(pixels, threshold, deblend_cont=level, **options)
        except Exception as error:  # sep raises nothing more particular
            reason = error
    raise FrameError(
        f"sep found too much above {threshold:g} in {pixels.shape[1]}x{pixels.shape[0]} pixels ({reason}): "
        "the image or its noise is wrong, or raise the threshold"
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
