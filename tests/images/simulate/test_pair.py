"""Pairs for training: truth, noise and place against measurements of the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from realbogus.errors import FrameError, InputError, UnknownNameError
from realbogus.images.frame import SATURATED
from realbogus.images.measure import robust_sigma
from realbogus.images.simulate import PRESETS, SimulatedPair, simulate_pair
from realbogus.images.simulate.events import draw_events
from realbogus.images.simulate.psf import make_kernels
from realbogus.images.simulate.world import blank_noise, expose


def first(preset: str, seeds: range, size: int = 176) -> list[SimulatedPair]:
    """All pairs of these seeds but the few whose reference has too few stars."""
    pairs = []
    for seed in seeds:
        try:
            pairs.append(simulate_pair(preset, np.random.default_rng(seed), size=size))
        except FrameError:
            continue
    assert len(pairs) >= len(seeds) / 2
    return pairs


@pytest.fixture(scope="module", params=sorted(PRESETS))
def pairs(request: pytest.FixtureRequest) -> list[SimulatedPair]:
    return first(request.param, range(3))


def test_shapes_truth_and_meta(pairs: list[SimulatedPair]) -> None:
    for pair in pairs:
        frame, reference = pair.science, pair.reference
        assert frame.pixels.dtype == reference.frame.pixels.dtype == reference.noise.dtype == np.float32
        assert frame.shape == reference.frame.shape == reference.noise.shape == (176, 176)
        assert reference.coverage.shape == (176, 176)
        assert np.isfinite(frame.pixels).all() and np.isfinite(reference.frame.pixels).all()
        assert (reference.noise > 0).all()
        assert 5 < len(pair.truth) <= 20
        for name in ("x", "y"):
            assert pair.truth[name].min() > 0 and pair.truth[name].max() < 175
        assert np.all(np.sign(pair.truth["flux"]) == np.sign(pair.truth["snr"]))
        assert reference.coverage.max() <= pair.meta["depth"] <= 30
        assert pair.meta["fwhm"] > 1.2
        here = np.rint([pair.truth["y"], pair.truth["x"]]).astype(int)
        assert not (frame.mask[tuple(here)] & SATURATED).any()
        assert pair.ignore.colnames == ["x", "y", "radius"]


def test_noise_is_what_meta_says() -> None:
    rng = np.random.default_rng(8)
    world = PRESETS.resolve("mini-sitian")(rng, (256, 256))
    epoch = world.epoch(rng)
    shot = expose(world, epoch, rng)
    steps = np.diff(shot.pixels, axis=1) + rng.uniform(-0.5, 0.5, (256, 255))
    assert shot.noise == blank_noise(world, epoch)
    measured = robust_sigma(steps) / np.sqrt(2) * world.detector.gain
    assert measured == pytest.approx(shot.noise, rel=0.08)  # stars widen it


def test_saturation_is_clipped(pairs: list[SimulatedPair]) -> None:
    assert max(p.science.pixels.max() for p in pairs if not p.meta["resampled"]) <= 65535
    full = [p for p in pairs if (p.science.mask & SATURATED).any() and not p.meta["resampled"]]
    for pair in full:
        assert pair.science.pixels.max() >= pair.science.saturation


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_events_are_in_the_pixels_with_their_flux_and_place(preset: str) -> None:
    """The same exposure with and without events: the noise is the same, so the events are left."""
    checked = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        world = PRESETS.resolve(preset)(rng, (200, 200))
        epoch = world.epoch(rng)
        kernels = make_kernels(epoch.psf, world.shape)
        x, y = np.array([60.3, 140.8]), np.array([70.6, 120.1])
        flux = np.full(2, 100 * blank_noise(world, epoch) * np.sqrt(kernels.area(100, 100)))
        shots = [
            expose(world, epoch, np.random.default_rng(9), kernels=kernels, events=e).pixels
            for e in (None, (x, y, flux))
        ]
        extra = (shots[1] - shots[0]).astype(float) * world.detector.gain
        yy, xx = np.mgrid[:200, :200]
        light = world.detector.vignette.light(2 * x / 199 - 1, 2 * y / 199 - 1)
        for a, b, f in zip(x, y, flux * light, strict=True):
            near = np.hypot(xx - a, yy - b) < kernels.radius
            faulty = world.detector.nonlinearity or world.detector.quantum or epoch.psf.donut
            if faulty or shots[1][near].max() > 0.6 * world.detector.ceiling:
                continue
            assert extra[near].sum() == pytest.approx(f, rel=0.03)
            core = np.hypot(xx - a, yy - b) < kernels.radius / 2
            assert (extra * (xx - a))[core].sum() / extra[core].sum() == pytest.approx(0, abs=0.08)
            assert (extra * (yy - b))[core].sum() / extra[core].sum() == pytest.approx(0, abs=0.08)
            checked += 1
    assert checked >= 6


def test_truth_of_a_pair_stands_where_it_says(pairs: list[SimulatedPair]) -> None:
    for pair in pairs:
        sky = np.median(pair.science.pixels)
        for row in pair.truth[pair.truth["snr"] > 40]:
            x, y = round(row["x"]), round(row["y"])
            core = pair.science.pixels[y - 1 : y + 2, x - 1 : x + 2].max() - sky
            area = 4 * np.pi * (pair.meta["fwhm"] / 2.355) ** 2
            assert core > 0.3 * row["flux"] / area


def test_same_seed_same_pair_other_seed_other_pair() -> None:
    a, b, c = (simulate_pair("mini-sitian", np.random.default_rng(s), size=192) for s in (1, 1, 0))
    assert np.array_equal(a.science.pixels, b.science.pixels)
    assert np.array_equal(a.reference.frame.pixels, b.reference.frame.pixels)
    assert np.array_equal(np.array(a.truth), np.array(b.truth)) and a.meta == b.meta
    assert not np.array_equal(a.science.pixels, c.science.pixels)


def test_both_signs_and_all_kinds_occur() -> None:
    found: set[str] = set()
    signs: list[float] = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        world = PRESETS.resolve("varied")(rng, (300, 300))
        epoch = world.epoch(rng)
        kernels = make_kernels(epoch.psf, world.shape, cells=1)
        events = draw_events(world, epoch, kernels, blank_noise(world, epoch), rng, (20.0, 280.0))
        found |= set(events.kind)
        signs += list(np.sign(events.flux))
        for place in (events.x, events.y):
            assert place.min() >= 20 and place.max() <= 280
        unit = blank_noise(world, epoch) * np.sqrt(kernels.area(150, 150))
        new = events.kind != "variable"
        snr = np.abs(events.flux[new]) / unit
        assert snr.min() > 4.99 and snr.max() < 100.1
        free = events.flux[events.star < 0]
        assert events.added()[2].sum() == pytest.approx(free[free > 0].sum())
        assert events.gone()[2].sum() == pytest.approx(-free[free < 0].sum())
    assert found == {"transient", "host", "near-star", "variable", "asteroid"}
    assert 0.03 < np.mean(np.array(signs) < 0) < 0.35


def test_unknown_names_and_small_sizes() -> None:
    with pytest.raises(UnknownNameError, match="mini-sitian, varied"):
        simulate_pair("hubble", np.random.default_rng(0))
    with pytest.raises(InputError, match="128"):
        simulate_pair("varied", np.random.default_rng(0), size=64)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_stay_in_their_ranges(preset: str) -> None:
    scales, widths = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        world = PRESETS.resolve(preset)(rng, (128, 128))
        scales.append(world.pixel_scale_arcsec)
        widths += [world.epoch(rng).psf.fwhm for _ in range(5)]
        assert world.detector.ceiling <= 65535
        assert world.detector.well > 0
    if preset == "mini-sitian":
        assert set(scales) == {0.862}
        assert np.median(widths) * 0.862 == pytest.approx(2.7, abs=0.2)
        assert min(widths) * 0.862 >= 1.9
    else:
        assert min(scales) >= 0.4 and max(scales) <= 6
        assert 1.3 < min(widths) < 2.2 and 5 < max(widths) < 10
