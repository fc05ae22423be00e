"""PSF, scene, optics and detector against formulas."""

from __future__ import annotations

import numpy as np
import pytest

from realbogus.images.simulate.detector import Detector, add_cosmic_rays, read_out
from realbogus.images.simulate.optics import Clouds, Pointing, Sky, Vignette, add_ghost, add_halos, trail_rows
from realbogus.images.simulate.psf import Psf, make_kernels
from realbogus.images.simulate.scene import Galaxies, add_galaxies, add_points


@pytest.mark.parametrize("psf", [Psf(1.6), Psf(3.1, 2.2, 0.1, 0.1), Psf(4.0, np.inf, trail=4.0, donut=3.0)])
def test_points_hold_flux_and_place_at_every_phase(psf: Psf) -> None:
    kernels = make_kernels(psf, (90, 90))
    yy, xx = np.mgrid[:90, :90]
    for x, y in [(45.0, 45.0), (44.5, 45.5), (45.13, 44.71), (45.499, 45.49)]:
        image = np.zeros((90, 90), np.float32)
        add_points(image, np.array([x]), np.array([y]), np.array([1e4]), kernels, 1e-6, wings=False)
        total = image.sum(dtype=float)
        assert total == pytest.approx(1e4, rel=5e-3)
        assert (image * xx).sum() / total == pytest.approx(x, abs=0.02)
        assert (image * yy).sum() / total == pytest.approx(y, abs=0.02)


def test_pixels_are_integrals_of_the_moffat_formula() -> None:
    psf = Psf(2.4, 3.0, 0.12, -0.05)
    image = np.zeros((41, 41), np.float32)
    add_points(image, np.array([20.3]), np.array([19.6]), np.array([1.0]), make_kernels(psf, (41, 41)), 1e-9)
    t = (np.arange(21) - 10) / 21
    axis = np.arange(41)
    x, y = (axis[:, None] + t).ravel() - 20.3, (axis[:, None] + t).ravel() - 19.6
    exact = psf.profile(x[None], y[:, None]).astype(float).reshape(41, 21, 41, 21).mean((1, 3))
    assert np.abs(image - exact).max() < 0.02 * exact.max()


def test_gaussian_area_is_the_formula() -> None:
    kernels = make_kernels(Psf(5.0, np.inf), (100, 100))
    assert kernels.area(50, 50) == pytest.approx(4 * np.pi * (5 / 2.3548) ** 2, rel=0.03)


def test_sources_cut_by_an_edge_do_not_wrap() -> None:
    image = np.zeros((50, 60), np.float32)
    kernels = make_kernels(Psf(3.0), (50, 60))
    x, y = np.array([-0.5, 200.0, 30.0]), np.array([25.0, 25.0, 52.0])
    add_points(image, x, y, np.array([1000.0, 1000, 1000]), kernels, 1e-6)
    assert image[25, 0] > 10 and image[:, 40:].max() < 3
    assert image[:, :10].sum() == pytest.approx(500, rel=0.15)


def test_bright_stars_have_smooth_wings() -> None:
    image, kernels = np.zeros((301, 301), np.float32), make_kernels(Psf(3.0), (301, 301))
    add_points(image, np.array([150.0]), np.array([150.0]), np.array([1e8]), kernels, 0.1)
    row = image[150, 150:]
    expected = 1e8 * Psf(3.0).profile(np.arange(151.0), np.zeros(151))
    assert np.abs(row[5:50] / expected[5:50] - 1).max() < 0.06


def test_galaxies_keep_their_flux() -> None:
    one = np.ones(1)
    galaxy = Galaxies(50 * one, 40 * one, 5000 * one, 2 * one, one, 0.6 * one, 0.4 * one)
    yy, xx = np.mgrid[:100, :100]
    for fwhm in (1.7, 3.0):
        image = np.zeros((100, 100), np.float32)
        add_galaxies(image, galaxy, 50.3 * one, 40.6 * one, galaxy.flux, make_kernels(Psf(fwhm), (100, 100)))
        assert image.sum() == pytest.approx(5000, rel=0.02)
        assert (image * xx).sum() / image.sum() == pytest.approx(50.3, abs=0.1)
        assert (image * yy).sum() / image.sum() == pytest.approx(40.6, abs=0.1)


