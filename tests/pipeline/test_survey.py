"""First look at a night."""

import pickle

import numpy as np

from realbogus.pipeline.prepare import prepare_reference
from realbogus.pipeline.settings import NightSettings
from realbogus.pipeline.survey import choose_anchor, look, place


def test_a_sighting_travels_without_its_pixels(night_frames):
    path = sorted(night_frames.iterdir())[0]
    sighting = look((path, "mini-sitian"))
    sent = pickle.dumps(sighting)
    assert len(sent) < 150_000  # the pixels alone are 400 kB
    back = pickle.loads(sent)
    assert back.frame.shape == sighting.frame.shape == (320, 320) and back.name == path.name
    assert not back.frame.pixels.any()


def test_a_frame_lies_on_itself(night_frames):
    sightings = [look((path, "mini-sitian")) for path in sorted(night_frames.iterdir())[:3]]
    best = choose_anchor(sightings)
    assert sorted(best) == [0, 1, 2]
    anchor = sightings[best[0]]
    transforms, failed = place(sightings, anchor.frame, anchor.measurement)
    assert failed == {} and set(transforms) == {s.name for s in sightings}
    x, y = transforms[anchor.name].to_source(np.array([10.0]), np.array([20.0]))
    assert abs(x[0] - 10) < 1e-6 and abs(y[0] - 20) < 1e-6


def test_another_frame_is_another_reference_even_in_one_folder(night_frames, tmp_path):
    """A run that lacked a frame, for want of memory say, had another grid: its reference is not taken."""
    sightings = [look((path, "mini-sitian")) for path in sorted(night_frames.iterdir())]
    settings = NightSettings(telescope="mini-sitian")
    first, again, other = (
        prepare_reference(seen, settings, tmp_path / "reference.fits")
        for seen in (sightings, sightings, sightings[:-1])
    )
    assert first.path == again.path != other.path and other.path.parent == tmp_path
    assert len(first.transforms) == 5 and len(other.transforms) == 4
