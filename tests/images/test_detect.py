"""Detection on differences made by hand, where every source is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sep
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from realbogus.errors import FrameError, InputError, UnknownNameError
from realbogus.images import detect as module
from realbogus.images import detect_sep, detect_sextractor
from realbogus.images.detect import detect
from realbogus.images.frame import BAD, NODATA, SATURATED
from realbogus.images.subtract.difference import Difference

FWHM = 3.2
SIGMA = 7.0
needs_program = pytest.mark.usefixtures("source_extractor")


@pytest.fixture
def source_extractor(require_program):
    return require_program(*detect_sextractor.PROGRAMS)


def difference(
    pixels: NDArray[np.floating],
    *,
    mask: NDArray[np.uint8] | None = None,
    noise: NDArray[np.floating] | None = None,
    sigma: float = SIGMA,
    fwhm: float = FWHM,
    correlation: float = 1.0,
    psf_correlation: float = 1.0,
) -> Difference:
    pixels = np.asarray(pixels, dtype=np.float32)
    return Difference(
        pixels=pixels,
        noise=np.full(pixels.shape, sigma, np.float32) if noise is None else np.float32(noise),
        mask=np.zeros(pixels.shape, np.uint8) if mask is None else mask,
        sigma=sigma,
        fwhm=fwhm,
        correlation=correlation,
        psf_correlation=psf_correlation,
        convolved="reference",
        scale=1.0,
        noise_ratio=1.0,
        finite_fraction=1.0,
        stars=30,
        method="plain",
    )


def moffat(shape: tuple[int, int], x: float, y: float, beta: float = 3.0) -> NDArray[np.float64]:
    """A Moffat star of unit flux whose noise-equivalent area is that of FWHM."""
    # sum P^2 of a Moffat is (beta-1)^2 / ((2 beta-1) pi alpha^2)
    area = 4 * np.pi * (FWHM / 2.3548) ** 2
    alpha = np.sqrt((beta - 1) ** 2 * area / ((2 * beta - 1) * np.pi))
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    r2 = (xx - x) ** 2 + (yy - y) ** 2
    return (beta - 1) / (np.pi * alpha**2) * (1 + r2 / alpha**2) ** -beta


def field(
    snrs: NDArray[np.float64], *, side: int = 400, seed: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """White noise with Moffat sources of alternating sign on a loose grid; rows of truth are x, y, snr."""
    rng = np.random.default_rng(seed)
    area = 4 * np.pi * (FWHM / 2.3548) ** 2
    image = SIGMA * rng.normal(size=(side, side))
    cells = int(np.ceil(np.sqrt(len(snrs))))
    step = side / cells
    truth = []
    for k, snr in enumerate(snrs):
        x, y = np.add(((k % cells + 0.5) * step, (k // cells + 0.5) * step), rng.uniform(-3, 3, 2))
        snr = snr if k % 2 == 0 else -snr
        x0, y0 = max(int(x) - 25, 0), max(int(y) - 25, 0)  # beyond 25 px lies less than 1 % of the flux
        part = image[y0 : y0 + 51, x0 : x0 + 51]
        part += snr * SIGMA * np.sqrt(area) * moffat(part.shape, x - x0, y - y0)
        truth.append((x, y, snr))
    return image, np.array(truth)


def matched(found, truth, radius=2.0):
    """Index of the detection within `radius` of each true source, -1 without."""
    if len(found) == 0:
        return np.full(len(truth), -1)
    distance = np.hypot(truth[:, :1] - found["x"][None], truth[:, 1:2] - found["y"][None])
    index = distance.argmin(axis=1)
    index[distance.min(axis=1) > radius] = -1
    return index


@pytest.fixture(scope="module")
def crowd():
    image, truth = field(np.linspace(17, 60, 49))
    return image, truth, detect(difference(image))


def test_columns_and_order(crowd):
    found = crowd[2]
    assert found.colnames == [
        *("x", "y", "flux", "flux_err", "snr", "peak", "sign"),
        *("a", "b", "theta", "npix", "flags"),
    ]
    assert found["sign"].dtype == np.int8 and found["flags"].dtype == np.int32
    assert np.all(np.diff(np.abs(found["snr"])) <= 0)
    assert found.meta == {"threshold": 2.5, "min_area": 5, "method": "sep"}


def test_every_bright_source_is_found_once_and_little_else(crowd):
    _, truth, found = crowd
    index = matched(found, truth)
    assert np.all(index >= 0)
    assert len(found) <= len(truth) + 1
    np.testing.assert_array_equal(found["sign"][index], np.sign(truth[:, 2]))
    for name in ("flux", "snr", "peak"):
        np.testing.assert_array_equal(np.sign(found[name][index]), np.sign(truth[:, 2]))


def test_centres_are_good_to_the_noise(crowd):
    _, truth, found = crowd
    index = matched(found, truth)
    # a Gaussian fit reaches 0.6 FWHM / snr per axis; allow twice that
    error = np.hypot(found["x"][index] - truth[:, 0], found["y"][index] - truth[:, 1])
    assert np.median(error * np.abs(truth[:, 2])) < 1.2 * FWHM
    assert error.max() < 0.8


def test_snr_is_that_of_the_house(crowd):
    _, truth, found = crowd
    ratio = found["snr"][matched(found, truth)] / truth[:, 2]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.06)
    assert np.all(np.abs(ratio - 1) < 0.15 + 2.5 / np.abs(truth[:, 2]))


def test_flux_error_is_the_scatter_of_fluxes():
    image, truth = field(np.full(100, 20.0), side=600)
    found = detect(difference(image))
    found = found[matched(found, truth)]
    scatter = np.std(np.abs(found["flux"]))
    assert np.median(found["flux_err"]) == pytest.approx(scatter, rel=0.25)


def test_signs_are_mirror_images(crowd):
    image, _, found = crowd
    mirrored = detect(difference(-image))
    assert len(mirrored) == len(found)
    np.testing.assert_allclose(np.sort(mirrored["flux"]), np.sort(-found["flux"]), rtol=1e-4, atol=0.5)


def test_input_stays_untouched(crowd):
    image = np.float32(crowd[0])
    given = difference(image.copy())
    detect(given)
    np.testing.assert_array_equal(given.pixels, image)
    assert np.all(given.noise == np.float32(SIGMA))


def test_blank_sky_is_empty():
    rng = np.random.default_rng(5)
    assert len(detect(difference(SIGMA * rng.normal(size=(700, 700))))) <= 1


def smoothed_noise(seed: int) -> tuple[NDArray[np.float64], float]:
    """Noise of a convolved science frame, unit sigma, and its correlation factor by definition."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(700, 700)), 1.2)
    noise /= noise.std()
    kernel = detect_sep.KERNEL / detect_sep.KERNEL.sum()
    from scipy.signal import convolve2d

    return noise, float(convolve2d(noise, kernel, mode="valid").std() / 0.375)


