"""Classifiers and sinks for the tests of the cluster; its workers find this module on PYTHONPATH."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from realbogus.classifier import Card
from realbogus.serving.batch import Failed, Scored

MARK = 12345.0


class Mean:
    """The mean pixel as a score, with no hurry."""

    card = Card(name="mean", architecture="none", threshold=0.5)
    pause_s = 0.0

    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> Any:
        time.sleep(self.pause_s)
        return np.clip(np.asarray(pixels, np.float32).mean(axis=(1, 2, 3)) / 10 + 0.5, 0, 1)


class Slow(Mean):
    pause_s = 0.5


class Deadly(Mean):
    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> Any:
        if (np.asarray(pixels) == MARK).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(pixels)


class Shelf:
    """A sink that keeps rows."""

    lasting, name = True, "shelf"

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.failed: list[Failed] = []

    def write(self, scored: Scored) -> None:
        columns = [scored.rows[name].tolist() for name in ("id", "score", "real", "threshold", "reason")]
        self.rows += list(zip(*columns, strict=True))

    def refuse(self, failed: Any) -> None:
        self.failed += failed

    def close(self, *, whole: bool = True) -> None:
        pass
