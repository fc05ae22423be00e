from dataclasses import replace

import numpy as np
import pytest
import sep
from scipy.signal import fftconvolve

from realbogus.errors import SubtractionError
from realbogus.images.frame import BAD
from realbogus.images.subtract import prepare, subtract
from realbogus.images.subtract.alard_lupton import alard_lupton, fit_kernel, side_to_convolve
from realbogus.images.subtract.apply import subtract_tiles
from realbogus.images.subtract.noise import frame_sigma


def prepared(field):
    return prepare(field.science, field.reference, field.measurement)


def near_stars(field, shape, radius=4):
    inside = np.zeros(shape, bool)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for a, b in zip(field.x[:20], field.y[:20], strict=True):
        inside |= np.hypot(x - a, y - b) < radius
    return inside


def test_difference_of_one_sky_is_noise(field):
    made = field(science_fwhm=3.0, reference_fwhm=3.0)
    difference = subtract(made.science, made.reference, made.measurement)
    good = difference.mask == 0
    chi = (difference.pixels / difference.noise)[good & near_stars(made, good.shape)]
    assert chi.std() == pytest.approx(1.0, abs=0.06)
    assert np.abs(chi).max() < 6
    assert difference.noise_ratio == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_broader_gaussian_is_recovered_with_its_flux_ratio(field, stars_image, scale):
    made = field(science_fwhm=4.2, reference_fwhm=3.0, scale=scale)
    kernel = fit_kernel(prepared(made), convolve="reference", order=0)
    assert kernel.total == pytest.approx(scale, rel=0.01)
    image = kernel.at(150, 140)
    # single pixels of a kernel are beyond what stars can tell: what it makes of a star counts
    middle = np.array([30.2]), np.array([29.9])
    sharp, broad = (stars_image((61, 61), *middle, np.ones(1), fwhm) for fwhm in (3.0, 4.2))
    made_broad = fftconvolve(sharp, image, mode="same")
    assert np.abs(made_broad / scale - broad).max() < 0.01 * broad.max()


