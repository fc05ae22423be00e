"""Pixel maps: small frozen functions (x, y) -> (x, y) that survive pickling.

A night spreads over processes, so a `Transform` holds instances of these and no lambdas.

Examples
--------
>>> from realbogus.images.maps import Affine
>>> move = Affine.shift(3.0, -1.0)
>>> [float(v) for v in move(1.0, 1.0)]
[4.0, 0.0]
>>> [float(v) for v in move.inverse()(4.0, 0.0)]
[1.0, 1.0]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["Affine", "Chain", "PixelMap", "Quadratic", "QuadraticInverse", "WcsMap"]

_Points = NDArray[np.float64]

#: Any vectorised function of pixel positions.
PixelMap = Callable[[Any, Any], tuple[_Points, _Points]]


@dataclass(frozen=True)
class Affine:
    """x' = a x + b y + c, y' = d x + e y + f.

    Parameters
    ----------
    coefficients : tuple of six floats
        (a, b, c, d, e, f).
    """

    coefficients: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

    def __call__(self, x: ArrayLike, y: ArrayLike) -> tuple[_Points, _Points]:
        """Map positions; arrays of any one shape."""
        a, b, c, d, e, f = self.coefficients
        x, y = np.asarray(x, float), np.asarray(y, float)
        return a * x + b * y + c, d * x + e * y + f

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.float64]) -> Affine:
        """Take the first two rows of a 2x3 or 3x3 matrix that acts on (x, y, 1)."""
        a, b, c, d, e, f = (float(v) for v in np.asarray(matrix, float)[:2].ravel())
        return cls((a, b, c, d, e, f))

    @classmethod
    def shift(cls, dx: float, dy: float) -> Affine:
        """Return the map that adds (dx, dy) pixels."""
        return cls((1.0, 0.0, float(dx), 0.0, 1.0, float(dy)))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The 3x3 matrix that acts on (x, y, 1)."""
        return np.vstack([np.reshape(self.coefficients, (2, 3)), [0.0, 0.0, 1.0]])

    def inverse(self) -> Affine:
        """Return the map back."""
        return Affine.from_matrix(np.asarray(np.linalg.inv(self.matrix), float))


@dataclass(frozen=True)
class Quadratic:
    """A full second-order polynomial in positions normalised to about [-1, 1].

    Parameters
    ----------
    centre : tuple of two floats
        Position that is the origin of the normalised positions u, v; pixels.
    scale : float
        Pixels that one unit of u, v spans.
    x_terms, y_terms : tuple of six floats
        Factors of 1, u, v, u^2, u v, v^2; pixels.
    """

    centre: tuple[float, float]
    scale: float
    x_terms: tuple[float, ...]
    y_terms: tuple[float, ...]

    def __call__(self, x: ArrayLike, y: ArrayLike) -> tuple[_Points, _Points]:
        """Map positions; arrays of any one shape."""
        u = (np.asarray(x, float) - self.centre[0]) / self.scale
        v = (np.asarray(y, float) - self.centre[1]) / self.scale

        def polynomial(k: tuple[float, ...]) -> _Points:
            return np.asarray(k[0] + u * (k[1] + k[3] * u + k[4] * v) + v * (k[2] + k[5] * v))

        return polynomial(self.x_terms), polynomial(self.y_terms)

    def inverse(self) -> QuadraticInverse:
        """Return the map back."""
        return QuadraticInverse(self)


@dataclass(frozen=True)
class QuadraticInverse:
    """The inverse of a `Quadratic` whose linear part dominates, by fixed-point steps.

    Each step applies the inverse linear part to what is still missing, so the error falls
    by the ratio of the quadratic to the linear terms (below 1e-2 between sky frames).
    """

    forward: Quadratic
    steps: int = 6

    def __call__(self, x: ArrayLike, y: ArrayLike) -> tuple[_Points, _Points]:
        """Map positions; arrays of any one shape."""
        q = self.forward
        linear = np.linalg.inv(np.array([q.x_terms[1:3], q.y_terms[1:3]])) * q.scale
        x, y = np.asarray(x, float), np.asarray(y, float)
        s, t = np.full(x.shape, q.centre[0]), np.full(y.shape, q.centre[1])
        for _ in range(self.steps):
            at_x, at_y = q(s, t)
            miss_x, miss_y = x - at_x, y - at_y
            s = s + linear[0, 0] * miss_x + linear[0, 1] * miss_y
            t = t + linear[1, 0] * miss_x + linear[1, 1] * miss_y
        return s, t


@dataclass(frozen=True, eq=False)
class WcsMap:
    """Pixels of one frame to the sky to pixels of another.

    Parameters
    ----------
    start, end : astropy.wcs.WCS
        Celestial WCS of the frame mapped from and of the frame mapped to.

    Positions that one of the projections cannot reach come out as NaN.
    """

    start: WCS
    end: WCS

    def __call__(self, x: ArrayLike, y: ArrayLike) -> tuple[_Points, _Points]:
        """Map positions; arrays of any one shape."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        # Fixed points of the distortion outside the frame may not converge: quiet gives the best found.
        lon, lat = self.start.all_pix2world(x.ravel(), y.ravel(), 0)
        at_x, at_y = self.end.all_world2pix(lon, lat, 0, quiet=True)
        return np.reshape(at_x, x.shape).astype(float), np.reshape(at_y, y.shape).astype(float)


@dataclass(frozen=True, eq=False)
class Chain:
    """First one map, then the next."""

    first: PixelMap
    then: PixelMap

    def __call__(self, x: ArrayLike, y: ArrayLike) -> tuple[_Points, _Points]:
        """Map positions; arrays of any one shape."""
        return self.then(*self.first(x, y))
