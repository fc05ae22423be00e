"""Injected sources against analytic PSFs and apertures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.errors import InputError
from realbogus.images.frame import SATURATED, Frame
from realbogus.images.inject import inject, noise_equivalent_area, shifted_psf
from realbogus.images.measure import Measurement


def gaussian(fwhm: float, half: int = 12, dx: float = 0.0, dy: float = 0.0) -> NDArray[np.float32]:
    """A pixel-integrated Gaussian, by 9 x 9 points per pixel."""
    t = (np.arange(9) - 4) / 9
    g = np.arange(-half, half + 1)
    sigma = fwhm / 2.355
    x = np.exp(-0.5 * ((g[:, None] + t - dx) / sigma) ** 2).mean(1)
    y = np.exp(-0.5 * ((g[:, None] + t - dy) / sigma) ** 2).mean(1)
    image = y[:, None] * x[None]
    return (image / image.sum()).astype(np.float32)


def blank(
    fwhm: float = 3.0, stars: NDArray[np.float64] | None = None, shape: tuple[int, int] = (300, 340)
) -> tuple[Frame, Measurement]:
    level = np.full(shape, 100.0, np.float32)
    frame = Frame("blank", level, np.zeros(shape, np.uint8), gain=1e6, saturation=6e4)
    none = np.empty((0, 3))
    return frame, Measurement(100.0, 5.0, fwhm, 0.0, gaussian(fwhm), none if stars is None else stars)


@pytest.mark.parametrize(("fwhm", "tolerance"), [(1.6, 0.05), (2.2, 0.015), (3.5, 0.003)])
def test_shifted_psf_is_the_psf_elsewhere(fwhm: float, tolerance: float) -> None:
    moved = shifted_psf(gaussian(fwhm), 0.37, -0.21)
    expected = np.pad(gaussian(fwhm, dx=0.37, dy=-0.21), 1)
    assert moved.min() >= 0
    assert moved.sum() == pytest.approx(1, abs=1e-9)
    assert np.abs(moved - expected).max() < tolerance * expected.max()


def test_area_of_a_gaussian() -> None:
    assert noise_equivalent_area(gaussian(6.0, 30)) == pytest.approx(4 * np.pi * (6 / 2.355) ** 2, rel=0.02)


def test_flux_position_and_snr_are_recovered() -> None:
    frame, m = blank()
    changed, truth = inject(frame, m, 12, rng=np.random.default_rng(1), snr=(50, 500))
    assert len(truth) == 12
    extra = changed.pixels - 100
    yy, xx = np.mgrid[: frame.shape[0], : frame.shape[1]]
    for row in truth:
        near = np.hypot(xx - row["x"], yy - row["y"]) < 8
        flux = extra[near].sum()
        assert flux == pytest.approx(row["flux"], rel=0.02)
        assert (extra * xx)[near].sum() / flux == pytest.approx(row["x"], abs=0.05)
        assert (extra * yy)[near].sum() / flux == pytest.approx(row["y"], abs=0.05)
        unit = 5.0 * np.sqrt(1 / np.sum(m.psf.astype(float) ** 2))
        assert row["flux"] == pytest.approx(row["snr"] * unit, rel=1e-5)
    assert truth["snr"].min() >= 50 and truth["snr"].max() <= 500
    assert np.all(frame.pixels == 100), "the frame handed in must not change"


def test_photon_noise_obeys_the_gain() -> None:
    frame, m = blank(shape=(64, 64))
    noisy = Frame("noisy", frame.pixels, frame.mask, gain=2.0)
    sums = []
    for seed in range(150):
        changed, truth = inject(noisy, m, 1, rng=np.random.default_rng(seed), mag=(10, 10), zero_point=18.5)
        sums.append(float((changed.pixels - 100.0).sum(dtype=np.float64)))
    flux = 10 ** (0.4 * 8.5)
    assert truth["flux"][0] == pytest.approx(flux)
    assert truth["mag"][0] == pytest.approx(10)
    assert np.mean(sums) == pytest.approx(flux, rel=0.01)
    assert np.std(sums) == pytest.approx(np.sqrt(flux / 2), rel=0.2)


def test_places_keep_their_distance_and_the_mask() -> None:
    frame, m = blank()
    frame.mask[:, 170:] = SATURATED
    allowed = np.zeros(frame.shape, bool)
    allowed[100:, :] = True
    changed, truth = inject(frame, m, 200, rng=np.random.default_rng(2), allowed=allowed)
    assert 0 < len(truth) < 200
    x, y = np.array(truth["x"]), np.array(truth["y"])
    assert x.min() >= 9 and x.max() < 170 and y.min() >= 99.5 and y.max() <= 299 - 9
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    assert apart.min() >= 12
    assert np.all(changed.pixels[:, 170:] == 100)


def test_kinds() -> None:
    stars = np.array([[50.25, 60.5, 900.0], [150.0, 200.0, 800.0], [2.0, 3.0, 700.0], [250.0, 50.0, 1e7]])
    frame, m = blank(stars=stars)
    frame.pixels[50, 250] = 59_000  # too near saturation
    _, truth = inject(frame, m, 10, rng=np.random.default_rng(3), kinds={"star": 1.0})
    assert sorted(zip(truth["x"], truth["y"], strict=True)) == [(50.25, 60.5), (150.0, 200.0)]
    assert set(truth["kind"]) == {"star"}
    galaxies = np.array([[100, 120]])
    _, truth = inject(frame, m, 3, rng=np.random.default_rng(3), kinds={"galaxy": 1.0}, galaxies=galaxies)
    assert set(truth["kind"]) == {"galaxy"}
    assert np.hypot(truth["x"] - 100, truth["y"] - 120).max() < 20
    _, truth = inject(frame, m, 3, rng=np.random.default_rng(3), kinds={"galaxy": 1.0})
    assert list(truth["kind"]) == ["open"] * 3


def test_saturation_is_clipped_and_marked() -> None:
    frame, m = blank()
    changed, truth = inject(frame, m, 1, rng=np.random.default_rng(4), mag=(5, 5), zero_point=20.0)
    assert changed.pixels.max() == frame.saturation
    assert changed.mask[round(truth["y"][0]), round(truth["x"][0])] & SATURATED
    assert not frame.mask.any()


def test_same_seed_same_sources_and_crowded_frames() -> None:
    frame, m = blank()
    a, b = (inject(frame, m, 5, rng=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(a[0].pixels, b[0].pixels)
    assert all(np.array_equal(a[1][c], b[1][c]) for c in ("x", "y", "flux", "snr", "kind"))
    frame.mask[:] = SATURATED
    same, none = inject(frame, m, 5, rng=np.random.default_rng(5))
    assert len(none) == 0 and np.array_equal(same.pixels, frame.pixels)
    assert len(inject(frame, m, 0, rng=np.random.default_rng(5))[1]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": {"nebula": 1.0}}, "known are open, star, galaxy"),
        ({"kinds": {"open": -1.0}}, "positive sum"),
        ({"snr": (0.0, 5.0)}, "0 < low <= high"),
        ({"snr": None}, "neither snr nor mag"),
        ({"mag": (10.0, 12.0)}, "zero_point"),
        ({"allowed": np.ones((3, 3), bool)}, "has shape"),
    ],
)
def test_bad_arguments(options: dict[str, object], words: str) -> None:
    frame, m = blank()
    with pytest.raises(InputError, match=words):
        inject(frame, m, 2, rng=np.random.default_rng(0), **options)  # type: ignore[arg-type]