def test_convolved_noise_raises_no_more_alarms_than_white():
    noise, correlation = smoothed_noise(2)
    assert correlation > 1.8
    without = detect(difference(SIGMA * noise), threshold=1.5)
    with_factor = detect(difference(SIGMA * noise, correlation=correlation), threshold=1.5)
    assert len(without) > 1000
    assert len(with_factor) <= 5


def test_flux_error_grows_with_correlation(crowd):
    image = crowd[0]
    white, correlated = (
        detect(difference(image)),
        detect(difference(image, psf_correlation=1.5)),
    )
    np.testing.assert_array_equal(correlated["flux"], white["flux"])
    np.testing.assert_allclose(correlated["flux_err"], 1.5 * white["flux_err"], rtol=1e-6)
    np.testing.assert_allclose(correlated["snr"], white["snr"] / 1.5, rtol=1e-6)


def test_photon_noise_of_a_star_makes_no_detection_but_its_residual_does():
    rng = np.random.default_rng(8)
    shape = (300, 300)
    star = 40 * SIGMA * moffat(shape, 150, 150) / moffat(shape, 150, 150).max()
    noise = np.hypot(SIGMA, star)  # photon noise far above the sky's
    image = rng.normal(size=shape) * noise

    def near(found):
        return np.sum(np.hypot(found["x"] - 150, found["y"] - 150) < 6)

    assert near(detect(difference(image))) >= 1  # unknown photon noise looks like sources
    assert near(detect(difference(image, noise=noise))) == 0
    assert near(detect(difference(image + 5 * star, noise=noise))) >= 1


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_noise_map_in_wrong_units_changes_nothing(crowd, factor):
    image, _, found = crowd
    wrong = detect(difference(image, noise=np.full(image.shape, SIGMA * factor)))
    assert len(wrong) == len(found)


