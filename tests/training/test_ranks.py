"""Two processes that train one network on the CPU."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trained
from safetensors.torch import load_file

from realbogus.config import Config, with_overrides
from realbogus.errors import ConfigError, InputError, ModelError
from realbogus.stamps import StampSet
from realbogus.training.hardware import device_count
from realbogus.training.history import read_history
from realbogus.training.ranks import several
from realbogus.training.train import Progress, train

ROWS, VALID = np.arange(0, 90), np.arange(90, 131)

PLAIN = with_overrides(
    Config(),
    {
        "model.architecture": trained.NAME,
        "model.options": {"hidden": 4},
        "preprocess.size": 16,
        "training.epochs": 2,
        "training.batch_size": 44,
        "training.lr": 0.02,
        "training.schedule": "constant",
        "training.augment": [],
        "training.ema": 0.5,
        "training.label_smoothing": 0.1,
        "training.device": "cpu",
        "training.threads": 1,
    },
)


@pytest.mark.slow
def test_two_processes_train_as_one_also_after_a_kill(
    toy_stamps: StampSet, toy_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    (tmp_path / "other").mkdir()
    monkeypatch.setenv(trained.WEIGHTS, str(tmp_path / "other"))
    monkeypatch.setattr("realbogus.training.train._follow", trained.follow)
    before = dict(os.environ), torch.get_num_threads()
    seen: list[int] = []
    both = with_overrides(PLAIN, {"training.devices": 2})
    two = train(toy_stamps, both, **options, out=tmp_path / "two", progress=lambda step: seen.append(step.epoch))
    assert set(seen) == {2}
    assert (dict(os.environ), torch.get_num_threads()) == before
    assert not torch.distributed.is_initialized()

    histories = [read_history(tmp_path / name / "history.csv") for name in ("one", "two")]
    assert [row["epoch"] for row in histories[1]] == [1, 2]
    for key in ("train_loss", "train_auc", "valid_loss", "valid_auc", "lr"):
        assert histories[1][1][key] == pytest.approx(histories[0][1][key], rel=1e-5), key
    assert all(value is not None for value in histories[1][1].values())
    start = load_file(next((tmp_path / "one").glob("checkpoint/*.safetensors")))
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(two.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    # both processes end with the very same weights, which are not the averaged ones of the model
    mine = load_file(next((tmp_path / "two").glob("checkpoint/*.safetensors")))
    others = load_file(tmp_path / "other" / "1.safetensors")
    assert set(others) == set(one.network.state_dict())
    for name, value in others.items():
        assert torch.equal(mine[f"network.{name}"], value), name
        torch.testing.assert_close(start[f"network.{name}"], value, rtol=1e-4, atol=1e-5)
    assert not torch.equal(others["1.weight"], one.network.state_dict()["1.weight"])
    files = [{path.name for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1] == {"card.json", "weights.safetensors", "history.csv", "checkpoint", "tensorboard"}


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run() -> None:
    started = time.monotonic()
    said = r"process 1 of the 2 that train ended with status 7 .* goes on from the last whole epoch"
    with pytest.raises(ModelError, match=said), several(PLAIN.training, 2, trained.die, None) as fabric:
        assert float(fabric.all_reduce(torch.ones(1), reduce_op="sum")) == 2
        fabric.all_reduce(torch.ones(1))
    # a process that never comes to where they meet
    with (
        pytest.raises(ModelError, match="ended with status 3"),
        several(PLAIN.training, 2, trained.die, trained.Bomb()),
    ):
        raise AssertionError("there is nobody to train with")
    assert time.monotonic() - started < 60
    assert not torch.distributed.is_initialized()


def test_how_many_devices() -> None:
    recipe = PLAIN.training
    assert device_count(recipe) == 1
    assert device_count(replace(recipe, devices=0)) == 1
    assert device_count(replace(recipe, devices=3)) == 3
    with pytest.raises(ConfigError, match="at least 2 stamps of every batch"):
        device_count(replace(recipe, devices=23))


def test_more_devices_than_stamps(toy_stamps: StampSet, toy_network: str) -> None:
    with pytest.raises(InputError, match="3 training stamps on 2 devices"):
        train(toy_stamps, with_overrides(PLAIN, {"training.devices": 2}), rows=[0, 1, 2])
