"""Resampling against images that can be drawn exactly at the new place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from realbogus.errors import InputError
from realbogus.images.align import Transform, identity, shifted, warp, warp_mask
from realbogus.images.geometry import geometry_of
from realbogus.images.maps import Affine, Chain, Quadratic
from realbogus.images.warp import fill_masked, noise_factor

BENT = Quadratic((100.0, 80.0), 100.0, (100.7, 100.0, 2.0, 0.4, -0.3, 0.2), (79.4, -2.0, 100.0, 0.3, 0.2, -0.4))
TURN = Affine((0.9998, -0.0175, 3.3, 0.0175, 0.9998, -2.4))
SHAPE = (160, 200)


def made(forward: Affine | Quadratic) -> Transform:
    return Transform(forward, forward.inverse(), 0.0, 0, "stars")


def star(x: float, y: float, shape: tuple[int, int] = SHAPE, sigma: float = 1.6) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return (10000.0 * image).astype(np.float32)


@pytest.mark.parametrize("forward", [TURN, BENT, Affine.shift(0.37, -0.81)], ids=["turn", "bent", "shift"])
def test_a_star_lands_where_it_should_with_its_flux(forward: Affine | Quadratic) -> None:
    transform = made(forward)
    at = transform.to_source(np.float64(110.3), np.float64(70.6))
    out = warp(star(float(at[0]), float(at[1])), transform, SHAPE)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    assert out.dtype == np.float32
    assert out.sum() == pytest.approx(10000, rel=0.01)
    assert (out * columns).sum() / out.sum() == pytest.approx(110.3, abs=0.01)
    assert (out * rows).sum() / out.sum() == pytest.approx(70.6, abs=0.01)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_it_is_what_scipy_gives_at_the_exact_positions(order: int) -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 1.5).astype(np.float32)
    transform = made(BENT)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    x, y = BENT(columns, rows)
    expected = ndimage.map_coordinates(image.astype(float), (y, x), order=order, cval=-5.0)
    got = warp(image, transform, SHAPE, order=order, fill=-5.0)
    # Order 0 may round another way where a position lies within a thousandth of a pixel edge.
    assert np.mean(np.abs(got - expected) > 1e-3) < (5e-3 if order == 0 else 1e-4)


def test_positions_of_a_bent_grid_are_exact_to_a_thousandth() -> None:
    shape = (700, 900)
    transform = made(Quadratic((450.0, 350.0), 450.0, (450.0, 450.0, 0, 2.0, 1, 1), (350.0, 0, 450.0, 1, 1, 2.0)))
    geometry = geometry_of(transform, shape)
    assert geometry.matrix is None and geometry.spacing == 16
    for rows, (y, x) in geometry.strips():
        exact = transform.to_source(*np.meshgrid(np.arange(900.0), np.arange(700.0)[rows]))
        assert np.abs(x - exact[0]).max() < 1.1e-3 and np.abs(y - exact[1]).max() < 1.1e-3


def test_an_affine_chain_is_recognised_as_affine() -> None:
    inner = made(TURN)
    chain = Transform(Chain(TURN, Affine.shift(1, 1)), inner.to_target, 0, 0, "stars")
    assert geometry_of(chain, SHAPE).matrix is not None


def test_whole_shifts_copy_pixels_untouched() -> None:
    image = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    out = warp(image, shifted(identity(), -7, 5), SHAPE, fill=np.float32(-1))
    assert np.array_equal(out[:-5, 7:], image[5:, :-7])
    assert (out[-5:] == -1).all() and (out[:, :7] == -1).all()
    assert np.array_equal(warp(image, identity(), SHAPE), image)
    apart = warp(image, shifted(identity(), 500, 0), SHAPE, fill=3.0)
    assert (apart == 3).all()


def test_masked_pixels_neither_ring_nor_shine() -> None:
    image = np.full(SHAPE, 100, np.float32)
    bad = np.zeros(SHAPE, bool)
    image[50, 60], bad[50, 60] = 60000, True
    image[:, :10], bad[:, :10] = -9e5, True
    clean = warp(image, made(TURN), SHAPE, mask=bad, fill=100)
    assert np.abs(clean - 100).max() < 0.01
    dirty = warp(image, made(TURN), SHAPE, fill=100)
    assert np.abs(dirty - 100).max() > 1000


def test_fill_masked_follows_the_neighbourhood_and_leaves_the_input() -> None:
    rows, columns = np.mgrid[:60, :60]
    image = (3.0 * columns + rows).astype(np.float32)
    bad = np.zeros(image.shape, bool)
    bad[20:23, 30:32] = True
    spoilt = np.where(bad, 1e6, image).astype(np.float32)
    before = spoilt.copy()
    assert np.abs(fill_masked(spoilt, bad) - image)[bad].max() < 3.0
    assert np.array_equal(spoilt, before)
    assert (fill_masked(spoilt, np.ones_like(bad)) == 0).all()


def test_a_masked_pixel_masks_all_that_it_touches() -> None:
    bad = np.zeros(SHAPE, bool)
    bad[80, 100] = True
    half = warp_mask(bad, shifted(identity(), 0.5, 0.5), SHAPE)
    assert np.array_equal(np.argwhere(half[:-1, :-1]), [[79, 99], [79, 100], [80, 99], [80, 100]])
    assert half[-1].all() and half[:, -1].all()
    assert warp_mask(bad, identity(), SHAPE).sum() == 1
    turned = warp_mask(np.zeros(SHAPE, bool), made(TURN), SHAPE)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    x, y = TURN(columns, rows)
    assert np.array_equal(turned, (x < 0) | (x > SHAPE[1] - 1) | (y < 0) | (y > SHAPE[0] - 1))


@pytest.mark.parametrize("forward", [TURN, BENT, Affine.shift(0.5, 0.25), Affine.shift(4, 4)])
def test_noise_factor_is_the_variance_that_white_noise_keeps(forward: Affine | Quadratic) -> None:
    shape = (600, 600)
    white = np.random.default_rng(3).normal(size=(700, 700)).astype(np.float32)
    transform = shifted(made(forward), 30, 30)
    out = warp(white, transform, shape)
    assert noise_factor(transform, shape) == pytest.approx(out.var(), rel=0.02)


def test_an_impossible_order_is_refused() -> None:
    with pytest.raises(InputError, match="order 7, expected 0 to 5"):
        warp(np.zeros((4, 4), np.float32), identity(), (4, 4), order=7)
