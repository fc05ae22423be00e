"""Whole runs of a small network: it learns, repeats itself, survives a kill, refuses nonsense."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from realbogus.calibration import Calibration, fit_calibration
from realbogus.config import Config, build, with_overrides
from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, InputError, ModelError, OutputError, UnknownNameError
from realbogus.metrics import roc_auc
from realbogus.model import Model
from realbogus.stamps import IGNORE, UNLABELLED, StampSet
from realbogus.training.history import read_history
from realbogus.training.train import Progress, train

TRAIN, VALID = np.arange(0, 160), np.arange(160, 240)


def recipe(**changes: Any) -> Config:
    base = build(
        Config,
        {
            "seed": 11,
            "model": {
                "architecture": "compact",
                "options": {"widths": [8, 8, 16, 16], "hidden": 16},
                "views": 2,
            },
            "preprocess": {"size": 32},
            "training": {
                "epochs": 3,
                "batch_size": 32,
                "lr": 5e-3,
                "schedule": "one_cycle",
                "warmup": 0.3,
                "loss": "bce",
                "label_smoothing": 0.02,
                "balance": "balanced",
                "augment": ["symmetry"],
                "augment_probability": 1.0,
                "fwhm_jitter": 0.06,
                "noise_jitter": 0.1,
                "variants": 2,
                "ema": 0.8,
                "device": "cpu",
            },
        },
    )
    return with_overrides(base, changes)


def weights(model: Model) -> dict[str, torch.Tensor]:
    return dict(model.network.state_dict())


def same(one: Model, two: Model) -> bool:
    ours, theirs = weights(one), weights(two)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def undisturbed(toy_stamps: StampSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    out = tmp_path_factory.mktemp("run")
    return train(toy_stamps, recipe(), rows=TRAIN, valid_rows=VALID, out=out), out


def test_it_learns(undisturbed: tuple[Model, Path], toy_stamps: StampSet) -> None:
    model, _ = undisturbed
    part = toy_stamps.select(VALID)
    scores = model.predict(part.pixels, noise=part.noise, fwhm=part.fwhm)
    assert roc_auc(scores, part.labels) > 0.97
    assert not model.network.training


def test_what_is_left_behind(undisturbed: tuple[Model, Path]) -> None:
    model, out = undisturbed
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    events = {name for name in names if name.startswith("tensorboard/events.out.tfevents.")}
    assert len(events) == 1
    assert names - events == {
        "card.json", "weights.safetensors", "history.csv",
        "checkpoint/state.json", "checkpoint/epoch-00003.safetensors",
    }  # fmt: skip
    assert same(Model.load(out), model)
    rows = read_history(out / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    last = rows[-1]
    assert last["valid_auc"] == pytest.approx(model.card.metrics["training"]["valid_auc"])
    first = rows[0]["train_loss"]
    assert first is not None and last["train_loss"] is not None and last["train_loss"] < first
    assert model.card.data["real"] == 54
    assert model.card.data["seed"] == 11
    assert build(Config, model.card.config) == recipe()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    undisturbed: tuple[Model, Path], toy_stamps: StampSet, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.epoch == 2 and progress.batch == 3:
            raise Killed

    with pytest.raises(Killed):
        train(toy_stamps, recipe(), rows=TRAIN, valid_rows=VALID, out=tmp_path, progress=kill)
    assert not (tmp_path / "card.json").exists()
    seen: list[int] = []
    torch.manual_seed(99)  # whatever else the process drew does not matter
    model = train(
        toy_stamps,
        recipe(),
        rows=TRAIN,
        valid_rows=VALID,
        out=tmp_path,
        progress=lambda p: seen.append(p.epoch),
    )
    assert min(seen) == 2
    assert same(model, undisturbed[0])
    ours, theirs = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_history(folder / "history.csv")]
        for folder in (tmp_path, undisturbed[1])
    )
    assert ours == theirs


def test_a_finished_run_is_not_trained_again(undisturbed: tuple[Model, Path], toy_stamps: StampSet) -> None:
    model, out = undisturbed

    def complain(progress: Progress) -> None:
        raise AssertionError("there was nothing left to train")

    again = train(toy_stamps, recipe(), rows=TRAIN, valid_rows=VALID, out=out, progress=complain)
    assert same(again, model)


def test_a_checkpoint_of_another_run_is_refused(
    undisturbed: tuple[Model, Path], toy_stamps: StampSet, tmp_path: Path
) -> None:
    quick = recipe(**{"training.epochs": 1})
    train(toy_stamps, quick, rows=TRAIN, out=tmp_path)
    for config, rows in ((recipe(**{"training.epochs": 1, "training.lr": 1e-3}), TRAIN), (quick, TRAIN[1:])):
        with pytest.raises(ConfigError, match="resume=False"):
            train(toy_stamps, config, rows=rows, out=tmp_path)
    train(
        toy_stamps,
        recipe(**{"training.epochs": 1, "training.lr": 1e-3}),
        rows=TRAIN,
        out=tmp_path,
        resume=False,
    )


def test_a_damaged_checkpoint_is_named(toy_stamps: StampSet, tmp_path: Path) -> None:
    quick = recipe(**{"training.epochs": 1})
    train(toy_stamps, quick, rows=TRAIN, out=tmp_path)
    path = next((tmp_path / "checkpoint").glob("*.safetensors"))
    whole = path.read_bytes()
    for contents in (whole[:500], whole[:-1], b""):
        path.write_bytes(contents)
        with pytest.raises(ModelError, match=r"is damaged.*resume=False"):
            train(toy_stamps, quick, rows=TRAIN, out=tmp_path)
    path.write_bytes(whole)
    state = tmp_path / "checkpoint" / "state.json"
    state.write_text(state.read_text()[:40])
    with pytest.raises(ModelError, match="is damaged"):
        train(toy_stamps, quick, rows=TRAIN, out=tmp_path)


def test_a_checkpoint_that_lacks_a_tensor_is_named(toy_stamps: StampSet, tmp_path: Path) -> None:
    quick = recipe(**{"training.epochs": 1})
    train(toy_stamps, quick, rows=TRAIN, out=tmp_path)
    path = next((tmp_path / "checkpoint").glob("*.safetensors"))
    tensors = load_file(path)
    for group in ("network.", "average.", "optimizer."):
        lost = next(name for name in tensors if name.startswith(group) and not name.endswith("tracked"))
        save_file({name: value for name, value in tensors.items() if name != lost}, path)
        with pytest.raises(ModelError, match=r"does not fit the network compact .*--restart"):
            train(toy_stamps, quick, rows=TRAIN, out=tmp_path)


def test_a_kill_between_checkpoint_and_history_loses_no_row(
    toy_stamps: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = recipe(**{"training.epochs": 1})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("realbogus.training.train.write_history", killed)
        train(toy_stamps, quick, rows=TRAIN, out=tmp_path)
    train(toy_stamps, quick, rows=TRAIN, out=tmp_path)
    assert [row["epoch"] for row in read_history(tmp_path / "history.csv")] == [1.0]


def test_the_paper_recipe_runs(toy_stamps: StampSet) -> None:
    # the paper's own loss, balance, schedule and augmentation on a network that is quick
    config = with_overrides(
        Config(),
        {
            "model.architecture": "compact",
            "model.options": {"widths": [4, 4]},
            "training.epochs": 2,
            "training.lr": 0.01,
        },
    )
    model = train(toy_stamps, config, rows=TRAIN[:40], valid_rows=VALID[:20])
    assert model.card.preprocess.size == 64
    assert model.card.metrics["training"]["epoch"] == 2
    assert config.training.precision == "auto" == model.card.config["training"]["precision"]
    assert model.card.metrics["training"]["precision"] in ("float32", "bfloat16")  # what it became here


def test_a_generator_decides_the_seed(toy_stamps: StampSet) -> None:
    quick = recipe(**{"training.epochs": 1})
    one, two, other = (train(toy_stamps, quick, rows=TRAIN[:40], rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert same(one, two)
    assert not same(one, other)
    assert one.card.data["seed"] != quick.seed


def test_rows_to_ignore_do_not_matter(toy_stamps: StampSet) -> None:
    quick = recipe(**{"training.epochs": 1})
    catalogue = toy_stamps.catalogue.copy()
    catalogue["label"][20:30], catalogue["label"][30:40] = IGNORE, UNLABELLED
    pixels = toy_stamps.pixels.copy()
    pixels[20:40] = 1e4
    marked = replace(toy_stamps, catalogue=catalogue, pixels=pixels)
    left = np.r_[0:20, 40:80]
    assert same(train(marked, quick, rows=np.arange(80)), train(toy_stamps, quick, rows=left))


def test_stamps_that_are_not_usable_do_not_matter(toy_stamps: StampSet) -> None:
    quick = recipe(**{"training.epochs": 1})
    catalogue, pixels = toy_stamps.catalogue.copy(), toy_stamps.pixels.copy()
    pixels[20:40] = np.nan
    spoiled = replace(toy_stamps, catalogue=catalogue, pixels=pixels)
    with pytest.raises(InputError, match=r"NaN or infinite pixels: toy-20, .*, toy-24, \.\.\.; cut"):
        train(spoiled, quick, rows=np.arange(80))
    catalogue["usable"] = ~np.isin(np.arange(len(catalogue)), range(20, 40))
    left = np.r_[0:20, 40:80]
    marked = train(spoiled, quick, rows=np.arange(80), valid_rows=np.arange(10, 30))
    assert same(marked, train(toy_stamps, quick, rows=left, valid_rows=np.arange(10, 20)))
    with pytest.raises(InputError, match="hold 0 real and 0 bogus of 10"):
        train(spoiled, quick, rows=np.arange(20, 30))


def test_mapped_planes_give_the_same(undisturbed: tuple[Model, Path], toy_stamps: StampSet, tmp_path: Path) -> None:
    mapped = recipe(**{"training.data": "mapped", "training.tensorboard": False})
    seen: list[set[str]] = []

    def look(progress: Progress) -> None:
        seen.append({path.name for path in (tmp_path / "prepared").iterdir()})

    model = train(toy_stamps, mapped, rows=TRAIN, valid_rows=VALID, out=tmp_path, progress=look)
    assert same(model, undisturbed[0])
    assert set(map(frozenset, seen)) == {frozenset({"train.npy", "valid.npy"})}
    assert not (tmp_path / "prepared").exists() and not (tmp_path / "tensorboard").exists()
    # and where there is no folder, a temporary one
    quick = recipe(**{"training.epochs": 1, "training.data": "mapped"})
    assert same(train(toy_stamps, quick, rows=TRAIN), train(toy_stamps, recipe(**{"training.epochs": 1}), rows=TRAIN))


def test_curves_for_tensorboard(undisturbed: tuple[Model, Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(undisturbed[1] / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {
        "lr", "loss/train", "loss/valid", "accuracy/train", "accuracy/valid", "auc/train", "auc/valid",
    }  # fmt: skip
    rows = read_history(undisturbed[1] / "history.csv")
    drawn = [(event.step, event.value) for event in events.Scalars("loss/valid")]
    assert drawn == [(row["epoch"], pytest.approx(row["valid_loss"], rel=1e-6)) for row in rows]


def test_without_tensorboard_there_are_no_curves(
    toy_stamps: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    caplog.set_level("INFO", "realbogus")
    train(toy_stamps, recipe(**{"training.epochs": 1}), rows=TRAIN[:40], out=tmp_path)
    assert not (tmp_path / "tensorboard").exists() and (tmp_path / "history.csv").is_file()
    assert "no curves for TensorBoard" in caplog.text


def test_mixup_trains_and_repeats_itself(toy_stamps: StampSet) -> None:
    mixed = recipe(**{"training.mixup": 0.4})
    models = [train(toy_stamps, mixed, rows=TRAIN, valid_rows=VALID) for _ in range(2)]
    assert same(*models)
    assert not same(models[0], train(toy_stamps, recipe(), rows=TRAIN, valid_rows=VALID))
    assert models[0].card.metrics["training"]["valid_auc"] > 0.9


def test_a_compiled_network_learns_the_same(toy_stamps: StampSet, monkeypatch: pytest.MonkeyPatch) -> None:
    # the compiler proper takes a minute; that the network goes through it is what is ours
    compiled: list[Any] = []
    original = torch.compile

    def quickly(network: torch.nn.Module, **_: Any) -> Any:
        compiled.append(network)
        return original(network, backend="eager")

    monkeypatch.setattr(torch, "compile", quickly)
    quick = {"training.epochs": 1}
    one, two = (train(toy_stamps, recipe(**quick, **{"training.compile": on}), rows=TRAIN) for on in (True, False))
    assert compiled and all(network is compiled[0] for network in compiled)
    for name, value in weights(one).items():
        torch.testing.assert_close(value, weights(two)[name], rtol=1e-3, atol=1e-4)


def test_weights_reach_the_loss(toy_stamps: StampSet) -> None:
    changed = toy_stamps.catalogue.copy()
    changed["label"][:20] = 1 - changed["label"][:20]
    wrong = replace(toy_stamps, catalogue=changed)
    value = np.ones(len(toy_stamps))
    quick = recipe(**{"training.epochs": 3})
    unweighted = train(wrong, quick, rows=np.arange(60), valid_rows=VALID)
    value[:20] = 0
    weighted = train(wrong, quick, rows=np.arange(60), valid_rows=VALID, weights=value)
    assert not same(weighted, unweighted)
    column = changed.copy()
    column["weight"] = value
    assert same(train(replace(wrong, catalogue=column), quick, rows=np.arange(60), valid_rows=VALID), weighted)


def test_the_best_epoch_is_kept(toy_stamps: StampSet, tmp_path: Path) -> None:
    # a rate that ruins the network again: the least validation loss is not the last one
    config = recipe(**{"training.keep": "best", "training.epochs": 4, "training.lr": 0.3, "training.ema": 0.0,
                       "training.warmup": 0.9})  # fmt: skip
    model = train(toy_stamps, config, rows=TRAIN, valid_rows=VALID, out=tmp_path)
    losses = [row["valid_loss"] for row in read_history(tmp_path / "history.csv")]
    assert model.card.metrics["training"]["valid_loss"] == pytest.approx(min(v for v in losses if v is not None))
    assert same(train(toy_stamps, config, rows=TRAIN, valid_rows=VALID, out=tmp_path), model)
    with pytest.raises(ConfigError, match="needs validation rows"):
        train(toy_stamps, config, rows=TRAIN)


def test_precisions_agree_roughly(toy_stamps: StampSet) -> None:
    quick = {"training.epochs": 1, "training.ema": 0.0}
    full = train(toy_stamps, recipe(**quick), rows=TRAIN[:64])
    half = train(toy_stamps, recipe(**quick, **{"training.precision": "bfloat16"}), rows=TRAIN[:64])
    assert not same(full, half)
    losses = [model.card.metrics["training"]["train_loss"] for model in (full, half)]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_global_state_is_left_alone(toy_stamps: StampSet) -> None:
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train(toy_stamps, recipe(**{"training.epochs": 1, "training.threads": threads + 1}), rows=TRAIN[:40])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"training.loss": "hinge"}, UnknownNameError, "known are bce, focal"),
        ({"training.schedule": "steps"}, UnknownNameError, "known are constant, cosine"),
        ({"training.balance": "fair"}, UnknownNameError, "known are balanced, repeat"),
        ({"training.augment": ["melt"]}, UnknownNameError, "known are brightness, flip"),
        ({"model.architecture": "vgg99"}, UnknownNameError, "known are compact"),
        ({"training.device": "abacus"}, ConfigError, "unknown device 'abacus'"),
        ({"preprocess.blur": 3}, ConfigError, r"unknown keys \['blur'\]"),
        (
            {"preprocess": {"planes": ["wide:science"], "channels": ["science"], "size": 32}},
            InputError,
            "needs the channels",
        ),
    ],
)
def test_nonsense_is_refused(
    toy_stamps: StampSet, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(toy_stamps, recipe(**changes), rows=TRAIN[:40])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"training.loss": "hinge"}, UnknownNameError, "known are bce, focal"),
        ({"training.schedule": "steps"}, UnknownNameError, "known are constant, cosine"),
        ({"training.balance": "fair"}, UnknownNameError, "known are balanced, repeat"),
        ({"training.augment": ["flip", "melt"]}, UnknownNameError, "known are brightness, flip"),
        ({"model.options": {"dropout": 1.5}}, ConfigError, r"dropout = 1.5 \(model.options\)"),
        ({"model.options": {"classes": 3}}, ConfigError, "gives 3 logits a stamp.*leave out `classes`"),
        ({"model.options": {"depth": 3}}, ConfigError, "does not take the options depth = 3"),
        ({"model.options": {"size": 3}}, ConfigError, "does not take the options size = 3"),
        ({"model.options": {"dropout": float("nan")}}, ConfigError, "nan"),
        ({"preprocess.size": "64"}, ConfigError, "preprocess.size is '64', expected a whole number"),
        ({"preprocess.size": 2}, ConfigError, "too small for 2 stages"),
        ({"training.device": "cuda:77"}, ConfigError, "device 'cuda:77'"),
        ({"training.batch_size": 1}, ConfigError, "a step needs two stamps"),
        ({"training.rows_per_epoch": 1}, ConfigError, "a step needs two stamps"),
    ],
)
def test_a_bad_recipe_is_refused_before_anything_is_done(
    toy_stamps: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any], error: type[Exception], message: str,
) -> None:  # fmt: skip
    for name in ("make_part", "fingerprint", "read_checkpoint", "clear_folder"):
        monkeypatch.setattr(f"realbogus.training.train.{name}", lambda *_, n=name: pytest.fail(f"{n} was called"))
    (tmp_path / "history.csv").write_text("an earlier run's")
    before = torch.random.get_rng_state()
    with pytest.raises(error, match=message):
        train(toy_stamps, recipe(**changes), rows=TRAIN[:40], out=tmp_path, resume=False)
    assert (tmp_path / "history.csv").read_text() == "an earlier run's"
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_run_that_starts_afresh_removes_the_earlier_one(toy_stamps: StampSet, tmp_path: Path) -> None:
    quick = recipe(**{"training.epochs": 2})
    train(toy_stamps, quick, rows=TRAIN[:40], out=tmp_path)
    (tmp_path / "mine.txt").write_text("no business of ours")
    earlier = {path.name for path in tmp_path.iterdir()}
    assert {"card.json", "weights.safetensors", "history.csv", "checkpoint", "tensorboard", "mine.txt"} == earlier

    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        assert progress.epoch == 1, "it went on where the other stopped"
        raise Killed

    with pytest.raises(Killed):
        train(toy_stamps, quick, rows=TRAIN[:40], out=tmp_path, resume=False, progress=kill)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt"}


def test_nothing_trained_nothing_drawn(toy_stamps: StampSet, tmp_path: Path) -> None:
    quick = recipe(**{"training.epochs": 1})
    train(toy_stamps, quick, rows=TRAIN[:40], out=tmp_path)
    shutil.rmtree(tmp_path / "tensorboard")
    train(toy_stamps, quick, rows=TRAIN[:40], out=tmp_path)
    assert not (tmp_path / "tensorboard").exists()


def test_the_card_carries_a_calibration(
    undisturbed: tuple[Model, Path], toy_stamps: StampSet, caplog: pytest.LogCaptureFixture
) -> None:
    model, out = undisturbed
    part = toy_stamps.select(VALID)
    scores = model.predict(part.pixels, noise=part.noise, fwhm=part.fwhm)
    expected = fit_calibration(scores, part.labels, method="beta")
    given = model.card.calibration
    assert given is not None and (given["method"], given["real"], given["bogus"]) == ("beta", 26, 54)
    np.testing.assert_allclose(Calibration.from_dict(given)(scores), expected(scores), atol=1e-4)
    assert Model.load(out).card.calibration == given
    # scores are as they were, probabilities are others and better
    bare = model.with_card(replace(model.card, calibration=None))
    assert np.array_equal(bare.predict(part.pixels, noise=part.noise, fwhm=part.fwhm), scores)
    assert np.abs(expected(scores) - scores).max() > 1e-3
    vote = Ensemble.of([model], calibrated=True).predict(part.pixels, noise=part.noise, fwhm=part.fwhm)
    np.testing.assert_allclose(vote, Calibration.from_dict(given)(scores), atol=1e-6)
    # too few to fit on
    caplog.set_level("INFO", "realbogus")
    quick = recipe(**{"training.epochs": 1})
    few = train(toy_stamps, quick, rows=TRAIN[:40], valid_rows=VALID[:27])
    assert few.card.calibration is None and "9 real and 18 bogus" in caplog.text
    assert train(toy_stamps, quick, rows=TRAIN[:40], valid_rows=VALID[:30]).card.calibration is not None
    assert train(toy_stamps, quick, rows=TRAIN[:40]).card.calibration is None


def test_both_classes_are_needed(toy_stamps: StampSet) -> None:
    bogus = np.flatnonzero(toy_stamps.labels == 0)
    with pytest.raises(InputError, match="training stamps hold 0 real and 160 bogus"):
        train(toy_stamps, recipe(), rows=bogus)
    with pytest.raises(InputError, match="validation stamps hold 0 real"):
        train(toy_stamps, recipe(), rows=TRAIN, valid_rows=bogus[:5])
    with pytest.raises(InputError, match="rows run from 0 to 240"):
        train(toy_stamps, recipe(), rows=[0, 240])
    with pytest.raises(InputError, match="weights have shape"):
        train(toy_stamps, recipe(), weights=np.ones(3))


def test_a_run_that_diverges_says_so(toy_stamps: StampSet) -> None:
    config = recipe(**{"training.lr": 1e30, "training.warmup": 0.0})
    with pytest.raises(ModelError, match=r"diverged.*lower training\.lr"):
        train(toy_stamps, config, rows=TRAIN)


def test_a_place_that_cannot_be_written(toy_stamps: StampSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        train(toy_stamps, recipe(**{"training.epochs": 1}), rows=TRAIN[:40], out=tmp_path / "file" / "run")
