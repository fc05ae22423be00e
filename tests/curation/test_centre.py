"""The S/N at a stamp's centre, held against what was put there."""

from __future__ import annotations

import numpy as np
import pytest

from realbogus.curation.centre import centre_snr
from realbogus.errors import InputError


def star(dx: float, dy: float, fwhm: float) -> np.ndarray:
    y, x = np.mgrid[:64, :64] - 32.0
    return np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * (fwhm / 2.354820045) ** 2))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_signal_to_noise_is_that_of_the_matched_filter(sign):
    rng = np.random.default_rng(0)
    fwhm, noise, wanted = 3.0, 7.0, 25.0
    shape = star(0, 0, fwhm)
    flat = wanted * noise / np.sqrt((shape**2).sum())  # peak of S/N 25
    stamps = sign * flat * shape + rng.normal(0, noise, (200, 64, 64)) + 40.0  # and a level of sky
    snr, offset = centre_snr(stamps, np.full(200, noise), np.full(200, fwhm))
    assert abs(np.mean(snr) - sign * wanted) < 0.5
    assert abs(np.std(snr) - 1.0) < 0.2
    assert (offset <= 1.0).all()


def test_pure_noise_is_seldom_taken_for_a_source():
    rng = np.random.default_rng(1)
    snr, _ = centre_snr(rng.normal(size=(500, 64, 64)), np.ones(500), np.full(500, 3.0))
    assert (np.abs(snr) > 4.0).sum() <= 3


def test_a_source_beside_the_centre_is_found_where_it_is():
    snr, offset = centre_snr([30 * star(3, 0, 3.0), 30 * star(12, 0, 3.0)], np.ones(2), np.full(2, 3.0))
    assert offset[0] == 3.0
    assert snr[0] > 50
    assert abs(snr[1]) < 1


def test_without_noise_or_size_nothing_is_known():
    snr, offset = centre_snr([star(0, 0, 3.0)] * 3, [0.0, np.nan, 1.0], [3.0, 3.0, np.nan])
    assert np.isnan(snr).all()
    assert np.isnan(offset).all()


def test_shapes_must_agree():
    with pytest.raises(InputError, match="expected"):
        centre_snr(np.zeros((2, 64, 64)), [1.0], [3.0, 3.0])
