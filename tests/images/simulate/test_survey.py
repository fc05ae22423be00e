"""Fields that a survey comes back to: known variables, and the cause of everything else."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from realbogus.images.detect import DIPOLE
from realbogus.images.simulate.causes import causes
from realbogus.images.simulate.survey import PAD, Nuisance, draw_field, observe


@pytest.fixture(scope="module")
def field():
    return draw_field(np.random.default_rng(4), size=320, variables=3, members=3)


@pytest.fixture(scope="module")
def seen(field):
    return observe(field, np.random.default_rng(5))


def found(x, y, flags=None):
    return Table(
        {"x": np.atleast_1d(x), "y": np.atleast_1d(y), "flags": np.zeros(np.size(x), int) if flags is None else flags}
    )


def test_known_variables_are_on_whole_stamps_and_vary_a_lot(field, seen):
    known = field.variables
    assert len(known.x) == 3
    assert (np.minimum(seen.x, seen.y) > 32).all()
    assert (np.maximum(seen.x, seen.y) < 320 - 32).all()
    star = known.star >= 0
    share = known.amplitude[star] / field.world.scene.flux[known.star[star]]
    assert ((share > 0.1) & (share < 0.75)).all()
    assert (known.kind == np.where(star, "variable", "transient")).all()


def test_truth_is_what_the_frame_holds(field):
    """The same exposure with and without the change differs by the flux of the truth."""
    rng = np.random.default_rng(8)
    seen = observe(field, rng)
    quiet = replace(field, variables=replace(field.variables, amplitude=np.zeros(3)))
    still = observe(quiet, np.random.default_rng(8))
    change = (seen.shot.pixels - still.shot.pixels)[PAD:-PAD, PAD:-PAD] * field.world.detector.gain
    for x, y, flux in zip(seen.x, seen.y, seen.flux, strict=True):
        rows, columns = (slice(round(v) - 12, round(v) + 13) for v in (y, x))
        inside = change[rows, columns].sum()
        assert inside == pytest.approx(flux, rel=0.12, abs=150)


def test_one_seed_one_observation(field, seen):
    again = observe(field, np.random.default_rng(5))
    assert np.array_equal(again.science.pixels, seen.science.pixels)
    assert np.array_equal(again.reference.frame.pixels, seen.reference.frame.pixels)


def test_the_reference_is_made_of_the_members_asked_for(field):
    assert field.coadd.depth == 3
    assert field.coadd.reference.frame.gain == pytest.approx(3 * field.world.detector.gain)


def test_stars_are_blamed_by_name_in_every_epoch(field, seen):
    flux = field.world.scene.flux
    alone = [
        k for k in np.argsort(-flux)
        if flux[k] < 0.4 * field.world.detector.well * 8 and 40 < seen.shot.x[k] - PAD < 280
        and 40 < seen.shot.y[k] - PAD < 280
        and (np.hypot(seen.shot.x - seen.shot.x[k], seen.shot.y - seen.shot.y[k]) < 14).sum() == 1
    ]  # fmt: skip
    bare = replace(
        field, world=replace(field.world, detector=replace(field.world.detector, hot=(np.empty(0, int), np.empty(0)),
        noisy=(np.empty(0, int), np.empty(0)), dead=(np.empty(0, int), np.empty(0)))),
    )  # fmt: skip
    star = alone[0]
    other = observe(field, np.random.default_rng(6))
    for epoch in (seen, other):
        quiet = replace(epoch, shot=replace(epoch.shot, struck=np.empty(0, int)), epoch=replace(epoch.epoch, trails=()))
        at = found([epoch.shot.x[star] - PAD] * 2, [epoch.shot.y[star] - PAD] * 2, np.array([0, DIPOLE]))
        kind, source = causes(bare, quiet, at, 3.5)
        assert kind.tolist() == ["star", "dipole"]
        assert source.tolist() == [f"s{star}"] * 2


def test_hot_pixels_cosmic_rays_and_trails_are_blamed(field, seen):
    width = field.world.shape[1]
    index = field.world.detector.dead[0][0]
    trail = np.array([200.0, 200.0, 0.0, 50.0, 1.5, 80.0, 0.3])
    struck = np.array([300 * width + 150])
    epoch = replace(seen, shot=replace(seen.shot, struck=struck), epoch=replace(seen.epoch, trails=(trail,)))
    at = found(
        [index % width - PAD, 150.0 - PAD, 90.0 - PAD], [index // width - PAD, 300.0 - PAD, 201.0 - PAD]
    )  # fmt: skip
    kind, source = causes(field, epoch, at, 3.5)
    assert kind.tolist() == ["hot", "cosmic", "trail"]
    assert source[0] == f"p{index}"
    assert source[2] == "t2000000"


def test_nothing_detected_has_no_cause(field, seen):
    kind, source = causes(field, seen, found([], []), 3.5)
    assert len(kind) == len(source) == 0


def test_nuisance_reaches_every_epoch():
    loud = Nuisance(scatter=0.5, scatter_poor=0.5, colour_term=0.0, dispersion=0.0)
    field = draw_field(np.random.default_rng(4), size=256, variables=0, members=3, nuisance=loud)
    assert len(field.variables.x) == 0
    shot = observe(field, np.random.default_rng(1)).shot
    bright = field.world.scene.flux > 1000
    ratio = shot.flux[bright] / field.world.scene.flux[bright]
    assert np.std(ratio / np.median(ratio)) > 0.15
