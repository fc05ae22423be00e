"""First look at a night."""

import pickle

import numpy as np

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
