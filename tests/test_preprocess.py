"""The one preprocessing: PSF size and noise must cancel, a fading source must look like a rising one."""

import numpy as np
import pytest

from realbogus.errors import ConfigError, InputError
from realbogus.preprocess import Preprocess
from realbogus.resample import resampling_matrix, resampling_window


def star(fwhm, size=64, amplitude=1.0):
    offset = np.arange(size) - size // 2
    sigma = fwhm / 2.3548
    line = np.exp(-0.5 * (offset / sigma) ** 2)
    return (amplitude * line[:, None] * line).astype(np.float32)[None, None]


@pytest.mark.parametrize("fwhm", [2.5, 3.5, 5.0, 7.5])
def test_stars_of_every_size_look_alike_in_the_psf_view(fwhm):
    prepare = Preprocess(planes=("psf:difference",), orient=False)
    # so faint that asinh is linear: only the resampling is tested
    plane = prepare(star(fwhm, amplitude=1e-3), noise=1.0, fwhm=[fwhm])[0, 0]
    wanted = star(3.5, 32, 1e-3)[0, 0]
    np.testing.assert_allclose(plane, wanted, atol=0.04e-3)


def test_noise_is_the_unit():
    prepare = Preprocess(planes=("native:difference",), size=64, orient=False)
    stamp = np.full((1, 1, 64, 64), 6.0, np.float32)
    np.testing.assert_allclose(prepare(stamp, noise=[2.0]), np.arcsinh(3.0), rtol=1e-6)


def test_a_fading_source_looks_like_a_rising_one():
    prepare = Preprocess()
    rng = np.random.default_rng(3)
    stamp = star(3.0, amplitude=30.0) + rng.normal(size=(1, 1, 64, 64)).astype(np.float32)
    np.testing.assert_array_equal(prepare(stamp, noise=1.0, fwhm=3.0), prepare(-stamp, noise=1.0, fwhm=3.0))


