"""Pairs for training: truth, noise and place against measurements of the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from realbogus.errors import FrameError, InputError, UnknownNameError
from realbogus.images.frame import SATURATED
from realbogus.images.measure import robust_sigma
from realbogus.images.simulate import PRESETS, SimulatedPair, simulate_pair


def first(preset: str, seeds: range, size: int = 224) -> list[SimulatedPair]:
    """All pairs of these seeds but the few whose reference has too few stars."""
    pairs = []
    for seed in seeds:
        try:
            pairs.append(simulate_pair(preset, np.random.default_rng(seed), size=size))
        except FrameError:
            continue
    assert len(pairs) >= len(seeds) - 2
    return pairs


@pytest.fixture(scope="module", params=sorted(PRESETS))
def pairs(request: pytest.FixtureRequest) -> list[SimulatedPair]:
    return first(request.param, range(5))


def test_shapes_truth_and_meta(pairs: list[SimulatedPair]) -> None:
    for pair in pairs:
        frame, reference = pair.science, pair.reference
        assert frame.pixels.dtype == reference.frame.pixels.dtype == reference.noise.dtype == np.float32
        assert frame.shape == reference.frame.shape == reference.noise.shape == reference.coverage.shape == (224, 224)
        assert np.isfinite(frame.pixels).all() and np.isfinite(reference.frame.pixels).all()
        assert (reference.noise > 0).all()
        assert 5 < len(pair.truth) <= 20
        for name in ("x", "y"):
            assert pair.truth[name].min() > 0 and pair.truth[name].max() < 223
        assert np.all(np.sign(pair.truth["flux"]) == np.sign(pair.truth["snr"]))
        assert reference.coverage.max() <= pair.meta["depth"] <= 30
        assert pair.meta["fwhm"] > 1.2
        here = np.rint([pair.truth["y"], pair.truth["x"]]).astype(int)
        assert not (frame.mask[tuple(here)] & SATURATED).any()
        assert pair.ignore.colnames == ["x", "y", "radius"]


def test_noise_is_what_meta_says(pairs: list[SimulatedPair]) -> None:
    for pair in pairs:
        if pair.meta["resampled"] or pair.meta["preset"] == "varied":
            continue
        steps = np.diff(pair.science.pixels, axis=1)
        assert robust_sigma(steps) / np.sqrt(2) == pytest.approx(pair.meta["noise"], rel=0.06)


def test_saturation_is_clipped(pairs: list[SimulatedPair]) -> None:
    assert max(p.science.pixels.max() for p in pairs if not p.meta["resampled"]) <= 65535
    full = [p for p in pairs if (p.science.mask & SATURATED).any() and not p.meta["resampled"]]
    for pair in full:
        assert pair.science.pixels.max() >= pair.science.saturation


def test_truth_shows_in_the_pixels() -> None:
    """With a matched PSF a bright event stands where the truth says, with the flux it says."""
    ratios, offsets = [], []
    for pair in first("mini-sitian", range(20, 26)):
        if pair.meta["resampled"]:
            continue
        pixels = pair.science.pixels - np.median(pair.science.pixels)
        yy, xx = np.mgrid[:224, :224]
        for row in pair.truth:
            if row["kind"] != "transient" or row["snr"] < 50:
                continue
            r = np.hypot(xx - row["x"], yy - row["y"])
            ring = (r > 14) & (r < 20)
            if robust_sigma(pixels[ring]) > 1.15 * pair.meta["noise"]:
                continue
            extra = pixels - np.median(pixels[ring])
            ratios.append(extra[r < 9].sum() / row["flux"])
            offsets.append((extra * (xx - row["x"]))[r < 6].sum() / extra[r < 6].sum())
    assert len(ratios) >= 4
    assert np.median(ratios) == pytest.approx(1, abs=0.07)
    assert abs(np.median(offsets)) < 0.15


def test_same_seed_same_pair_other_seed_other_pair() -> None:
    a, b, c = (simulate_pair("varied", np.random.default_rng(s), size=160) for s in (3, 3, 4))
    assert np.array_equal(a.science.pixels, b.science.pixels)
    assert np.array_equal(a.reference.frame.pixels, b.reference.frame.pixels)
    assert np.array_equal(np.array(a.truth), np.array(b.truth)) and a.meta == b.meta
    assert not np.array_equal(a.science.pixels, c.science.pixels)


def test_both_signs_and_all_kinds_occur() -> None:
    found: set[str] = set()
    signs: list[float] = []
    for pair in first("varied", range(40, 46), 160):
        found |= set(pair.truth["kind"])
        signs += list(np.sign(pair.truth["flux"]))
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
        assert 0.4 <= min(scales) and max(scales) <= 6
        assert 1.3 < min(widths) < 2.2 and 5 < max(widths) < 10
