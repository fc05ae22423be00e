"""What the report's charts stand on."""

import re

import numpy as np
from astropy.stats import binom_conf_interval

from realbogus.pipeline.chart import COLOURS, new_axes, svg, wilson_interval
from realbogus.pipeline.figures import score_histogram


def test_wilson_interval_is_that_of_astropy():
    k, n = np.array([0, 1, 9, 50, 50]), np.array([3, 7, 10, 100, 50])
    low, high = wilson_interval(k, n)
    truth = binom_conf_interval(k, n, confidence_level=0.95, interval="wilson")
    np.testing.assert_allclose([low, high], truth, atol=1e-6)


def test_svg_needs_nothing_from_outside_and_is_the_same_every_time():
    def draw():
        return svg(score_histogram(new_axes(), [0.1, 0.9], threshold=0.5), "scores")

    text = draw()
    assert text == draw()
    assert "http" not in text
    assert "<style" not in text
    for colour in COLOURS.values():
        assert colour not in text  # all have become variables of the page
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert all(name.startswith("scores-") for name in ids)
    assert set(re.findall(r'(?:url\(|<use href=")#([^)"]+)', text)) <= ids
