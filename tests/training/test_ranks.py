"""Two processes that train one network on the CPU."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from realbogus.config import Config, with_overrides
from realbogus.errors import ConfigError, InputError
from realbogus.stamps import StampSet
from realbogus.training.hardware import device_count
from realbogus.training.history import read_history
from realbogus.training.train import Progress, train

ROWS, VALID = np.arange(0, 90), np.arange(90, 131)

# Without dropout and augmentation it hardly matters who sees which stamp: each normalises over its own half.
PLAIN = with_overrides(
    Config(),
    {
        "model.architecture": "compact",
        "model.options": {"widths": [4, 4], "hidden": 4, "conv_dropout": 0.0, "dropout": 0.0},
        "preprocess.size": 32,
        "training.epochs": 2,
        "training.batch_size": 45,
        "training.lr": 1e-5,
        "training.augment": [],
        "training.ema": 0.5,
        "training.label_smoothing": 0.1,
        "training.device": "cpu",
        "training.threads": 1,
    },
)


@pytest.mark.slow
def test_a_killed_run_goes_on_with_two_processes(toy_stamps: StampSet, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.epoch == 2 and progress.batch == 2:
            raise Killed

    weights = np.linspace(0.1, 2, len(toy_stamps))  # so that the halves of a batch do not weigh the same
    options: dict[str, Any] = {"rows": ROWS, "valid_rows": VALID, "weights": weights}
    one = train(toy_stamps, PLAIN, **options, out=tmp_path / "one")
    with pytest.raises(Killed):
        train(toy_stamps, PLAIN, **options, out=tmp_path / "two", progress=kill)
    before = dict(os.environ), torch.get_num_threads()
    seen: list[int] = []
    both = with_overrides(PLAIN, {"training.devices": 2})
    two = train(toy_stamps, both, **options, out=tmp_path / "two", progress=lambda step: seen.append(step.epoch))
    assert set(seen) == {2}
    assert (dict(os.environ), torch.get_num_threads()) == before
    assert not torch.distributed.is_initialized()
    histories = [read_history(tmp_path / name / "history.csv") for name in ("one", "two")]
    assert [row["epoch"] for row in histories[1]] == [1, 2]
    for key in ("train_loss", "valid_loss", "lr"):
        assert histories[1][1][key] == pytest.approx(histories[0][1][key], rel=0.02), key
    assert all(value is not None for value in histories[1][1].values())
    parts = [model.predict(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm) for model in (one, two)]
    np.testing.assert_allclose(*parts, atol=0.02)
    files = [{path.name for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1] == {"card.json", "weights.safetensors", "history.csv", "checkpoint", "tensorboard"}


def test_how_many_devices() -> None:
    recipe = PLAIN.training
    assert device_count(recipe) == 1
    assert device_count(replace(recipe, devices=0)) == 1
    assert device_count(replace(recipe, devices=3)) == 3
    with pytest.raises(ConfigError, match="at least 2 stamps of every batch"):
        device_count(replace(recipe, devices=23))


def test_more_devices_than_stamps(toy_stamps: StampSet) -> None:
    with pytest.raises(InputError, match="3 training stamps on 2 devices"):
        train(toy_stamps, with_overrides(PLAIN, {"training.devices": 2}), rows=[0, 1, 2])