def test_pointing_matrix_agrees_and_middle_stays() -> None:
    p = Pointing((80, 120), dx=3, dy=-2, rotation=0.1)
    x, y = np.array([59.5, 10.0]), np.array([39.5, 70.0])
    px, py = p.to_detector(x, y)
    assert (px[0], py[0]) == pytest.approx((62.5, 37.5))
    assert p.matrix() @ [10, 70, 1] == pytest.approx([px[1], py[1], 1])


def test_sky_trail_vignette_clouds_ghost_halo() -> None:
    sky = Sky(100.0, (0.1, 0.0)).rows((10, 21), slice(2, 5))
    assert sky.shape == (3, 21) and sky[0, 0] == pytest.approx(90) and sky[0, 20] == pytest.approx(110)
    assert Vignette(0.12).rows((11, 11), slice(0, 11))[0, 5] == pytest.approx(0.88)  # type: ignore[index]
    assert Vignette().rows((11, 11), slice(0, 11)) == 1.0
    assert Clouds(0.03).at(np.linspace(0, 4000, 500), np.zeros(500)).max() == pytest.approx(1.03, abs=1e-3)
    piece = trail_rows((100, 100), slice(20, 40), np.array([50, 30, np.pi / 2, 9.0, 1.0, 1e9, 0.0]))
    assert piece is not None
    columns, light = piece
    assert light[10, 50 - columns.start] == pytest.approx(9.0)
    far = trail_rows((100, 100), slice(0, 10), np.array([50, 90, np.pi / 4, 9.0, 1.0, 30, 0.3]))
    assert far is None, "at 45 degrees this trail leaves the frame before row 10"
    image = np.zeros((80, 80), np.float32)
    add_ghost(image, 40, 40, 1000.0, 15)
    assert image.sum() == pytest.approx(1000, rel=0.05) and image[40, 40] == 0
    one = np.array([40.0])
    add_halos(image, one, one, 2500 * one, share=0.01, spikes=0.01, core=4.0, reach=30, angle=0.2)
    assert image.sum() == pytest.approx(3000, rel=0.03)


def test_noise_saturation_and_depth() -> None:
    camera = Detector((300, 300), gain=2.0, read_noise=10.0, bias=100.0, ceiling=5000.0)
    light = np.full((300, 300), 900.0, np.float32)
    light[0, 0] = 1e6
    adu = read_out(light.copy(), camera, np.random.default_rng(0))
    assert adu[0, 0] == 5000
    assert np.all(adu == np.rint(adu))
    blank = adu[5:]
    assert blank.mean() == pytest.approx(550, abs=0.5)
    assert blank.std() == pytest.approx(np.sqrt(1000 / 4 + 1 / 12), rel=0.01)
    deep = read_out(light.copy(), camera, np.random.default_rng(0), depth=10)
    assert deep[5:].std() == pytest.approx(np.sqrt(100 / 4 + 1 / 12), rel=0.02)


def test_faults_of_the_detector() -> None:
    where = np.array([50 * 100 + 60], np.int64)
    camera = Detector(
        (100, 100), 1.0, 1.0, 0.0, 1000.0, hot=(where, np.array([500.0], np.float32)), hot_jitter=0.0,
        columns=(np.array([7], np.int64), np.array([40.0], np.float32)), bleeds=True, tail=(5.0, 0.05),
    )  # fmt: skip
    light = np.full((100, 100), 50.0, np.float32)
    light[20, 30] = 8000
    adu = read_out(light, camera, np.random.default_rng(0))
    assert 500 < adu[50, 60] < 600 and adu[50, 61] < 100
    assert adu[60:, 7].mean() - adu[60:, 10].mean() == pytest.approx(40, abs=5)
    assert np.all(adu[18:23, 30] == 1000), "charge bleeds along the column"
    assert adu[20, 35] < 100 and adu[26:30, 30].mean() > 60


def test_cosmic_rays_deposit_charge() -> None:
    image = np.zeros((200, 200), np.float32)
    add_cosmic_rays(image, 50, (500.0, 0.0), np.random.default_rng(1))
    assert 50 * 400 < image.sum() < 50 * 500 * 12
    assert 50 < (image > 1).sum() < 1500
