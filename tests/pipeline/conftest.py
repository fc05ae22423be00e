"""A small simulated night, and a classifier that needs no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realbogus.classifier import Card
from realbogus.images.simulate import simulate_night


class Peaked:
    """Scores how much of a stamp's centre is one point source: the S/N in a PSF, squashed."""

    def __init__(self, threshold: float = 0.5) -> None:
        self.card = Card(name="peaked", architecture="none", threshold=threshold)

    def predict(self, pixels, *, noise=None, fwhm=None):
        pixels = np.asarray(pixels, dtype=float)[:, 0]
        offset = np.arange(64) - 32
        profile = np.exp(-0.5 * (offset / (np.asarray(fwhm, float)[:, None] / 2.355)) ** 2)
        psf = profile[:, :, None] * profile[:, None, :]
        psf /= np.sqrt((psf**2).sum((1, 2), keepdims=True))
        snr = np.abs((pixels * psf).sum((1, 2))) / np.asarray(noise, float)
        inner = pixels[:, 22:43, 22:43]
        share = np.abs((pixels * psf).sum((1, 2))) / np.sqrt((inner**2).sum((1, 2)) + 1e-9)
        return np.clip(share * (1 - np.exp(-snr / 5)), 0, 1).astype(np.float32)


@pytest.fixture(scope="session")
def classifier() -> Peaked:
    return Peaked()


@pytest.fixture(scope="session")
def night_frames(tmp_path_factory) -> Path:
    """Folder of five simulated frames of 320 x 320 px with a WCS."""
    return (
        simulate_night(tmp_path_factory.mktemp("night"), preset="mini-sitian", frames=5, size=(320, 320), seed=4)
        / "frames"
    )
