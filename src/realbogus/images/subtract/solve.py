"""The kernel's coefficients from star stamps: normal equations, clipped (Alard 2000, sec. 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ...errors import SubtractionError
from .basis import Basis, polynomial
from .stars import MIN_STARS

__all__ = ["Kernel", "Stamps", "normal_equations", "solve", "spatial_order"]

#: Spread expected of a zero-sum coefficient over the flux scale; tames directions that no star sees.
_PRIOR_SIGMA = 0.2


@dataclass(frozen=True)
class Stamps:
    """Normal equations of each star stamp, for coefficients local to it.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Centres, pixels.
    matrix : ndarray, shape (N, B + 1, B + 1)
        Weighted products of the basis-convolved stamps; the last row is the constant sky.
    vector : ndarray, shape (N, B + 1)
        Their weighted products with the target.
    square : ndarray, shape (N,)
        Weighted square of the target.
    pixels : ndarray, shape (N,)
        Number of pixels with weight.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    matrix: NDArray[np.float64]
    vector: NDArray[np.float64]
    square: NDArray[np.float64]
    pixels: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Kernel:
    """A spatially varying kernel and sky: target = convolved side (x) kernel + sky.

    Parameters
    ----------
    basis : Basis
    shape : (int, int)
        Of the frame.
    total : float
        Sum of the kernel, the same everywhere.
    varying : ndarray, shape (B - 1, terms)
        Polynomials of the zero-sum basis images.
    sky : ndarray, shape (sky terms,)
        Polynomial of the sky, ADU of the target.
    order, sky_order : int
        Degrees of the two polynomials.
    stars : int
        Stamps that were kept.
    """

    basis: Basis
    shape: tuple[int, int]
    total: float
    varying: NDArray[np.float64]
    sky: NDArray[np.float64]
    order: int
    sky_order: int
    stars: int

    def at(self, x: float, y: float) -> NDArray[np.float64]:
        """Kernel image at one position, shape (K, K)."""
        terms = polynomial(x, y, self.shape, self.order)
        coefficients = np.concatenate([[self.total], self.varying @ terms])
        return np.asarray(np.tensordot(coefficients, self.basis.kernels, 1))

    def sky_at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sky of the target at rows `y` and columns `x`, shape (len(y), len(x))."""
        columns, rows = np.meshgrid(x, y)
        return np.asarray(polynomial(columns, rows, self.shape, self.sky_order) @ self.sky)


def normal_equations(
    basis: Basis,
    sharp: NDArray[np.float64],
    target: NDArray[np.float64],
    weight: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    chunk: int = 32,
) -> Stamps:
    """Reduce star stamps to what `solve` needs, a few at a time.

    Parameters
    ----------
    basis : Basis
    sharp : ndarray, shape (N, S, S)
        Stamps of the side to convolve, with the kernel's margin.
    target, weight : ndarray, shape (N, T, T), T = S - 2 basis.half_width
        Stamps of the other side and their inverse variance (0 = do not use).
    x, y : ndarray, shape (N,)
    chunk : int
        Stamps held convolved at once.
    """
    n, b = len(sharp), len(basis)
    matrix, vector = np.empty((n, b + 1, b + 1)), np.empty((n, b + 1))
    flat, weights = target.reshape(n, -1), weight.reshape(n, -1)
    for start in range(0, n, chunk):
        part = slice(start, min(start + chunk, n))
        design = np.ones((part.stop - start, b + 1, flat.shape[1]))
        design[:, :b] = basis.convolve(sharp[part])
        weighted = design * weights[part, None]
        matrix[part] = weighted @ np.swapaxes(design, 1, 2)
        vector[part] = (weighted @ flat[part, :, None])[..., 0]
    square = (weights * flat**2).sum(1)
    return Stamps(x, y, matrix, vector, square, (weights > 0).sum(1).astype(np.float64))


def spatial_order(x: NDArray[np.float64], y: NDArray[np.float64], shape: tuple[int, int]) -> int:
    """Degree of the kernel's polynomial that so many stars, so spread, can carry: 0, 1 or 2.

    Examples
    --------
    >>> import numpy as np
    >>> spatial_order(np.full(100, 5.0), np.full(100, 5.0), (100, 100))
    0
    """
    n = len(x)
    thirds = {(int(3 * a // shape[1]), int(3 * b // shape[0])) for a, b in zip(x, y, strict=True)}
    quarters = {(int(2 * a // shape[1]), int(2 * b // shape[0])) for a, b in zip(x, y, strict=True)}
    if n >= 40 and len(thirds) >= 8:
        return 2
    return 1 if n >= 12 and len(quarters) == 4 else 0


def solve(
    stamps: Stamps,
    basis: Basis,
    shape: tuple[int, int],
    *,
    order: int,
    sky_order: int,
    scale: float,
    rounds: int = 6,
) -> Kernel:
    """Solve for the kernel, leave out stamps that fit badly, and solve again until none is left out.

    Parameters
    ----------
    stamps : Stamps
    basis : Basis
    shape : (int, int)
    order, sky_order : int
        Degrees of the polynomials of kernel and sky.
    scale : float
        Flux ratio target / convolved side, for the prior's width.
    rounds : int
        Most solutions tried.

    Raises
    ------
    SubtractionError
        Too few stamps, or equations that have no solution.
    """
    if len(stamps) < MIN_STARS:
        raise SubtractionError(
            f"{len(stamps)} clean kernel stars, {MIN_STARS} are needed: use a deeper or wider reference, "
            "or leave the frame out"
        )
    b = len(basis)
    terms = polynomial(stamps.x, stamps.y, shape, order)
    sky_terms = polynomial(stamps.x, stamps.y, shape, sky_order)
    groups = ((slice(0, 1), np.ones((len(stamps), 1))), (slice(1, b), terms), (slice(b, b + 1), sky_terms))
    good = np.ones(len(stamps), dtype=bool)
    for _ in range(rounds):
        solution = _solve_once(stamps, groups, good, scale)
        local = np.concatenate([block @ part.T for block, (_, part) in zip(solution, groups, strict=True)]).T
        model = np.einsum("ni,nij,nj->n", local, stamps.matrix, local, optimize=True)
        chi = (stamps.square - 2 * (local * stamps.vector).sum(1) + model) / np.maximum(stamps.pixels, 1)
        kept = good & (chi <= _limit(chi[good]))
        if kept.sum() < max(MIN_STARS, good.size // 2) or (kept == good).all():
            break
        good = kept
    total = float(solution[0][0, 0])
    return Kernel(basis, shape, total, solution[1], solution[2][0], order, sky_order, int(good.sum()))


def _limit(chi: NDArray[np.float64]) -> float:
    """Largest reduced chi^2 of a stamp that stays: four robust sigmas, and never below twice the median."""
    middle = float(np.median(chi))
    return max(middle + 4 * 1.4826 * float(np.median(np.abs(chi - middle))), 2 * middle)


def _solve_once(
    stamps: Stamps,
    groups: tuple[tuple[slice, NDArray[np.float64]], ...],
    good: NDArray[np.bool_],
    scale: float,
) -> list[NDArray[np.float64]]:
    """Coefficients (images in group, terms) of each group from the good stamps."""
    n = int(good.sum())
    rows = []
    for rows_slice, rows_terms in groups:
        row = []
        for cols_slice, cols_terms in groups:
            block = stamps.matrix[good, rows_slice, cols_slice]
            i, j = block.shape[1:]
            outer = (rows_terms[good, :, None] * cols_terms[good, None, :]).reshape(n, -1)
            mixed = (block.reshape(n, -1).T @ outer).reshape(i, j, rows_terms.shape[1], cols_terms.shape[1])
            row.append(mixed.transpose(0, 2, 1, 3).reshape(i * rows_terms.shape[1], -1))
        rows.append(np.concatenate(row, axis=1))
    matrix = np.concatenate(rows)
    vector = np.concatenate([(stamps.vector[good, part].T @ terms[good]).ravel() for part, terms in groups])
    sizes = [(part.stop - part.start, terms.shape[1]) for part, terms in groups]
    edges = np.cumsum([0] + [a * b for a, b in sizes])
    prior = np.zeros(len(matrix))
    prior[edges[1] : edges[2]] = 1 / (_PRIOR_SIGMA * scale) ** 2
    matrix[np.diag_indices_from(matrix)] += prior
    norm = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    matrix /= norm[:, None] * norm
    matrix[np.diag_indices_from(matrix)] += 1e-10
    try:
        found = cho_solve(cho_factor(matrix, overwrite_a=True), vector / norm) / norm
    except (LinAlgError, ValueError) as error:
        raise SubtractionError(
            f"the kernel's equations from {n} stars have no solution ({error}): "
            "check the frame for stars without signal, or leave it out"
        ) from None
    return [found[a:b].reshape(size) for a, b, size in zip(edges[:-1], edges[1:], sizes, strict=True)]