@pytest.mark.parametrize("fwhms", [(3.8, 3.0), (3.0, 3.8)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_new_source_keeps_its_flux_whichever_side_is_convolved(field, fwhms, scale):
    new = ((60.3, 70.6, 3e4), (211.8, 200.2, 3e4), (140.1, 60.0, 3e4))
    quiet, loud = (field(science_fwhm=fwhms[0], reference_fwhm=fwhms[1], scale=scale, new=added) for added in ((), new))
    pixels = [subtract(f.science, f.reference, f.measurement).pixels for f in (quiet, loud)]
    # the same noise is in both: what is left is the source (and its photon noise)
    x, y, flux = np.array(new).T
    got = sep.sum_circle(np.ascontiguousarray(pixels[1] - pixels[0]), x, y, 12.0)[0]
    assert got.mean() == pytest.approx(flux.mean(), rel=0.02)


@pytest.mark.parametrize("fwhms", [(3.8, 3.0), (3.0, 3.8)])
def test_noise_map_is_what_is_measured(field, fwhms):
    made = field(science_fwhm=fwhms[0], reference_fwhm=fwhms[1], scale=1.7, depth=2.0)
    difference = subtract(made.science, made.reference, made.measurement)
    assert difference.convolved == ("reference" if fwhms[0] > fwhms[1] else "science")
    good = difference.mask == 0
    chi = difference.pixels / difference.noise
    assert chi[good].std() == pytest.approx(1.0, abs=0.05)
    # science-convolved noise is correlated: fewer independent pixels lie on stars
    assert chi[good & near_stars(made, good.shape)].std() == pytest.approx(1.0, abs=0.1)


def test_kernel_follows_a_psf_that_varies(field):
    made = field(shape=(400, 400), stars=150, vary=0.06)
    pair = prepared(made)
    near = near_stars(made, pair.shape)
    near[:15] = near[-15:] = near[:, :15] = near[:, -15:] = False
    spread = {}
    for order in (0, None):
        matched = alard_lupton(pair, order=order)
        spread[order] = (matched.pixels / matched.noise)[near].std()
    assert spread[None] < 0.6 * spread[0]
    assert spread[None] < 1.5


def test_a_subpixel_shift_is_taken_up(field):
    made = field(shift=0.25)
    matched = subtract(made.science, made.reference, made.measurement)
    plain = subtract(made.science, made.reference, made.measurement, method="plain")
    near = near_stars(made, made.science.shape) & (matched.mask == 0)
    assert (matched.pixels / matched.noise)[near].std() < 1.15
    assert (plain.pixels / plain.noise)[near].std() > 3


@pytest.mark.parametrize("convolve", ["reference", "science"])
def test_tiles_give_what_the_whole_gives(field, convolve):
    pair = prepared(field())
    kernel = fit_kernel(pair, convolve=convolve, order=0)
    whole = subtract_tiles(pair, kernel, convolve=convolve, jobs=1, size=400)
    tiles = subtract_tiles(pair, kernel, convolve=convolve, jobs=2, size=37)
    for a, b in zip(whole, tiles, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3 * frame_sigma(whole[0], np.zeros(whole[0].shape, np.uint8)))


def test_convolution_is_scipys(field):
    pair = prepared(field())
    kernel = fit_kernel(pair, convolve="reference", order=0)
    got, _ = subtract_tiles(pair, kernel, convolve="reference", jobs=1)
    margin = kernel.basis.half_width
    inner = np.s_[margin:-margin, margin:-margin]
    image = kernel.at(0, 0)
    x, y = np.arange(pair.shape[1], dtype=float), np.arange(pair.shape[0], dtype=float)
    truth = pair.science - fftconvolve(pair.reference.astype(float), image, mode="same") - kernel.sky_at(x, y)
    np.testing.assert_allclose(got[inner], truth[inner], atol=0.02)


def test_outcome_is_the_same_every_time_and_for_any_number_of_threads(field):
    made = field()
    one, two = (subtract(made.science, made.reference, made.measurement, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.noise, two.noise)


def test_a_variable_star_does_not_bend_the_kernel(field):
    made = field(stars=30)
    pixels = made.science.pixels.copy()
    brightest = int(np.argmax(made.flux))
    x, y = round(made.x[brightest]), round(made.y[brightest])
    pixels[y - 8 : y + 9, x - 8 : x + 9] = 300 + 0.5 * (pixels[y - 8 : y + 9, x - 8 : x + 9] - 300)
    faded = replace(made.science, pixels=pixels)
    difference = subtract(faded, made.reference, made.measurement)
    assert difference.scale == pytest.approx(1.0, abs=0.02)
    assert difference.pixels[y, x] < -20 * difference.noise[y, x]


@pytest.mark.parametrize("fwhms", [(3.8, 3.0), (3.0, 3.8)])
def test_a_hot_pixel_stays_sharp_and_visible(field, fwhms):
    made = field(science_fwhm=fwhms[0], reference_fwhm=fwhms[1])
    pixels, mask = made.science.pixels.copy(), made.science.mask.copy()
    hot = np.random.default_rng(0).integers(20, 260, (40, 2))
    pixels[hot[:, 0], hot[:, 1]] += 5000
    mask[hot[:, 0], hot[:, 1]] = BAD
    science = replace(made.science, pixels=pixels, mask=mask)
    clean = subtract(made.science, made.reference, made.measurement)
    difference = subtract(science, made.reference, made.measurement)
    assert difference.scale == pytest.approx(clean.scale, rel=0.01)
    assert (difference.mask[hot[:, 0], hot[:, 1]] == BAD).all()
    lonely = np.median(difference.pixels[hot[:, 0], hot[:, 1]])
    assert lonely == pytest.approx(5000, rel=0.05)
    assert abs(np.median(difference.pixels[hot[:, 0] + 1, hot[:, 1]])) < 2 * difference.sigma


@pytest.mark.parametrize(
    ("science", "reference", "side"),
    [(3.0, 3.0, "reference"), (2.95, 3.0, "reference"), (2.5, 3.0, "science")],
)
def test_the_sharper_side_is_convolved(field, science, reference, side):
    assert side_to_convolve(prepared(field(science_fwhm=science, reference_fwhm=reference))) == side


def test_eight_stars_are_enough(field):
    made = field(stars=14, new=((100, 100, 2e4),))
    difference = subtract(made.science, made.reference, made.measurement)
    assert 3 <= difference.stars <= 12
    assert difference.scale == pytest.approx(1.0, abs=0.02)


def test_undersampled_stars(field):
    made = field(science_fwhm=2.1, reference_fwhm=1.9)
    difference = subtract(made.science, made.reference, made.measurement)
    near = near_stars(made, made.science.shape) & (difference.mask == 0)
    assert (difference.pixels / difference.noise)[near].std() < 1.2


def test_too_few_stars_is_an_error_that_says_so(field):
    made = field()
    few = replace(made.measurement, stars=made.measurement.stars[:2])
    with pytest.raises(SubtractionError, match=r"\d stars well, 3 are needed"):
        subtract(made.science, made.reference, few)


def test_stars_spoilt_by_bad_pixels_are_no_kernel_stars(field):
    made = field()
    mask = made.science.mask.copy()
    mask[np.clip(np.rint(made.y).astype(int), 0, 279), np.clip(np.rint(made.x).astype(int), 0, 299)] = BAD
    with pytest.raises(SubtractionError, match="are clean, constant and off the border"):
        subtract(replace(made.science, mask=mask), made.reference, made.measurement)


def test_a_star_that_varies_is_not_hidden_by_the_scatter_of_the_references_members(field):
    made = field()
    noise = made.reference.noise + np.float32(0.2) * np.maximum(made.reference.frame.pixels, 0)
    scattered = replace(made.reference, noise=noise)
    calm, wild = (subtract(made.science, ref, made.measurement) for ref in (made.reference, scattered))
    near = near_stars(made, made.science.shape) & (wild.mask == 0)
    assert np.median(wild.noise[near] / calm.noise[near]) < 1.2
