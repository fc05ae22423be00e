"""References built of frames whose sky, noise and stars are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.errors import FrameError, InputError, OutputError
from realbogus.images.align import Transform, identity, shifted
from realbogus.images.combine import Layer, combine_rows
from realbogus.images.frame import BAD, NODATA, SATURATED, Frame
from realbogus.images.maps import Affine
from realbogus.images.measure import Measurement, measure
from realbogus.images.members import _cost, choose_members, flux_ratio
from realbogus.images.read import read_frame
from realbogus.images.reference import Reference, build_reference, warp_reference
from realbogus.images.reference_io import read_reference, write_reference
from realbogus.images.write import write_frame

SHAPE = (240, 280)
SIGMA_PSF = 1.5
SKY, GAIN, READ_NOISE = 300.0, 2.0, 5.0
NOISE = float(np.sqrt(SKY / GAIN + (READ_NOISE / GAIN) ** 2))
PSF = np.ones((1, 1), np.float32)
Image = NDArray[np.floating]


def drawn(stars: Image, shape: tuple[int, int] = SHAPE) -> Image:
    image = np.zeros(shape)
    for x, y, flux in stars:
        j, i = round(x), round(y)
        if not (-8 < i < shape[0] + 8 and -8 < j < shape[1] + 8):
            continue
        rows = np.arange(max(0, i - 9), min(shape[0], i + 10))
        columns = np.arange(max(0, j - 9), min(shape[1], j + 10))
        profile = np.outer(
            np.exp(-((rows - y) ** 2) / (2 * SIGMA_PSF**2)),
            np.exp(-((columns - x) ** 2) / (2 * SIGMA_PSF**2)),
        )
        image[rows[:, None], columns] += flux * profile / (2 * np.pi * SIGMA_PSF**2)
    return image


@dataclasses.dataclass
class Night:
    frames: list[Frame]
    measurements: list[Measurement]
    transforms: list[Transform]
    stars: Image


def night(n: int, *, seed: int = 3, spread: float = 6.0, scales: Sequence[float] | None = None) -> Night:
    """Frames of one field with dithers, half a degree of rotation and photon noise."""
    rng = np.random.default_rng(seed)
    margin = 20
    stars = np.column_stack(
        [
            rng.uniform(-margin, SHAPE[1] + margin, 90),
            rng.uniform(-margin, SHAPE[0] + margin, 90),
            1500.0 + 1500.0 * rng.pareto(1.5, 90),
        ]
    )
    stars[:, 2] = np.minimum(stars[:, 2], 4e4)
    stars = stars[np.argsort(-stars[:, 2])]
    out = Night([], [], [], stars)
    for k in range(n):
        angle = np.radians(rng.uniform(-0.5, 0.5)) if k else 0.0
        dx, dy = rng.uniform(-spread, spread, 2) if k else (0.0, 0.0)
        move = Affine((np.cos(angle), -np.sin(angle), dx, np.sin(angle), np.cos(angle), dy))
        x, y = move(stars[:, 0], stars[:, 1])
        scale = 1.0 if scales is None else scales[k]
        here = np.column_stack([x, y, stars[:, 2] * scale])
        light = drawn(here) + SKY
        pixels = rng.poisson(light * GAIN) / GAIN + rng.normal(0, READ_NOISE / GAIN, SHAPE)
        mask = np.zeros(SHAPE, np.uint8)
        out.frames.append(
            Frame(f"{k}.fits", pixels.astype(np.float32), mask, GAIN, READ_NOISE, 60000.0, 60.0, 60000.0 + k)
        )
        inside = (x > 0) & (x < SHAPE[1] - 1) & (y > 0) & (y < SHAPE[0] - 1)
        out.measurements.append(Measurement(SKY, NOISE, 3.5, 0.0, PSF, here[inside]))
        out.transforms.append(Transform(move, move.inverse(), 0.05, 50, "stars") if k else identity())
    return out


def built(given: Night, **options: object) -> Reference:
    return build_reference(given.frames, given.measurements, given.transforms, shape=SHAPE, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def eight() -> tuple[Night, Reference]:
    given = night(8)
    return given, built(given)


def test_the_reference_is_the_sky_and_its_noise_map_says_how_well(eight: tuple[Night, Reference]) -> None:
    given, ref = eight
    # The mesh background is pulled up by stars: compare up to a smooth offset.
    good = (ref.frame.mask == 0) & (ref.coverage == 8)
    truth = drawn(given.stars)
    blank = good & (truth < 1)
    miss = ref.frame.pixels - truth
    miss -= np.median(miss[blank])
    assert blank.mean() > 0.3
    pull = miss[blank] / ref.noise[blank]
    assert np.std(pull) == pytest.approx(1.0, abs=0.1)
    assert np.median(ref.noise[blank]) < NOISE / np.sqrt(8)
    bright = good & (truth > 200)
    assert 1.4826 * np.median(np.abs(miss[bright] / ref.noise[bright])) == pytest.approx(1.0, abs=0.3)
    assert ref.members == tuple(f"{k}.fits" for k in range(8))


def test_coverage_counts_the_footprints(eight: tuple[Night, Reference]) -> None:
    given, ref = eight
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    count = np.zeros(SHAPE, int)
    for transform in given.transforms:
        x, y = transform.to_source(columns, rows)
        count += (x >= 0) & (x <= SHAPE[1] - 1) & (y >= 0) & (y <= SHAPE[0] - 1)
    # Clipping takes a rare member away, never adds one.
    assert (ref.coverage <= count).all()
    assert np.mean(ref.coverage == count) > 0.98
    assert (ref.frame.mask[count < 3] & NODATA).all()
    assert ((ref.frame.mask & NODATA) == 0)[count >= 8].all()


def test_gain_and_read_noise_of_the_reference(eight: tuple[Night, Reference]) -> None:
    _, ref = eight
    assert ref.frame.gain == pytest.approx(8 * GAIN, rel=0.35)
    assert ref.frame.mjd == pytest.approx(60003.5)
    assert ref.frame.read_noise / ref.frame.gain < READ_NOISE / GAIN / np.sqrt(8) * 1.05


def test_frames_come_to_the_zero_point_of_the_first() -> None:
    scales = [1.0, 0.5, 0.8, 1.3, 1.0]
    given = night(5, seed=4, scales=scales)
    ref = built(given)
    assert ref.frame.notes["scales"] == pytest.approx([1 / s for s in scales], rel=0.01)
    ratio, count = flux_ratio(ref.measurement.stars, given.stars)
    assert count > 20 and ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("n", [3, 5])
def test_cosmic_rays_and_hot_pixels_do_not_survive(n: int) -> None:
    given = night(n, seed=6)
    clean = built(given)
    given.frames[1].pixels[100:103, 120:140] += 5000
    given.frames[2].pixels[60, 60] += 20000
    hit = built(given)
    same = (clean.frame.mask == 0) & (hit.frame.mask == 0)
    # Removing one of three members changes a pixel by noise only.
    assert np.abs(hit.frame.pixels - clean.frame.pixels)[same].max() < 8 * NOISE


def test_masked_pixels_do_not_contribute() -> None:
    given = night(5, seed=7, spread=2.0)
    for frame in given.frames:
        frame.pixels[150:154, 150:154] = 60000.0
        frame.mask[150:154, 150:154] = SATURATED
    given.frames[3].pixels[40, 40], given.frames[3].mask[40, 40] = 9e5, BAD
    given.frames[4].pixels[90:, 200:], given.frames[4].mask[90:, 200:] = SKY, NODATA
    ref = built(given)
    assert np.abs(ref.frame.pixels[30:50, 30:50]).max() < 4e4
    assert (ref.frame.mask[150:154, 150:154] & SATURATED).any()
    assert np.isfinite(ref.frame.pixels).all() and ref.frame.pixels[152, 152] > 2e4
    core = ref.coverage[120:200, 230:260]
    assert np.median(core) == 4 and np.median(ref.coverage[20:70, 100:200]) == 5


def test_hot_pixels_of_a_night_without_dither_are_flagged_and_leave_no_hole() -> None:
    given = night(5, seed=7, spread=0.0)
    given.transforms[:] = [identity()] * 5
    given.frames[:] = [dataclasses.replace(given.frames[0], name=f"{k}.fits") for k in range(5)]
    clean = built(given)
    hot = np.random.default_rng(1).random(SHAPE) < 0.005
    hot[:3] = hot[-3:] = hot[:, :3] = hot[:, -3:] = False
    given.frames[:] = [
        dataclasses.replace(
            f, pixels=np.where(hot, f.pixels + 9000, f.pixels), mask=f.mask | BAD * hot.astype(np.uint8)
        )
        for f in given.frames
    ]
    ref = built(given)
    assert not (ref.frame.mask & NODATA).any()
    assert np.array_equal((ref.frame.mask & BAD) != 0, hot)
    blank = hot & (drawn(given.stars) < 1)
    assert np.abs(ref.frame.pixels - clean.frame.pixels)[blank].max() < 8 * NOISE
    warped = warp_reference(ref, shifted(identity(), 4, 0), SHAPE)
    assert (warped.frame.mask[:, : SHAPE[1] - 4] & NODATA).sum() == 0
    assert np.array_equal((warped.frame.mask & BAD)[:, :-4] != 0, hot[:, 4:])


def test_a_bad_pixel_of_some_members_is_not_bad_in_the_reference() -> None:
    values = np.ones((5, 8, 8), np.float32)
    state = np.zeros(values.shape, np.uint8)
    state[:2, 2, 2], state[:3, 4, 4], state[:3, 6, 6] = 4, 4, 1
    values[:3, 4, 4], values[:2, 2, 2] = 1.5, 99.0
    out = combine_rows(values, state, [Layer(1.0, 1.0, 2.0, 1.0)] * 5, 3)
    assert np.argwhere(out.bad).tolist() == [[4, 4]]
    assert np.argwhere(out.nodata).tolist() == [[6, 6]]
    assert out.pixels[4, 4] == pytest.approx(1.3) and out.pixels[2, 2] == 1.0


def test_frames_of_other_binning_come_to_one_zero_point() -> None:
    fine = night(2, seed=12, spread=0.0)
    rng = np.random.default_rng(5)
    light = drawn(fine.stars) + SKY
    binned = (rng.poisson(light * GAIN) / GAIN).reshape(SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).sum(axis=(1, 3))
    move = Affine((0.5, 0.0, -0.25, 0.0, 0.5, -0.25))
    x, y = move(fine.stars[:, 0], fine.stars[:, 1])
    inside = (x > 0) & (x < SHAPE[1] / 2 - 1) & (y > 0) & (y < SHAPE[0] / 2 - 1)
    seen = Measurement(4 * SKY, 2 * NOISE, 1.8, 0.0, PSF, np.column_stack([x, y, fine.stars[:, 2]])[inside])
    frame = Frame("2.fits", binned.astype(np.float32), np.zeros(binned.shape, np.uint8), GAIN, 0.0)
    fine.frames[1], fine.measurements[1] = frame, seen
    fine.transforms[1] = Transform(move, move.inverse(), 0.05, 50, "stars")
    ref = built(fine)
    assert ref.frame.notes["scales"] == pytest.approx([1.0, 0.25], rel=0.01)
    ratio, count = flux_ratio(ref.measurement.stars, fine.stars)
    assert count > 15 and ratio == pytest.approx(1.0, abs=0.03)


def test_loaders_give_the_same_reference_as_frames() -> None:
    given = night(3, seed=8)
    loaders = [lambda frame=frame: frame for frame in given.frames]
    lazy = build_reference(loaders, given.measurements, given.transforms, shape=SHAPE)
    eager = built(given)
    assert np.array_equal(lazy.frame.pixels, eager.frame.pixels)
    assert np.array_equal(lazy.noise, eager.noise)


@pytest.mark.parametrize(("n", "needed"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_the_needed_coverage_depends_on_the_number_of_members(n: int, needed: int) -> None:
    ref = built(night(n, seed=9, spread=30.0))
    assert ref.coverage[(ref.frame.mask & NODATA) == 0].min() >= needed - (n >= 3)
    assert (ref.frame.mask[ref.coverage < needed - (n >= 3)] & NODATA).all()


def test_dead_border_rows_are_left_out() -> None:
    given = night(5, seed=10, spread=3.0)
    for frame in given.frames:
        frame.pixels[:6] -= 150
    ref = built(given)
    good = (ref.frame.mask == 0) & (np.arange(SHAPE[0]) < 20)[:, None]
    assert good.any() and ref.frame.pixels[good].min() > -6 * NOISE


def test_lists_of_different_lengths_are_refused() -> None:
    given = night(2)
    with pytest.raises(InputError, match="2 frames, 1 measurements and 2 transforms"):
        build_reference(given.frames, given.measurements[:1], given.transforms, shape=SHAPE)


def test_warped_reference_lies_on_the_science_grid(eight: tuple[Night, Reference]) -> None:
    given, ref = eight
    transform = shifted(identity(), 10.5, -20.25)
    warped = warp_reference(ref, transform, (200, 220))
    assert warped.frame.shape == warped.noise.shape == warped.coverage.shape == (200, 220)
    assert (warped.frame.mask[:18] & NODATA).all()
    truth = drawn(given.stars - [10.5, -20.25, 0], (200, 220))
    good = warped.frame.mask == 0
    assert np.corrcoef(warped.frame.pixels[good], truth[good])[0, 1] > 0.99
    ratio, count = flux_ratio(warped.measurement.stars, given.stars - [10.5, -20.25, 0])
    assert count > 15 and ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("pixels", [0.5, 2.0])
def test_a_reference_of_another_pixel_scale_has_its_fwhm_in_the_new_pixels(
    eight: tuple[Night, Reference], pixels: float
) -> None:
    """`pixels`: the side of a science pixel in reference pixels."""
    ref = eight[1]
    move = Affine((pixels, 0.0, 0.0, 0.0, pixels, 0.0))
    shape = (int(SHAPE[0] / pixels), int(SHAPE[1] / pixels))
    warped = warp_reference(ref, Transform(move, move.inverse(), 0.05, 50, "stars"), shape)
    assert warped.measurement.fwhm == pytest.approx(ref.measurement.fwhm / pixels)
    if pixels < 1:  # and so it is measured
        assert measure(warped.frame).fwhm == pytest.approx(warped.measurement.fwhm, rel=0.05)


def test_a_reference_survives_the_disk(eight: tuple[Night, Reference], tmp_path: Path) -> None:
    _, ref = eight
    again = read_reference(write_reference(ref, tmp_path / "deep.fits"))
    for name in ("noise", "coverage"):
        assert np.array_equal(getattr(again, name), getattr(ref, name))
    assert np.array_equal(again.frame.pixels, ref.frame.pixels)
    assert np.array_equal(again.frame.mask, ref.frame.mask)
    assert np.array_equal(again.measurement.stars, ref.measurement.stars)
    assert again.measurement.fwhm == ref.measurement.fwhm
    assert again.members == ref.members
    assert (again.frame.gain, again.frame.saturation) == (ref.frame.gain, ref.frame.saturation)
    assert again.frame.pixels.dtype.isnative
    assert [p.name for p in tmp_path.iterdir()] == ["deep.fits"]


def test_somebody_elses_image_becomes_a_reference(tmp_path: Path) -> None:
    from astropy.io import fits

    given = night(1)
    fits.PrimaryHDU(given.frames[0].pixels, fits.Header({"GAIN": GAIN})).writeto(tmp_path / "plain.fits")
    ref = read_reference(tmp_path / "plain.fits")
    assert (ref.coverage == 1).all() and ref.members == ("plain.fits",)
    assert abs(np.median(ref.frame.pixels)) < 3
    assert np.median(ref.noise) == pytest.approx(NOISE, rel=0.1)


def test_wrong_files_say_what_is_wrong(eight: tuple[Night, Reference], tmp_path: Path) -> None:
    from astropy.io import fits

    with pytest.raises(FrameError, match="no file"):
        read_reference(tmp_path / "absent.fits")
    (tmp_path / "text.fits").write_text("hello")
    with pytest.raises(FrameError, match="not a FITS file"):
        read_reference(tmp_path / "text.fits")
    path = write_reference(eight[1], tmp_path / "deep.fits")
    with fits.open(path, memmap=False) as hdus:
        del hdus["NOISE"]
        hdus.writeto(tmp_path / "part.fits")
    with pytest.raises(FrameError, match="incomplete reference, it lacks NOISE"):
        read_reference(tmp_path / "part.fits")
    with pytest.raises(OutputError, match="cannot write the reference"):
        write_reference(eight[1], tmp_path / "nowhere" / "deep.fits")


def test_combining_knows_its_noise_for_any_number_of_members() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 4, 8, 12):
        sigma = rng.uniform(1, 2, n)
        values = (rng.normal(size=(n, 150, 150)) * sigma[:, None, None]).astype(np.float32)
        layers = [Layer(1.0, float(s), 2.0, 1.0) for s in sigma]
        out = combine_rows(values, np.zeros(values.shape, np.uint8), layers, 1)
        assert np.std(out.pixels / out.noise) == pytest.approx(1.0, abs=0.06), n


def test_combining_reports_members_that_scatter_more_than_expected() -> None:
    values = (5.0 * np.random.default_rng(0).normal(size=(9, 60, 60))).astype(np.float32)
    out = combine_rows(values, np.zeros(values.shape, np.uint8), [Layer(1.0, 1.0, 2.0, 1.0)] * 9, 1)
    assert np.median(out.noise) == pytest.approx(5.0 / 3.0, rel=0.15)


def quality(fwhm: float, noise: float = 10.0, flux: float = 1.0, ellipticity: float = 0.0) -> Measurement:
    rng = np.random.default_rng(0)
    stars = np.column_stack([rng.uniform(0, 1000, (40, 2)), np.sort(rng.uniform(1e3, 1e4, 40))[::-1] * flux])
    return Measurement(100.0, noise, fwhm, ellipticity, PSF, stars)


def test_members_are_sharp_dark_clear_and_round() -> None:
    good = [quality(2.5) for _ in range(6)]
    poor = [quality(5.0), quality(2.5, noise=40.0), quality(2.5, flux=0.2), quality(2.5, ellipticity=0.6)]
    offsets = np.random.default_rng(1).uniform(-40, 40, (10, 2)) * 0
    offsets[:, 0] = np.arange(10) * 8.0
    stars_follow = [
        dataclasses.replace(m, stars=m.stars - [x, y, 0]) for m, (x, y) in zip(good + poor, offsets, strict=True)
    ]
    assert sorted(choose_members(stars_follow, offsets, count=6)) == [0, 1, 2, 3, 4, 5]


def test_members_are_spread_in_dither() -> None:
    offsets = np.zeros((20, 2))
    offsets[10:, 0] = np.arange(10) * 15.0
    chosen = choose_members([quality(3.0) for _ in range(20)], offsets, count=10)
    assert len({tuple(offsets[k]) for k in chosen}) == 10


def test_members_cover_the_union_of_drifting_frames() -> None:
    offsets = np.column_stack([np.linspace(0, 900, 60), np.zeros(60)])
    fwhm = np.linspace(2.2, 2.8, 60)
    chosen = choose_members([quality(float(f)) for f in fwhm], offsets)
    centres = np.linspace(10, 1890, 80)
    covered = (np.abs(centres[:, None] - (offsets[chosen, 0] + 500)[None]) < 500).sum(axis=1)
    # The outermost sky is seen by fewer than three frames that lie near the end of the drift.
    assert (covered[5:-5] >= 1).all() and np.mean(covered >= 3) > 0.8


def test_members_are_compared_on_the_common_grid_after_a_meridian_flip() -> None:
    """Thin cloud dims some frames; half of the night is turned by 180 degrees."""
    turn = Affine((-1.0, 0.0, 999.0, 0.0, -1.0, 999.0))
    flipped = Transform(turn, turn, 0.05, 50, "stars")
    night, transforms = [], []
    for k in range(16):
        # ghosts of any brightness in the flipped frames, so that ranks alone mislead
        m = quality(2.5, flux=0.3 if k % 4 == 3 else 1.0)
        transforms.append(flipped if k >= 8 else identity())
        if k >= 8:
            x, y = turn(m.stars[:, 0], m.stars[:, 1])
            ghosts = np.full((20, 3), [500.0, 500.0, 3e4 if k % 4 == 3 else 10.0]) + np.arange(20)[:, None]
            stars = np.concatenate([np.column_stack([x, y, m.stars[:, 2]])[:20], ghosts])
            m = dataclasses.replace(m, stars=stars[np.argsort(-stars[:, 2])])
        night.append(m)
    chosen = choose_members(night, np.zeros((16, 2)), count=12, transforms=transforms)
    assert sorted(chosen) == [k for k in range(16) if k % 4 != 3]
    assert sorted(choose_members(night, np.zeros((16, 2)), count=12)) != sorted(chosen)  # the offsets mislead
    with pytest.raises(InputError, match="16 measurements and 1 transforms"):
        choose_members(night, np.zeros((16, 2)), transforms=transforms[:1])


@pytest.mark.parametrize("n", [1, 2, 3, 12, 100])
def test_any_number_of_frames_gives_members(n: int) -> None:
    rng = np.random.default_rng(n)
    chosen = choose_members([quality(float(f)) for f in rng.uniform(2, 3, n)], rng.uniform(-30, 30, (n, 2)))
    assert len(set(chosen)) == len(chosen) and min(n, 5) <= len(chosen) <= 12


def test_binned_frames_are_no_sharper() -> None:
    """Equal exposures, every other one binned 2 x 2: half the FWHM and twice the noise in its own pixels."""
    given = night(4, spread=0.0)
    half = Affine((0.5, 0.0, -0.25, 0.0, 0.5, -0.25))
    binned = Transform(half, half.inverse(), 0.05, 50, "stars")
    plain, stars = given.measurements[0], given.stars
    x, y = half(stars[:, 0], stars[:, 1])
    other = replace(plain, fwhm=plain.fwhm / 2, noise=plain.noise * 2, stars=np.column_stack([x, y, stars[:, 2]]))
    cost = _cost([plain, other], np.zeros((2, 2)), [identity(), binned])
    assert cost[1] == pytest.approx(cost[0], abs=0.05)


def test_members_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="0 measurements"):
        choose_members([], np.zeros((0, 2)))
    with pytest.raises(InputError, match=r"offsets of shape \(3, 2\)"):
        choose_members([quality(2.0)] * 2, np.zeros((3, 2)))


def test_words_that_are_no_ascii_survive_on_disk(tmp_path):
    """A profile 望远镜.toml, a filter Hα: FITS holds printable ASCII only."""
    frame = Frame(
        name="a", pixels=np.eye(80, dtype=np.float32), mask=np.zeros((80, 80), np.uint8), gain=1.0, read_noise=1.0,
        saturation=6e4, exposure_s=1.0, mjd=None, band="Hα", pixel_scale_arcsec=1.0, wcs=None, telescope="望远镜",
        notes={},
    )  # fmt: skip
    seen = Measurement(
        sky=0.0, noise=1.0, fwhm=3.0, ellipticity=0.0, psf=np.ones((3, 3), np.float32), stars=np.ones((1, 3))
    )
    reference = Reference(frame, frame.pixels, frame.mask, seen, ("目标.fits", "b.fits"))
    back = read_reference(write_reference(reference, tmp_path / "r.fits"))
    assert (back.frame.band, back.frame.telescope, back.members) == ("Hα", "望远镜", ("目标.fits", "b.fits"))
    written = write_frame(frame, tmp_path / "f.fits")
    assert read_frame(written, "generic").band == r"H\u03b1"
