"""Alignment against transforms that are known because the tests made them."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.errors import AlignmentError
from realbogus.images.align import (
    Transform,
    find_transform,
    identity,
    inverse,
    overlap,
    shifted,
    union_grid,
)
from realbogus.images.frame import Frame
from realbogus.images.grid import grid_wcs
from realbogus.images.maps import Affine, Chain, Quadratic, WcsMap
from realbogus.images.measure import Measurement, measure
from realbogus.images.read import find_frames, read_frame

SHAPE = (600, 800)
PSF = np.ones((1, 1), np.float32)
Points = NDArray[np.float64]


def frame(shape: tuple[int, int] = SHAPE, name: str = "a.fits", wcs: object = None) -> Frame:
    pixels = np.zeros(shape, np.float32)
    return Frame(name, pixels, np.zeros(shape, np.uint8), wcs=wcs)  # type: ignore[arg-type]


def measurement(stars: Points) -> Measurement:
    return Measurement(0.0, 1.0, 3.0, 0.0, PSF, stars[np.argsort(-stars[:, 2])])


def sky(n: int, rng: np.random.Generator, room: float = 300.0) -> Points:
    """Stars of a field larger than the frame."""
    x, y = rng.uniform(-room, SHAPE[1] + room, n), rng.uniform(-room, SHAPE[0] + room, n)
    return np.column_stack([x, y, 200.0 * rng.pareto(1.2, n) + 200.0])


def seen(stars: Points, to_source: Callable, rng: np.random.Generator, jitter: float = 0.05) -> Points:
    """The part of a field that a frame sees, with centroid errors and 10 % flux errors."""
    x, y = to_source(stars[:, 0], stars[:, 1])
    flux = stars[:, 2] * rng.normal(1.0, 0.1, len(stars))
    found = np.column_stack([x, y, flux]) + rng.normal(0, jitter, (len(x), 3)) * [1, 1, 0]
    inside = (x > 0) & (x < SHAPE[1] - 1) & (y > 0) & (y < SHAPE[0] - 1)
    return found[inside]


def turned(degrees: float, dx: float, dy: float, scale: float = 1.0, mirror: float = 1.0) -> Affine:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return Affine((mirror * c, -s, dx, mirror * s, c, dy))


def miss(found: Transform, truth: Callable) -> float:
    """Largest error over the middle of the frame."""
    x, y = np.meshgrid(np.linspace(200, 600, 9), np.linspace(150, 450, 9))
    return float(np.hypot(*(a - b for a, b in zip(found.to_source(x, y), truth(x, y), strict=True))).max())


@pytest.mark.parametrize(
    "truth",
    [
        turned(0.0, 3.3, -2.6),
        turned(0.6, 270.0, -63.0),
        turned(37.0, 300.0, -180.0),
        turned(180.0, 795.0, 610.0),
        turned(4.0, 30.0, 5.0, scale=1.25),
        turned(2.0, 790.0, 10.0, mirror=-1.0),
    ],
    ids=["shift", "drift", "rotation", "meridian flip", "scale", "mirror"],
)
def test_recovers_a_known_transform_among_outliers(truth: Affine) -> None:
    rng = np.random.default_rng(5)
    stars = sky(500, rng)
    target, source = seen(stars, Affine(), rng), seen(stars, truth, rng)
    lone = np.column_stack([rng.uniform(0, 800, 40), rng.uniform(0, 600, 40), rng.uniform(300, 3000, 40)])
    other = np.column_stack([rng.uniform(0, 800, 40), rng.uniform(0, 600, 40), rng.uniform(300, 3000, 40)])
    found = find_transform(
        frame(), measurement(np.vstack([source, lone])), frame(), measurement(np.vstack([target, other]))
    )
    assert found.method == "stars"
    assert miss(found, truth) < 0.05
    # 0.05 px per axis and frame: rms distance sqrt(4) * 0.05.
    assert found.residual_px == pytest.approx(0.1, rel=0.35)
    x, y = np.meshgrid(np.arange(0.0, 800, 50), np.arange(0.0, 600, 50))
    back = found.to_target(*found.to_source(x, y))
    assert np.allclose(back, (x, y), atol=1e-6)


def test_hot_pixels_at_fixed_places_do_not_win_over_drifting_stars() -> None:
    rng = np.random.default_rng(8)
    stars, truth = sky(600, rng), turned(0.4, 120.0, -33.0)
    hot = np.column_stack([rng.uniform(0, 800, 60), rng.uniform(0, 600, 60), rng.uniform(300, 5000, 60)])
    target, source = seen(stars, Affine(), rng), seen(stars, truth, rng)
    found = find_transform(
        frame(), measurement(np.vstack([source, hot])), frame(), measurement(np.vstack([target, hot]))
    )
    assert miss(found, truth) < 0.05


def test_quadratic_terms_are_used_where_the_field_is_distorted_and_only_there() -> None:
    rng = np.random.default_rng(2)
    stars = sky(700, rng, room=60)
    bent = Quadratic((400.0, 300.0), 400.0, (410.0, 400.0, 3.0, 1.5, -0.8, 0.5), (290.0, -3.0, 400.0, 0.6, 1.2, -1.0))
    target = seen(stars, Affine(), rng)
    found = find_transform(frame(), measurement(seen(stars, bent, rng)), frame(), measurement(target))
    assert isinstance(found.to_source, Chain)
    assert miss(found, bent) < 0.05
    straight = find_transform(
        frame(), measurement(seen(stars, turned(0.1, 5.0, 5.0), rng)), frame(), measurement(target)
    )
    assert isinstance(straight.to_source, Affine)


def test_a_transform_survives_pickling_and_keeps_shapes() -> None:
    bent = Quadratic((400.0, 300.0), 400.0, (410.0, 400.0, 3.0, 1.5, 0.0, 0.5), (290.0, -3.0, 400.0, 0.6, 1.2, 0.0))
    transform = shifted(inverse(Transform(Chain(Affine(), bent), bent.inverse(), 0.1, 50, "stars")), 3, 4)
    again = pickle.loads(pickle.dumps(transform))
    x, y = np.meshgrid(np.arange(5.0), np.arange(3.0))
    assert again.to_source(x, y)[0].shape == (3, 5)
    assert np.array_equal(again.to_source(x, y), transform.to_source(x, y))


def test_the_same_frame_is_the_identity() -> None:
    m = measurement(sky(20, np.random.default_rng(0), room=0))
    same = frame()
    found = find_transform(same, m, same, m)
    assert found.method == "identity" and found.residual_px == 0 and found.matched == 20


def test_five_stars_are_enough() -> None:
    rng = np.random.default_rng(9)
    stars, truth = sky(5, rng, room=-100), turned(3.0, 20.0, -15.0)
    found = find_transform(
        frame(), measurement(seen(stars, truth, rng)), frame(), measurement(seen(stars, Affine(), rng))
    )
    assert found.matched >= 4 and miss(found, truth) < 0.5


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [8, 60, 400])
def test_unrelated_stars_never_align(seed: int, count: int) -> None:
    rng = np.random.default_rng([seed, count])
    with pytest.raises(AlignmentError):
        find_transform(frame(), measurement(sky(count, rng, 0)), frame(), measurement(sky(count, rng, 0)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_stars_say_so(count: int) -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(AlignmentError, match=f"{count} and 50 stars, expected 4 or more"):
        find_transform(frame(name="b"), measurement(sky(count, rng, 0)), frame(), measurement(sky(50, rng, 0)))


def test_other_stars_do_not_match() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(AlignmentError, match="no common pattern"):
        find_transform(frame(name="b"), measurement(sky(80, rng, 0)), frame(), measurement(sky(80, rng, 0)))


def test_a_poor_match_is_refused_with_its_residual() -> None:
    rng = np.random.default_rng(4)
    stars = sky(300, rng)
    rough = seen(stars, turned(0.0, 4.0, 4.0), rng, jitter=0.6)
    target = measurement(seen(stars, Affine(), rng))
    with pytest.raises(AlignmentError, match=r"miss by 0\.\d+ px, expected at most 0.5"):
        find_transform(frame(name="b"), measurement(rough), frame(), target)
    assert find_transform(frame(), measurement(rough), frame(), target, max_residual_px=2.0).residual_px > 0.5


def test_hardly_any_common_area_is_refused() -> None:
    rng = np.random.default_rng(6)
    strip = np.column_stack([rng.uniform(0, 50, 40), rng.uniform(0, 600, 40), rng.uniform(1e4, 1e5, 40)])
    stars = np.vstack([sky(300, rng, room=750), strip])
    truth = turned(0.0, 745.0, 0.0)
    with pytest.raises(AlignmentError, match=r"share [67] % of the area"):
        find_transform(
            frame(name="b"),
            measurement(seen(stars, truth, rng)),
            frame(),
            measurement(seen(stars, Affine(), rng)),
        )


def test_a_frame_in_a_corner_of_a_mosaic_is_of_the_same_field() -> None:
    """A frame of 150 x 150 px on a reference of 600 x 800 px: a twentieth of its area, all of its own."""
    rng = np.random.default_rng(6)
    stars = sky(900, rng, room=0.0)
    truth = turned(0.0, -400.0, -300.0)
    mosaic, small = frame(), replace(frame(name="b"), pixels=np.zeros((150, 150)), mask=np.zeros((150, 150), np.uint8))
    part = seen(stars, truth, rng)
    part = part[(part[:, 0] < 149) & (part[:, 1] < 149)]
    whole = measurement(seen(stars, Affine(), rng))
    there = find_transform(small, measurement(part), mosaic, whole)
    back = find_transform(mosaic, whole, small, measurement(part))
    assert overlap(there, small.shape, mosaic.shape) < 0.06
    for found in (there.to_target(75.0, 75.0), back.to_source(75.0, 75.0)):
        np.testing.assert_allclose(np.ravel(found), [475.0, 375.0], atol=0.3)


def tan_wcs(x: float, y: float, ra: float = 120.0, turn: float = 0.0) -> object:
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, 30.0]
    wcs.wcs.crpix = [x + 1, y + 1]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * 5.0 / 3600
    wcs.wcs.set()
    return wcs


def test_a_wcs_that_is_off_by_tens_of_pixels_is_mended_by_stars() -> None:
    rng = np.random.default_rng(7)
    stars = sky(500, rng)
    here, there = tan_wcs(400, 300), tan_wcs(480, 260, turn=25.0)
    claimed = tan_wcs(480 + 38, 260 - 27, turn=25.2)
    truth = WcsMap(here, there)  # type: ignore[arg-type]
    found = find_transform(
        frame(wcs=claimed),
        measurement(seen(stars, truth, rng)),
        frame(wcs=here),
        measurement(seen(stars, Affine(), rng)),
    )
    assert found.method == "wcs"
    assert miss(found, truth) < 0.05
    x, y = np.meshgrid(np.arange(0.0, 800, 100), np.arange(0.0, 600, 100))
    assert np.allclose(found.to_target(*found.to_source(x, y)), (x, y), atol=1e-4)
    assert np.allclose(pickle.loads(pickle.dumps(found)).to_source(x, y), found.to_source(x, y), atol=1e-9)


def test_a_wrong_wcs_falls_back_to_star_patterns() -> None:
    rng = np.random.default_rng(7)
    stars, truth = sky(500, rng), turned(30.0, 250.0, -100.0)
    found = find_transform(
        frame(wcs=tan_wcs(400, 300, ra=10.0)),
        measurement(seen(stars, truth, rng)),
        frame(wcs=tan_wcs(400, 300, turn=77.0)),
        measurement(seen(stars, Affine(), rng)),
    )
    assert found.method == "stars" and miss(found, truth) < 0.05


def test_frames_on_different_sky_say_what_their_wcs_say() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(AlignmentError, match="WCS say that they share less than 10 %"):
        find_transform(
            frame(name="b", wcs=tan_wcs(400, 300, ra=10.0)),
            measurement(sky(60, rng, 0)),
            frame(wcs=tan_wcs(400, 300)),
            measurement(sky(60, rng, 0)),
        )


def test_grid_wcs_puts_the_same_sky_on_the_shifted_pixel() -> None:
    wcs = tan_wcs(400, 300, turn=10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moved = grid_wcs(wcs, shifted(identity(), -50, 20), (700, 900))  # type: ignore[arg-type]
    there = wcs.pixel_to_world(100.0, 120.0)  # type: ignore[attr-defined]
    assert np.allclose(moved.world_to_pixel(there), (150.0, 100.0), atol=0.01)


def test_union_grid_holds_all_footprints_and_is_capped() -> None:
    drift = [shifted(identity(), -3 * k, k) for k in range(90)]
    shape, (x0, y0) = union_grid(drift, [SHAPE] * 90)
    assert shape == (600 + 89, 800 + 267) and (x0, y0) == (0, -89)
    for transform in drift:
        on_grid = shifted(transform, x0, y0)
        assert overlap(inverse(on_grid), shape, SHAPE) == 1.0
    far = [shifted(identity(), -2000 * k, 0) for k in range(3)]
    shape, _ = union_grid(far, [SHAPE] * 3, limit=2.0)
    assert shape[0] * shape[1] <= 2 * 600 * 800


def test_real_drifting_frames_align_to_a_tenth_of_a_pixel(whipple: Path) -> None:
    paths = find_frames(whipple)
    anchor = read_frame(paths[35], "whipple")
    anchor_m = measure(anchor)
    other = read_frame(paths[70], "whipple")
    found = find_transform(other, measure(other), anchor, anchor_m)
    assert found.residual_px < 0.1 and found.matched > 100
