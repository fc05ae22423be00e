import numpy as np
import pytest

from realbogus.errors import SubtractionError
from realbogus.images.subtract.stars import Scale, Stars, choose_stamps, match_stars, photometric_scale


def test_scale_from_apertures_ignores_sky_steps_and_variables(stars_image):
    rng = np.random.default_rng(2)
    shape = (300, 300)
    x, y = (g.ravel() + rng.uniform(-3, 3, 25) for g in np.meshgrid(*[np.arange(30, 300, 60.0)] * 2))
    flux = np.linspace(2e4, 6e4, 25)
    vary = np.where(np.arange(25) % 8 == 0, 1.6, 1.0)
    science = stars_image(shape, x, y, 0.7 * flux * vary, 3.0) + rng.normal(0, 10, shape) + 15
    reference = stars_image(shape, x, y, flux, 3.0) + rng.normal(0, 3, shape) - 4
    stars = match_stars(
        np.stack([x, y], 1), science.astype("f4"), reference.astype("f4"), np.zeros(shape, bool),
        noise=(10.0, 3.0), fwhm=3.0,
    )  # fmt: skip
    scale = photometric_scale(stars)
    assert len(stars) == 25
    assert scale.value == pytest.approx(0.7, rel=0.02)
    assert 0 < scale.error < 0.02
    assert (np.diff(stars.science) <= 0).all()


def test_stars_on_lost_pixels_off_the_frame_or_too_faint_are_left_out(stars_image):
    shape = (200, 200)
    x, y = np.array([50.0, 100.0, 150.0, 2.0, 100.0]), np.array([50.0, 50.0, 50.0, 50.0, 150.0])
    image = stars_image(shape, x, y, np.array([1e5, 1e5, 1e5, 1e5, 50.0]), 3.0).astype("f4")
    lost = np.zeros(shape, bool)
    lost[51, 101] = True
    stars = match_stars(np.stack([x, y], 1), image, image, lost, noise=(5.0, 1.0), fwhm=3.0)
    assert sorted(stars.x) == [50.0, 150.0]


def test_two_stars_are_too_few():
    two = Stars(*np.ones((5, 2)))
    with pytest.raises(SubtractionError, match="3 are needed"):
        photometric_scale(two, name="n1")


def test_stamps_are_spread_constant_and_clean():
    rng = np.random.default_rng(1)
    n = 400
    x, y = np.r_[rng.uniform(0, 150, n - 20), rng.uniform(150, 600, 20)], rng.uniform(0, 600, n)
    flux = np.linspace(2e5, 1e4, n)
    ratio = np.ones(n)
    ratio[::10] = 1.8
    stars = Stars(x, y, flux * ratio, flux, np.full(n, 0.01))
    unfit = np.zeros((600, 600), bool)
    unfit[:100] = True
    chosen = choose_stamps(stars, Scale(1.0, 0.01, n), unfit, half_width=20, core=4)
    assert (chosen.science / chosen.reference == 1).all()
    assert chosen.y.min() > 100 and chosen.x.min() >= 19.5 and chosen.x.max() < 580
    cells = (np.rint(chosen.y) * 4 // 600).astype(int) * 4 + (np.rint(chosen.x) * 4 // 600).astype(int)
    assert np.bincount(cells).max() == 3
    assert (chosen.x > 150).any()
