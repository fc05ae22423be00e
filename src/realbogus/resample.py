"""Resampling about the centre of a stamp, as a product with a matrix."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["resampling_matrix", "resampling_window"]


def resampling_matrix(size_in: int, size_out: int, step: float) -> NDArray[np.float32]:
    """Weights that resample a row of pixels about its centre pixel.

    Output pixel j samples the input at `size_in // 2 + (j - size_out // 2) * step` with a
    Catmull-Rom cubic, stretched by `step` where the output is coarser than the input so
    that nothing aliases. Samples outside the input count as zero.

    Parameters
    ----------
    size_in, size_out : int
        Number of pixels of a row before and after.
    step : float
        Input pixels an output pixel.

    Returns
    -------
    ndarray of float32, shape (size_out, size_in)

    Examples
    --------
    >>> bool(np.allclose(resampling_matrix(5, 5, 1.0), np.eye(5)))
    True
    """
    centre = size_in // 2 + (np.arange(size_out) - size_out // 2) * step
    width = max(step, 1.0)
    t = np.abs(np.arange(size_in)[None, :] - centre[:, None]) / width
    near = 1.5 * t**3 - 2.5 * t**2 + 1.0
    far = -0.5 * t**3 + 2.5 * t**2 - 4.0 * t + 2.0
    weights = np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0)) / width
    # Normalise over an unbounded row, so that pixels off the edge dim a sample instead of stretching it.
    return weights.astype(np.float32)


@lru_cache(maxsize=4096)
def resampling_window(size_in: int, size_out: int, step: float) -> tuple[int, int, NDArray[np.float32]]:
    """Return the pixels that `resampling_matrix` looks at, from `first` to before `last`, and the matrix for these.

    Examples
    --------
    >>> first, last, matrix = resampling_window(64, 32, 1.0)
    >>> first, last, matrix.shape
    (16, 48, (32, 32))
    """
    matrix = resampling_matrix(size_in, size_out, step)
    seen = np.flatnonzero(matrix.any(axis=0))
    first, last = int(seen[0]), int(seen[-1]) + 1
    part = np.ascontiguousarray(matrix[:, first:last])
    part.setflags(write=False)
    return first, last, part
