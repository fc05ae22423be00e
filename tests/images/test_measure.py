"""measure against simulated stars whose noise-equivalent area is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.errors import FrameError
from realbogus.images.badpixels import find_bad, star_sharpness
from realbogus.images.frame import BAD, SATURATED, Frame
from realbogus.images.measure import background, measure, robust_sigma
from realbogus.images.psf import fwhm_nea, stack_psf
from realbogus.images.read import find_frames, read_frame
from realbogus.images.robust import clipped


def star(
    dx: NDArray[np.float64], dy: NDArray[np.float64], fwhm: float, beta: float, trail: float
) -> NDArray[np.float64]:
    """Pixel-integrated Moffat of unit flux (a Gaussian for beta = inf), trailed along x."""
    over = 5
    steps = (np.arange(over) + 0.5) / over - 0.5
    shifts = np.linspace(-0.5, 0.5, 7) * trail if trail else np.zeros(1)
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1)) if np.isfinite(beta) else 0.0
    out = np.zeros(np.broadcast(dx, dy).shape)
    for a in steps:
        for b in steps:
            for t in shifts:
                r2 = (dx + a - t) ** 2 + (dy + b) ** 2
                if np.isfinite(beta):
                    out += (1 + r2 / alpha**2) ** -beta * (beta - 1) / (np.pi * alpha**2)
                else:
                    out += np.exp(-4 * np.log(2) * r2 / fwhm**2) * 4 * np.log(2) / (np.pi * fwhm**2)
    return out / (over**2 * len(shifts))


def true_fwhm(fwhm: float, beta: float, trail: float = 0.0) -> float:
    """FWHM_NEA over the infinite plane, averaged over sub-pixel places."""
    grid = np.arange(-int(12 * fwhm), int(12 * fwhm) + 1.0)
    rng = np.random.default_rng(0)
    squares = []
    for a, b in rng.uniform(-0.5, 0.5, (6, 2)):
        squares.append((star(grid[None] - a, grid[:, None] - b, fwhm, beta, trail) ** 2).sum())
    return float(2.355 * np.sqrt(1 / np.mean(squares) / (4 * np.pi)))


def field(
    fwhm: float,
    beta: float,
    count: int,
    *,
    trail: float = 0.0,
    hot: int = 0,
    snr: tuple[float, float] = (30, 2000),
    side: int = 320,
    saturation: float = np.inf,
    seed: int = 1,
) -> tuple[Frame, NDArray[np.float64]]:
    """A frame with sky 300 and noise 5, and the true x, y, flux of its stars."""
    rng = np.random.default_rng(seed)
    noise, reach = 5.0, int(max(10, 6 * fwhm))
    image = np.zeros((side + 2 * reach, side + 2 * reach))
    grid = np.arange(-reach, reach + 1.0)
    truth = []
    for power in rng.random(count) ** 2:
        x, y = rng.uniform(0, side - 1, 2)
        xi, yi = round(x), round(y)
        flux = snr[0] * (snr[1] / snr[0]) ** power * noise * fwhm * 1.7
        stamp = star(grid[None] - (x - xi), grid[:, None] - (y - yi), fwhm, beta, trail)
        image[yi : yi + 2 * reach + 1, xi : xi + 2 * reach + 1] += flux * stamp
        truth.append((x, y, flux))
    image = image[reach:-reach, reach:-reach]
    image += 300 + rng.normal(0, 1, image.shape) * np.sqrt(noise**2 + image)
    spots = rng.integers(1, side - 1, (hot, 2))
    image[spots[:, 0], spots[:, 1]] += rng.uniform(50, 3000, hot)
    pixels = np.minimum(image, saturation).astype(np.float32)
    mask = np.where(pixels >= saturation, SATURATED, 0).astype(np.uint8)
    excess = pixels - 300
    mask[find_bad(excess, noise, sharpness=star_sharpness(excess, noise), exclude=mask > 0)] |= BAD
    return Frame("simulated", pixels, mask, saturation=saturation), np.array(truth)


CASES = {
    "sharp gaussian": dict(fwhm=1.6, beta=np.inf, count=60),
    "sharp moffat": dict(fwhm=1.6, beta=3.0, count=60),
    "hot pixels": dict(fwhm=1.8, beta=3.0, count=60, hot=500),
    "strong wings": dict(fwhm=2.5, beta=2.5, count=60),
    "wide gaussian": dict(fwhm=5.0, beta=np.inf, count=50),
    "wide moffat": dict(fwhm=5.0, beta=3.5, count=50),
    "very wide": dict(fwhm=8.0, beta=4.0, count=40, snr=(60, 3000)),
    "trailed": dict(fwhm=2.0, beta=3.0, count=60, trail=3.0),
    "crowded": dict(fwhm=2.5, beta=3.0, count=500),
    "sparse": dict(fwhm=2.5, beta=3.0, count=6, snr=(150, 2000)),
    "faint": dict(fwhm=2.5, beta=3.0, count=60, snr=(15, 80)),
    "saturated": dict(fwhm=2.5, beta=3.0, count=80, snr=(30, 20000), saturation=5000.0),
}


@pytest.mark.parametrize("name", CASES)
def test_psf_size_within_five_percent(name: str) -> None:
    options = CASES[name]
    frame, _ = field(**options)  # type: ignore[arg-type]
    truth = true_fwhm(options["fwhm"], options["beta"], options.get("trail", 0.0))  # type: ignore[arg-type]
    found = measure(frame)
    assert found.fwhm == pytest.approx(truth, rel=0.05)
    assert found.noise == pytest.approx(5, rel=0.08)
    assert found.sky == pytest.approx(300, abs=2.5)
    assert found.psf.sum() == pytest.approx(1, abs=1e-4) and found.psf.shape[0] % 2 == 1
    assert fwhm_nea(found.psf) == pytest.approx(found.fwhm, rel=1e-3)
    middle = found.psf.shape[0] // 2
    assert found.psf[middle, middle] > 0.9 * found.psf.max()
    assert (found.ellipticity > 0.1) == (name == "trailed")


def test_stars_are_true_stars_brightest_first() -> None:
    frame, truth = field(2.0, 3.0, 60, hot=400)
    stars = measure(frame).stars
    assert 35 < len(stars) <= 60
    assert (np.diff(stars[:, 2]) <= 0).all()
    distance = np.hypot(stars[:, None, 0] - truth[:, 0], stars[:, None, 1] - truth[:, 1])
    nearest = distance.argmin(axis=1)
    assert np.median(distance.min(axis=1)) < 0.1
    assert (distance.min(axis=1) < 1).mean() > 0.95
    ratio = stars[:, 2] / truth[nearest, 2]
    assert 0.75 < np.median(ratio) < 1.02 and np.percentile(ratio, 90) < 1.3


def test_saturated_stars_are_left_out() -> None:
    frame, _ = field(2.5, 3.0, 80, snr=(30, 20000), saturation=5000.0)
    stars = measure(frame).stars
    y, x = np.nonzero(frame.mask & SATURATED)
    assert len(y) and np.hypot(stars[:, None, 0] - x, stars[:, None, 1] - y).min() > 1.5


def test_large_frames_are_tiled_and_agree() -> None:
    small, _ = field(2.5, 3.0, 60)
    tiled = Frame("big", np.tile(small.pixels, (10, 10)), np.tile(small.mask, (10, 10)))
    found, alone = measure(tiled), measure(small)
    assert len(found.stars) == 500
    assert found.fwhm == pytest.approx(alone.fwhm, rel=0.02)
    assert found.stars[:, 0].max() > 2700 and found.stars[:, 1].max() > 2700
    assert found.noise == pytest.approx(alone.noise, rel=0.03)


def test_frames_without_stars_say_so() -> None:
    pixels = np.random.default_rng(2).normal(100, 5, (128, 128)).astype(np.float32)
    mask = np.zeros(pixels.shape, np.uint8)
    with pytest.raises(FrameError, match="usable stars, expected at least 3"):
        measure(Frame("blank", pixels, mask))
    with pytest.raises(FrameError, match="no noise"):
        measure(Frame("flat", np.full((128, 128), 7, np.float32), mask))
    with pytest.raises(FrameError, match="flat"):
        measure(Frame("flat", pixels, np.ones_like(mask)))


def test_background_follows_a_gradient_and_spares_the_mask() -> None:
    rng = np.random.default_rng(3)
    ramp = np.linspace(100, 200, 256, dtype=np.float32)[None, :].repeat(256, 0)
    image = ramp + rng.normal(0, 4, ramp.shape).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[100:140, 100:140] = True
    image[mask] = 1e6
    level, rms = background(image, mask, mesh=32)
    assert level.dtype == rms.dtype == np.float32
    assert np.abs(level - ramp)[:, 20:-20].max() < 5
    # the slope within a cell of 32 px adds to the noise
    assert np.median(rms) == pytest.approx(np.hypot(4, 100 / 255 * 32 / np.sqrt(12)), rel=0.1)


def test_robust_sigma_and_clipped_on_a_gaussian_with_outliers() -> None:
    values = np.random.default_rng(4).normal(10, 2, 20000)
    values[:200] = 1e5
    assert robust_sigma(values) == pytest.approx(2, rel=0.04)
    assert clipped(values) == pytest.approx((10, 2), rel=0.02)
    assert clipped(np.rint(values / 2) * 2)[1] == pytest.approx(np.hypot(2, 2 / np.sqrt(12)), rel=0.03)
    assert robust_sigma(np.zeros(0)) == 0.0


def test_stack_does_not_broaden_undersampled_stars() -> None:
    rng = np.random.default_rng(5)
    grid = np.arange(-8, 9.0)
    offsets = rng.uniform(-0.5, 0.5, (40, 2))
    stamps = np.array([1e4 * star(grid[None] - a, grid[:, None] - b, 1.6, np.inf, 0.0) for a, b in offsets])
    psf = stack_psf(stamps, offsets, np.ones(stamps.shape, bool), 1.0, 1.7)
    truth = star(grid[None], grid[:, None], 1.6, np.inf, 0.0)
    np.testing.assert_allclose(psf, truth, atol=0.01 * truth.max())


def test_whipple_night(whipple: Path) -> None:
    for path in find_frames(whipple)[::24]:
        frame = read_frame(path, "whipple")
        found = measure(frame)
        assert 1.6 < found.fwhm < 3.2, path.name
        assert 1.0 < found.noise < 2.0 and len(found.stars) > 200
        # a star has light around its peak: its brightest neighbour holds a fair share of it
        for x, y, _ in found.stars[:100]:
            xi, yi = round(x), round(y)
            near = np.sort(frame.pixels[yi - 1 : yi + 2, xi - 1 : xi + 2].ravel() - found.sky)
            assert near[-2] > 0.25 * near[-1]