def test_turning_swaps_science_and_reference():
    prepare = Preprocess(
        planes=("native:difference", "native:science", "native:reference"),
        channels=("difference", "science", "reference"), size=64,
    )  # fmt: skip
    science, reference = star(3.0, amplitude=1.0), star(3.0, amplitude=20.0)
    stamp = np.concatenate([science - reference, science, reference], axis=1)
    out = prepare(stamp, noise=1.0, fwhm=3.0)[0]
    np.testing.assert_allclose(out[0], np.arcsinh(reference - science)[0, 0], rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(out[1], np.arcsinh(reference)[0, 0], rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(out[2], np.arcsinh(science)[0, 0], rtol=1e-6, atol=2e-7)


def test_the_stretch_is_arcsinh_for_all_sizes_and_signs():
    prepare = Preprocess(planes=("native:difference",), size=64, orient=False)
    rng = np.random.default_rng(5)
    stamps = (10 ** rng.uniform(-12, 38.4, (7, 1, 64, 64)) * rng.choice([-1, 1], (7, 1, 64, 64))).astype(np.float32)
    stamps[0, 0, 0, :4] = 0.0, np.finfo(np.float32).max, np.finfo(np.float32).min, np.finfo(np.float32).tiny
    with np.errstate(all="raise", under="ignore"):
        out = prepare(stamps, noise=1.0)
    np.testing.assert_allclose(out, np.arcsinh(stamps.astype(np.float64)), rtol=3e-7, atol=2e-7)
    one = prepare(stamps[:1, :, :, :], noise=1.0)
    np.testing.assert_array_equal(one, out[:1])
    calm = np.where(np.abs(stamps) > 1e18, np.float32(1.0), stamps)
    np.testing.assert_array_equal(prepare(calm, noise=1.0)[calm == stamps], out[calm == stamps])


def test_the_wide_view_is_a_plain_average():
    prepare = Preprocess(planes=("wide:difference",), orient=False)
    stamp = np.random.default_rng(1).normal(size=(2, 1, 64, 64)).astype(np.float32)
    wanted = np.arcsinh(stamp[:, 0]).reshape(2, 32, 2, 32, 2).mean((2, 4))
    np.testing.assert_allclose(prepare(stamp, noise=1.0, fwhm=3.0)[:, 0], wanted, atol=1e-6)


def test_rows_do_not_depend_on_their_neighbours():
    rng = np.random.default_rng(2)
    stamps = rng.normal(size=(6, 1, 64, 64)).astype(np.float32)
    noise, fwhm = rng.uniform(0.5, 2, 6), rng.uniform(1.6, 7, 6)
    prepare = Preprocess()
    together = prepare(stamps, noise=noise, fwhm=fwhm)
    for k in range(6):
        alone = prepare(stamps[k : k + 1], noise=noise[k : k + 1], fwhm=fwhm[k : k + 1])
        np.testing.assert_allclose(alone[0], together[k], atol=1e-5)


def test_resampling_keeps_a_constant_in_the_middle():
    for step in (0.4, 1.0, 1.7):
        assert resampling_matrix(64, 32, step)[16].sum() == pytest.approx(1.0, abs=0.02)


def test_the_window_is_all_that_a_view_looks_at():
    for step in (0.3, 0.9, 1.0, 1.37, 2.2, 5.7):
        first, last, part = resampling_window(64, 32, step)
        matrix = resampling_matrix(64, 32, step)
        np.testing.assert_array_equal(matrix[:, first:last], part)
        assert not matrix[:, :first].any() and not matrix[:, last:].any()
        assert matrix[:, first].any() and matrix[:, last - 1].any()


@pytest.mark.parametrize("orient", [False, True])
def test_views_of_several_channels_are_those_of_the_whole_stamp(orient):
    rng = np.random.default_rng(8)
    channels = ("science", "difference", "reference")
    stamps = (rng.standard_normal((40, 3, 64, 64)) * 5).astype(np.float32)
    noise, fwhm = rng.uniform(1, 3, 40).astype(np.float32), rng.choice([1.7, 2.9, 6.2], 40).astype(np.float32)
    planes = ("psf:difference", "wide:difference", "psf:science", "native:reference", "psf:reference")
    got = Preprocess(planes=planes, channels=channels, orient=orient)(stamps, noise=noise, fwhm=fwhm)
    scaled = stamps / noise[:, None, None, None]
    if orient:
        line = np.arange(64) - 32
        weight = np.exp(-0.5 * (line / (fwhm[:, None] / 2.354820045)) ** 2)
        fading = np.einsum("nyx,ny,nx->n", scaled[:, 1], weight, weight) < 0
        assert 5 < fading.sum() < 35
        scaled[fading] = scaled[fading][:, [2, 1, 0]] * np.array([1, -1, 1])[:, None, None]
    whole = np.arcsinh(scaled.astype(np.float64))
    for row in range(40):
        matrix = resampling_matrix(64, 32, float(np.round(fwhm[row], 2)) / 3.5).astype(np.float64)
        science, difference, reference = (matrix @ plane @ matrix.T for plane in whole[row])
        wide = whole[row, 1].reshape(32, 2, 32, 2).mean((1, 3))
        wanted = [difference, wide, science, whole[row, 2, 16:48, 16:48], reference]
        np.testing.assert_allclose(got[row], wanted, atol=3e-6)


def test_no_stamps_give_no_planes():
    assert Preprocess()(np.zeros((0, 1, 64, 64)), noise=np.zeros(0), fwhm=np.zeros(0)).shape == (0, 2, 32, 32)


def test_without_noise_the_stamp_measures_itself():
    prepare = Preprocess(planes=("native:difference",), size=64, scale="stamp", orient=False)
    stamp = np.random.default_rng(0).normal(100.0, 5.0, (1, 1, 64, 64)).astype(np.float32)
    assert np.std(np.sinh(prepare(stamp))) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(
    ("stamp", "facts", "message"),
    [
        (np.zeros((1, 2, 64, 64)), {"noise": 1.0, "fwhm": 3.0}, "expected"),
        (np.full((1, 1, 64, 64), np.nan), {"noise": 1.0, "fwhm": 3.0}, "NaN"),
        (np.zeros((1, 1, 64, 64)), {"noise": 1.0}, "fwhm"),
        (np.zeros((1, 1, 64, 64)), {"noise": 0.0, "fwhm": 3.0}, "above zero"),
        (np.zeros((3, 1, 64, 64)), {"noise": [1.0, np.nan, -1.0], "fwhm": 3.0}, "2 of 3 are not, .* nan of stamp 1"),
    ],
)
def test_bad_stamps_are_refused(stamp, facts, message):
    with pytest.raises(InputError, match=message):
        Preprocess()(stamp, **facts)


def test_what_no_view_asks_for_need_not_be_there():
    stamp = np.random.default_rng(0).normal(0.0, 5.0, (2, 1, 64, 64)).astype(np.float32)
    native = Preprocess(planes=("native:difference",), size=64, orient=False)
    assert np.array_equal(native(stamp, noise=5.0, fwhm=[3.0, np.nan]), native(stamp, noise=5.0))
    own = Preprocess(planes=("native:difference",), size=64, orient=False, scale="stamp")
    assert np.array_equal(own(stamp, noise=[np.nan, 1.0]), own(stamp))


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="VIEW:CHANNEL"):
        Preprocess(planes=("round:difference",))
    with pytest.raises(ConfigError, match="scale"):
        Preprocess(scale="magic")
    with pytest.raises(ConfigError, match="unknown keys"):
        Preprocess.from_dict({"plane": []})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "64"}, "preprocess.size is '64', expected a whole number"),
        ({"size": 32.0}, "preprocess.size is 32.0"),
        ({"size": True}, "preprocess.size is True"),
        ({"size": 0}, "preprocess.size is 0"),
        ({"fwhm_px": "3"}, "preprocess.fwhm_px is '3', expected a number"),
        ({"fwhm_px": 0}, "preprocess.fwhm_px is 0: it must be above 0"),
        ({"fwhm_px": float("nan")}, "preprocess.fwhm_px is nan"),
        ({"orient": 1}, "preprocess.orient is 1, expected true or false"),
        ({"planes": "psf:difference"}, "preprocess.planes is 'psf:difference', expected a list"),
        ({"planes": []}, "preprocess.planes is \\[\\], expected one name at least"),
        ({"planes": [3]}, "preprocess.planes is \\[3\\]"),
        ({"channels": 3}, "preprocess.channels is 3, expected a list"),
        ({"channels": ["difference", "difference"]}, "name each channel once"),
        ({"scale": ["noise"]}, "preprocess scale"),
        (None, "preprocess is None, expected a table"),
    ],
)
def test_settings_of_wrong_types_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        Preprocess.from_dict(values)


