"""The shipped model on real frames of a telescope it never saw (benchmarks/zero_shot.py measures all 71)."""

import numpy as np
import pytest

from realbogus.pipeline.night import night


@pytest.fixture(scope="module")
def eight(whipple, tmp_path_factory):
    """Every ninth frame: the field drifts by a third of its width in them."""
    frames = sorted(whipple.glob("*.gz"))[::9]
    return night(frames, tmp_path_factory.mktemp("out"), inject=10, inject_snr=(10.0, 50.0), seed=5, jobs=2)


def test_every_frame_is_used_though_none_has_a_wcs(eight):
    assert eight.summary["frames"]["in"] == eight.summary["frames"]["used"] == 8
    assert eight.summary["frames"]["failed"] == {}
    assert np.isnan(np.asarray(eight.candidates["ra"], dtype=float)).all()


def test_injected_sources_come_back_and_hot_pixels_do_not(eight):
    injected, natural = eight.summary["injected"], eight.summary["natural"]
    assert injected["n"] == 80 and injected["detected"] >= 74
    assert injected["found"] >= 0.88 * injected["detected"]
    assert natural["detections"] > 800
    assert natural["above_threshold"] <= 0.03 * natural["detections"]


def test_one_process_gives_the_same_list(eight, whipple, tmp_path):
    frames = sorted(whipple.glob("*.gz"))[::9]
    again = night(frames, tmp_path, inject=10, inject_snr=(10.0, 50.0), seed=5, jobs=1)
    for name in ("id", "x", "y", "score"):
        np.testing.assert_array_equal(np.asarray(again.candidates[name]), np.asarray(eight.candidates[name]))
