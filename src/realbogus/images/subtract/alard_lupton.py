"""Image subtraction by a fitted, spatially varying kernel (Alard & Lupton 1998; Alard 2000)."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import NDArray

from ...errors import SubtractionError
from ..frame import BAD, NODATA, SATURATED
from .apply import patched, subtract_tiles
from .basis import Basis, size_basis
from .noise import correlation_factor, psf_weight
from .pair import Matched, Pair
from .solve import Kernel, Stamps, normal_equations, solve, spatial_order
from .stars import MIN_STARS, Stars, choose_stamps

__all__ = ["alard_lupton", "fit_kernel", "side_to_convolve"]

#: Share of a pixel's flux that no kernel of this basis can be asked to fit.
_MODEL_ERROR = 0.01
_MAX_STAMPS_HALF = 20


def side_to_convolve(pair: Pair) -> str:
    """Return "reference" or "science": the sharper side, and the deeper one where they are alike.

    Making a PSF sharper than it is gives rings; a difference of 3 % does not yet.
    """
    return "reference" if pair.science_fwhm >= 0.97 * pair.reference_fwhm else "science"


def alard_lupton(pair: Pair, *, jobs: int = 2, order: int | None = None) -> Matched:
    """Match the sharper side to the broader one and subtract.

    Parameters
    ----------
    pair : Pair
    jobs : int
        Threads of the convolution.
    order : int, optional
        Degree of the kernel's polynomial over the frame; by default what the number and the
        spread of the stars carry, at most 2.

    Returns
    -------
    Matched

    Raises
    ------
    SubtractionError
        Fewer than three clean kernel stars, or a kernel without flux.
    """
    convolve = side_to_convolve(pair)
    kernel = fit_kernel(pair, convolve=convolve, order=order)
    height, width = pair.shape
    if not (np.isfinite(kernel.total) and kernel.total > 0):
        raise SubtractionError(
            f"the kernel's sum is {kernel.total:.3g}, a positive flux ratio was expected: "
            "check the alignment of the frame, or leave it out"
        )
    pixels, noise = subtract_tiles(pair, kernel, convolve=convolve, jobs=jobs)
    middle = kernel.at((width - 1) / 2, (height - 1) / 2)
    var_reference = pair.reference_sky**2
    var_science = pair.science_noise**2
    spread = float((middle**2).sum())
    if convolve == "reference":
        white = var_science / (var_science + var_reference * spread)
    else:
        white = var_reference / (var_reference + var_science * spread)
    return Matched(
        pixels=pixels,
        noise=noise,
        convolved=convolve,
        scale=kernel.total if convolve == "reference" else 1 / kernel.total,
        stars=kernel.stars,
        correlation=correlation_factor(middle, white),
        psf_correlation=correlation_factor(middle, white, psf_weight(pair.broad_fwhm)),
        reach=_reach(middle),
    )


def fit_kernel(pair: Pair, *, convolve: str, order: int | None = None) -> Kernel:
    """Choose the basis and the stars, and solve for the kernel.

    Parameters
    ----------
    pair : Pair
    convolve : str
        "reference" or "science".
    order : int, optional
        See `alard_lupton`.
    """
    fwhm = pair.broad_fwhm
    half = int(np.clip(np.ceil(2.0 * fwhm) + 2, 6, _MAX_STAMPS_HALF))
    sharp_fwhm = min(pair.science_fwhm, pair.reference_fwhm)
    unfit = ((pair.science_mask | pair.reference_mask) & np.uint8(NODATA | SATURATED | BAD)) != 0
    margin = size_basis(sharp_fwhm, fwhm, stars=len(pair.stars)).half_width
    stars = choose_stamps(pair.stars, pair.scale, unfit, half_width=half + margin, core=int(np.ceil(fwhm)))
    if len(stars) < MIN_STARS:
        raise SubtractionError(
            f"{len(stars)} of {len(pair.stars)} common stars are clean, constant and off the border, "
            f"{MIN_STARS} are needed: use a reference with more overlap, or leave the frame out"
        )
    basis = size_basis(sharp_fwhm, fwhm, stars=len(stars))
    stamps = _stamps(pair, basis, stars, convolve, half)
    if order is None:
        order = spatial_order(stars.x, stars.y, pair.shape)
    scale = pair.scale.value if convolve == "reference" else 1 / pair.scale.value
    return solve(stamps, basis, pair.shape, order=order, sky_order=min(order, 1), scale=scale)


def _stamps(pair: Pair, basis: Basis, stars: Stars, convolve: str, half: int) -> Stamps:
    """Cut the stamps of both sides with their weights and reduce them to normal equations."""
    sides = ((pair.reference, pair.reference_mask), (pair.science, pair.science_mask))
    (sharp, sharp_mask), (target, target_mask) = sides if convolve == "reference" else sides[::-1]
    # science and reference ADU in those of the target
    units = (1.0, pair.scale.value) if convolve == "reference" else (1 / pair.scale.value, 1.0)
    margin = basis.half_width
    wide = half + margin
    images, targets, weights = [], [], []
    for a, b in zip(np.rint(stars.x).astype(int), np.rint(stars.y).astype(int), strict=True):
        outer = np.s_[b - wide : b + wide + 1, a - wide : a + wide + 1]
        inner = np.s_[b - half : b + half + 1, a - half : a + half + 1]
        data = target[inner].astype(np.float64)
        signal = np.maximum(_smooth(data), 0)
        other = pair.reference_variance(operator.itemgetter(inner))
        sky = (units[0] * pair.science_noise) ** 2 + units[1] ** 2 * other
        weight = 1 / (sky + units[0] * signal / pair.gain + (_MODEL_ERROR * signal) ** 2)
        weight[_near(sharp_mask[outer])[margin:-margin, margin:-margin] | (target_mask[inner] != 0)] = 0
        images.append(patched(sharp[outer], sharp_mask[outer]).astype(np.float64))
        targets.append(data)
        weights.append(weight)
    return normal_equations(basis, np.stack(images), np.stack(targets), np.stack(weights), stars.x, stars.y)


def _smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """3x3 mean: weights that follow a pixel's own noise would pull the fit down."""
    wide = np.pad(image, 1, mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9)


def _near(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark flagged pixels of the convolved side and those beside them: their repair is only a guess."""
    wide = np.pad(mask != 0, 1)
    rows = wide[:-2] | wide[1:-1] | wide[2:]
    return np.asarray(rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:])


def _reach(kernel: NDArray[np.float64]) -> int:
    """Half-width of the square that holds 95 % of the kernel's absolute sum."""
    half = kernel.shape[0] // 2
    weight = np.abs(kernel)
    for reach in range(half):
        part = slice(half - reach, half + reach + 1)
        if weight[part, part].sum() >= 0.95 * weight.sum():
            return int(reach)
    return int(half)