def test_masked_pixels_take_no_part_but_bad_ones_do():
    image, _ = field(np.array([80.0]), side=200)
    hot = image.copy()
    hot[50, 50] += 3000 * SIGMA
    for bit, expected in ((NODATA, 0), (SATURATED, 0), (BAD, 1)):
        mask = np.zeros(image.shape, np.uint8)
        mask[49:52, 49:52] = bit
        found = detect(difference(hot, mask=mask))
        there = found[np.hypot(found["x"] - 50, found["y"] - 50) < 3]
        assert len(there) == expected
        if expected:
            assert there["flags"][0] & module.ON_BAD_PIXEL


def test_pixels_that_are_not_finite_are_left_out(crowd):
    image = crowd[0].copy()
    image[:, 30] = np.nan
    image[200, :] = np.inf
    found = detect(difference(image))
    assert np.isfinite(np.array([found[name] for name in ("x", "y", "flux", "flux_err", "snr")])).all()


def test_flags_say_what_is_near():
    side = 240
    places = {
        "clean": (60, 60),
        "saturated": (60, 160),
        "nodata": (160, 60),
        "edge": (120, 3),
        "dipole": (160, 160),
    }
    rng = np.random.default_rng(3)
    image = SIGMA * rng.normal(size=(side, side))
    for x, y in places.values():
        image += 3000 * moffat(image.shape, x, y)
    image -= 3000 * moffat(image.shape, 164, 160)
    mask = np.zeros(image.shape, np.uint8)
    mask[156:165, 64:66] = SATURATED
    mask[56:65, 164:166] = NODATA
    found = detect(difference(image, mask=mask))

    def flags(name):
        x, y = places[name]
        distance = np.hypot(found["x"] - x, found["y"] - y)
        assert distance.min() < 1.5
        return int(found["flags"][distance.argmin()])

    assert flags("clean") == 0
    assert flags("saturated") == module.SATURATED_NEAR | module.NEAR_MASK
    assert flags("nodata") == module.NEAR_MASK
    assert flags("edge") == module.EDGE
    assert flags("dipole") & module.DIPOLE


def test_a_close_pair_is_split_and_flagged():
    image = 4000 * (moffat((100, 100), 45, 50) + moffat((100, 100), 52, 50))
    image += SIGMA * np.random.default_rng(0).normal(size=image.shape)
    found = detect(difference(image))
    assert len(found) == 2
    assert np.all(found["flags"] & module.BLENDED)


def test_flux_beside_a_mask_is_not_lost():
    image, truth = field(np.array([60.0]), side=200, seed=4)
    mask = np.zeros(image.shape, np.uint8)
    column = int(truth[0, 0]) + 2
    mask[:, column:] = SATURATED
    image[:, column:] = 0
    found = detect(difference(image, mask=mask))
    assert found["snr"][0] / truth[0, 2] == pytest.approx(0.85, abs=0.2)


def test_small_buffers_grow_and_are_put_back():
    image, _ = field(np.full(400, 60.0), side=400)
    before = sep.get_extract_pixstack()
    sep.set_extract_pixstack(200)
    try:
        found = detect(difference(image), threshold=1.0)
        assert sep.get_extract_pixstack() == 200
    finally:
        sep.set_extract_pixstack(before)
    assert len(found) >= 400


def test_overflows_end_in_a_frame_error(monkeypatch):
    calls = []

    def full(*args, **kwargs):
        calls.append(kwargs["deblend_cont"])
        raise Exception("internal pixel buffer full")

    monkeypatch.setattr(detect_sep.sep, "extract", full)
    with pytest.raises(FrameError, match="internal pixel buffer full"):
        detect(difference(np.random.default_rng(0).normal(size=(64, 64))))
    assert calls == [0.005, 0.005, 1.0]