def test_the_quick_wide_view_is_the_mean_to_the_last_bit():
    rng = np.random.default_rng(4)
    planes = np.arcsinh(rng.standard_normal((50, 64, 64)) * 100).astype(np.float32)
    truth = planes.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4), dtype=np.float32)
    np.testing.assert_array_equal(Preprocess()._wide(planes), truth)


@pytest.mark.parametrize("orient", [False, True])
@pytest.mark.parametrize("scale", ["noise", "stamp"])
def test_a_small_native_view_is_the_middle_of_a_large_one(orient, scale):
    rng = np.random.default_rng(4)
    pixels = rng.standard_normal((20, 1, 64, 64)).astype(np.float32)
    before = pixels.copy()
    facts = {"noise": np.full(20, 2.0), "fwhm": np.full(20, 3.0)}
    small, large = (
        Preprocess(planes=("native:difference",), size=size, orient=orient, scale=scale)(pixels, **facts)
        for size in (20, 64)
    )
    np.testing.assert_array_equal(small, large[..., 22:42, 22:42])
    np.testing.assert_array_equal(pixels, before)  # what was handed in is not written to
    with pytest.raises(InputError, match="smaller than the network's 80 px"):
        Preprocess(planes=("native:difference",), size=80, orient=orient, scale=scale)(pixels, **facts)


def test_what_does_not_fit_is_said_whatever_else_looks_at_the_channel():
    prepare = Preprocess(planes=("native:difference", "psf:difference", "wide:difference"))
    for count in (0, 3):
        with pytest.raises(InputError, match="stamps of 16 px are smaller than the network's 32 px"):
            prepare(np.zeros((count, 1, 16, 16)), noise=1.0, fwhm=3.0)
        with pytest.raises(InputError, match="does not divide stamps of 50 px"):
            prepare(np.zeros((count, 1, 50, 50)), noise=1.0, fwhm=3.0)


@pytest.mark.parametrize("kind", ["fortran", "big-endian", "int", "strided", "mapped"])
def test_however_the_pixels_lie_in_memory(kind, tmp_path):
    rng = np.random.default_rng(9)
    plain = np.round(rng.standard_normal((12, 3, 64, 64)) * 30).astype(np.float32)
    if kind == "mapped":
        np.save(tmp_path / "pixels.npy", plain)
    given = {
        "fortran": lambda: np.asfortranarray(plain),
        "big-endian": lambda: plain.astype(">f4"),
        "int": lambda: plain.astype(np.int32),
        "strided": lambda: np.repeat(plain, 2, axis=0)[::2],
        "mapped": lambda: np.load(tmp_path / "pixels.npy", mmap_mode="r"),
    }[kind]()
    planes = ("psf:difference", "wide:difference", "psf:science", "psf:reference")
    prepare = Preprocess(planes=planes, channels=("difference", "science", "reference"))
    facts = {"noise": rng.uniform(1, 3, 12), "fwhm": rng.uniform(2, 4, 12)}
    np.testing.assert_array_equal(prepare(given, **facts), prepare(plain, **facts))
    np.testing.assert_array_equal(np.asarray(given, dtype=np.float32), plain)


def test_no_stamps_at_all_even_where_they_cannot_be_written():
    none = np.zeros((0, 1, 64, 64), np.float32)
    none.setflags(write=False)
    assert Preprocess(scale="stamp")(none, fwhm=3.0).shape == (0, 2, 32, 32)
    assert Preprocess()(none, noise=1.0, fwhm=3.0).shape == (0, 2, 32, 32)
