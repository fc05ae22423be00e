"""Source positions of every pixel of a target grid, exact to a thousandth of a pixel and cheap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .align import Transform

__all__ = ["Geometry", "geometry_of"]

#: Largest error of interpolated positions, pixels.
_EXACT = 1e-3
_ROWS = 128


@dataclass(frozen=True)
class Geometry:
    """Source positions of a whole target grid, at three levels of simplicity.

    Parameters
    ----------
    transform : Transform
        Target to source.
    shape : tuple of int
        (H, W) of the target grid.
    matrix : ndarray of float64, shape (2, 3), or None
        The affine map on (x, y, 1), where the transform is one.
    whole_shift : tuple of int or None
        source - target (x, y), where the transform is a whole-pixel shift.
    spacing : int
        Pixels between the nodes at which any other transform is evaluated.
    """

    transform: Transform
    shape: tuple[int, int]
    matrix: NDArray[np.float64] | None
    whole_shift: tuple[int, int] | None
    spacing: int

    def strips(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield row slices with the source positions (y, x) of their pixels."""
        height, width = self.shape
        columns = np.arange(width, dtype=float)
        for start in range(0, height, _ROWS):
            lines = np.arange(start, min(start + _ROWS, height), dtype=float)
            rows = slice(start, start + len(lines))
            if self.matrix is not None:
                m = self.matrix
                x, y = (m[k, 0] * columns + (m[k, 1] * lines + m[k, 2])[:, None] for k in (0, 1))
            else:
                x, y = self._interpolated(lines, columns)
            yield rows, np.stack([y, x])

    def _interpolated(
        self, lines: NDArray[np.float64], columns: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.spacing <= 1:
            return self.transform.to_source(*np.meshgrid(columns, lines))
        nodes = [_nodes(axis[0], axis[-1], self.spacing) for axis in (columns, lines)]
        coarse = np.stack(self.transform.to_source(*np.meshgrid(*nodes)))
        # Cells that touch a position the WCS cannot reach fall outside the source as a whole.
        coarse = np.where(np.isfinite(coarse), coarse, -1e9)
        i, u = _cell(nodes[0], columns)
        j, v = _cell(nodes[1], lines)
        along = coarse[:, :, i] * (1 - u) + coarse[:, :, i + 1] * u
        fine = along[:, j] * (1 - v)[:, None] + along[:, j + 1] * v[:, None]
        return fine[0], fine[1]


def _nodes(first: float, last: float, spacing: int) -> NDArray[np.float64]:
    count = max(int(np.ceil((last - first) / spacing)), 1)
    return np.linspace(first, max(last, first + 1.0), count + 1)


def _cell(nodes: NDArray[np.float64], at: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    place = (at - nodes[0]) / (nodes[1] - nodes[0])
    index = np.clip(place.astype(np.intp), 0, len(nodes) - 2)
    return index, place - index


def geometry_of(transform: Transform, shape: tuple[int, int]) -> Geometry:
    """Find the simplest description of a transform that is exact to `_EXACT`."""
    height, width = shape
    x, y = np.meshgrid(np.linspace(0, width - 1, 33), np.linspace(0, height - 1, 33))
    source = np.stack(transform.to_source(x, y))
    finite = np.isfinite(source).all(axis=0)
    if finite.all():
        design = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)])
        solution = np.linalg.lstsq(design, source.reshape(2, -1).T, rcond=None)[0]
        if np.abs(design @ solution - source.reshape(2, -1).T).max() < _EXACT:
            matrix = np.asarray(solution.T)
            shift = np.round(matrix[:, 2])
            copied = source - np.stack([x, y]) - shift[:, None, None]
            whole = (int(shift[0]), int(shift[1])) if np.abs(copied).max() < _EXACT else None
            return Geometry(transform, shape, matrix, whole, 0)
    spacing = 32
    while spacing > 1 and _sagitta(transform, x[finite], y[finite], spacing) > _EXACT:
        spacing //= 2
    return Geometry(transform, shape, None, None, spacing)


def _sagitta(transform: Transform, x: NDArray[np.float64], y: NDArray[np.float64], spacing: int) -> float:
    """Largest error of bilinear interpolation across a cell of `spacing` pixels."""
    if not len(x):
        return 0.0
    half = spacing / 2
    corners = [np.stack(transform.to_source(x + dx, y + dy)) for dx in (-half, half) for dy in (-half, half)]
    miss = np.mean(corners, axis=0) - np.stack(transform.to_source(x, y))
    return float(np.abs(miss[np.isfinite(miss)]).max(initial=0.0))