def test_a_crowd_beyond_belief_is_an_error():
    rng = np.random.default_rng(0)
    with pytest.raises(FrameError, match="per Mpix are credible"):
        detect(difference(SIGMA * rng.normal(size=(300, 300))), threshold=0.3, min_area=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sigma": 0.0}, "sigma = 0.0"),
        ({"fwhm": float("nan")}, "fwhm = nan"),
        ({"mask": np.full((64, 64), NODATA, np.uint8)}, "no usable pixel"),
    ],
)
def test_unfit_differences_are_named(change, words):
    good = difference(np.random.default_rng(0).normal(size=(64, 64)), sigma=1.0)
    with pytest.raises(FrameError, match=words):
        detect(dataclasses.replace(good, **change))


def test_constant_zero_gives_no_detection():
    assert len(detect(difference(np.zeros((128, 128)), noise=np.zeros((128, 128))))) == 0


def test_arguments_are_checked():
    good = difference(np.random.default_rng(0).normal(size=(64, 64)), sigma=1.0)
    with pytest.raises(InputError, match="threshold 0"):
        detect(good, threshold=0.0)
    with pytest.raises(UnknownNameError, match="known are sep, source-extractor"):
        detect(good, method="daofind")


def test_a_function_is_a_detector(crowd):
    def one(pixels, noise, unusable, threshold, min_area):
        rows = detect_sep.detect_sep(pixels, noise, unusable, threshold, min_area)
        return rows[:1]

    assert sorted(detect(difference(crowd[0]), method=one)["sign"]) == [-1, 1]


@needs_program
def test_source_extractor_finds_the_same():
    image, truth = field(np.linspace(6, 60, 225), side=700, seed=9)
    ours = detect(difference(image))
    theirs = detect(difference(image), method="source-extractor")
    assert theirs.colnames == ours.colnames
    assert len(theirs) == pytest.approx(len(ours), rel=0.15)
    a, b = matched(ours, truth), matched(theirs, truth)
    both = (a >= 0) & (b >= 0)
    assert both.sum() >= 0.95 * (a >= 0).sum()
    one, two = ours[a[both]], theirs[b[both]]
    for name in ("x", "y"):
        np.testing.assert_allclose(two[name], one[name], atol=0.05)
    for name in ("peak", "flux", "npix", "a", "b"):
        np.testing.assert_allclose(two[name], one[name], rtol=0.15)
    round_enough = np.asarray(one["a"] / one["b"]) > 1.3
    turn = np.abs(np.angle(np.exp(2j * (two["theta"] - one["theta"])))) / 2
    assert np.all(turn[round_enough] < 0.15)


@needs_program
def test_source_extractor_respects_mask_and_noise_map():
    image, _ = field(np.full(16, 40.0), side=300)
    mask = np.zeros(image.shape, np.uint8)
    mask[:, :150] = NODATA
    image[:, :150] = 0
    noise = np.full(image.shape, SIGMA)
    noise[:150] *= 40
    found = detect(difference(image, mask=mask, noise=noise), method="source-extractor")
    assert len(found) > 0
    assert np.all(found["x"] > 147) and np.all(found["y"] > 147)
    same = detect(difference(image, mask=mask, noise=noise))
    assert len(same) == len(found)


@needs_program
def test_source_extractor_may_find_nothing():
    blank = difference(SIGMA * np.random.default_rng(0).normal(size=(128, 128)))
    assert len(detect(blank, method="source-extractor")) == 0


def test_absent_program_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install source-extractor"):
        detect(difference(np.random.default_rng(0).normal(size=(64, 64)), sigma=1.0), method="source-extractor")


def test_a_failing_program_is_a_frame_error(monkeypatch, tmp_path):
    program = tmp_path / "source-extractor"
    program.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FrameError, match="code 3: no such luck"):
        detect(difference(np.random.default_rng(0).normal(size=(64, 64)), sigma=1.0), method="source-extractor")
