"""Reading configurations: what is unknown or of a wrong type is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from realbogus.config import Config, build, load_config, parse_overrides, with_overrides
from realbogus.errors import ConfigError
from realbogus.preprocess import Preprocess

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def test_the_paper_is_the_default() -> None:
    paper, default = load_config(CONFIGS / "paper.toml"), Config()
    assert paper.training == default.training
    assert paper.split == default.split
    assert paper.model.architecture == default.model.architecture == "resnet18"
    assert Preprocess.from_dict(paper.preprocess) == Preprocess.from_dict(default.preprocess)


def test_the_paper_says_what_table_1_says() -> None:
    recipe = load_config(CONFIGS / "paper.toml").training
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.lr_min) == (100, 256, 1e-4, 1e-7)
    assert (recipe.weight_decay, recipe.betas) == (1e-3, (0.9, 0.999))
    assert (recipe.loss, recipe.focal_alpha, recipe.focal_gamma) == ("focal", (0.1, 0.9), 2.0)
    assert (recipe.balance, recipe.repeat_reals, recipe.augment_probability) == ("repeat", 5, 0.5)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_configurations_read(path: Path) -> None:
    config = load_config(path)
    Preprocess.from_dict(config.preprocess)


def test_round_trip_through_json(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "quick.toml", overrides={"seed": 7, "training.betas": [0.8, 0.9]})
    path = tmp_path / "config.json"
    path.write_text(config.to_json())
    again = load_config(path)
    assert again.to_dict() == config.to_dict()
    assert again.training == config.training
    assert again.training.betas == (0.8, 0.9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainin": {}}, r"unknown key 'trainin': did you mean 'training'\? known are model, preprocess"),
        (
            {"training": {"epoch": 3}},
            r"unknown key 'training.epoch'.*known are augment, .*warmup, weight_decay",
        ),
        ({"training": 3}, r"training is 3 \(int\), expected a table"),
        ({"training": {"epochs": 3.5}}, r"training.epochs is 3.5 \(float\), expected int"),
        ({"training": {"epochs": True}}, r"training.epochs is True \(bool\), expected int"),
        ({"training": {"lr": "fast"}}, r"training.lr is 'fast' \(str\), expected float"),
        ({"training": {"betas": [0.9]}}, r"training.betas has 1 values, expected 2"),
        ({"training": {"betas": [0.9, "x"]}}, r"training.betas\[1\] is 'x'"),
        ({"training": {"augment": "flip"}}, r"training.augment is 'flip' \(str\), expected a list"),
        ({"training": {"keep": "worst"}}, r"training.keep is 'worst' .*choose one of 'last', 'best'"),
        ({"model": {"views": 3}}, r"model.views is 3 .*choose one of 1, 2, 4, 8"),
        ({"model": {"views": True}}, r"model.views is True"),
        ({"model": {"options": 5}}, r"model.options is 5 .*expected a table"),
        ({"split": {"allow_leakage": 1}}, r"split.allow_leakage is 1 \(int\), expected bool"),
        ({"training": {"epochs": 0}}, r"training.epochs is 0: it must be at least 1"),
        ({"training": {"lr": 1e-9}}, r"need 0 <= lr_min <= lr"),
        ({"training": {"ema": 1.5}}, r"training.ema is 1.5"),
        ({"training": {"threads": -1}}, r"training.threads is -1"),
        ({"training": {"mixup": -0.1}}, r"training.mixup is -0.1"),
        ({"training": {"devices": -1}}, r"training.devices is -1"),
        ({"training": {"devices": "all"}}, r"training.devices is 'all' \(str\), expected int"),
        ({"training": {"data": "disk"}}, r"choose one of 'memory', 'mapped'"),
        ({"training": {"compile": 1}}, r"training.compile is 1 \(int\), expected bool"),
        ({"seed": -1}, r"seed is -1: give a whole number from 0"),
        ({"seed": 2**63}, r"seed is 9223372036854775808: give a whole number"),
        ({"training": {"betas": [0.9, 1.0]}}, r"training.betas is \[0.9, 1.0\]: both must lie in 0 to 1"),
        ({"training": {"betas": [-0.1, 0.9]}}, r"training.betas is \[-0.1, 0.9\]"),
        ({"training": {"focal_gamma": -1}}, r"training.focal_gamma is -1.0: it must not be negative"),
        ({"training": {"focal_alpha": [0.5, -0.5]}}, r"training.focal_alpha is \[0.5, -0.5\].*must not be negative"),
        ({"training": {"focal_alpha": [0, 0]}}, r"training.focal_alpha is \[0.0, 0.0\]"),
        ({"training": {"lr": float("nan")}}, r"training.lr is nan: give a finite number"),
        ({"training": {"weight_decay": float("inf")}}, r"training.weight_decay is inf"),
        ({"training": {"betas": [0.9, float("nan")]}}, r"training.betas is .*nan"),
        ({"model": {"threshold": 7}}, r"model.threshold is 7.0: scores lie in 0 to 1"),
        ({"model": {"threshold": float("nan")}}, r"model.threshold is nan"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Config, values)


def test_whole_numbers_do_for_floats() -> None:
    lr = build(Config, {"training": {"lr": 1}}).training.lr
    assert lr == 1.0
    assert isinstance(lr, float)


def test_overrides_win_and_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("seed = 3\n[training]\nepochs = 5\nlr = 0.01\n")
    config = load_config(path, overrides={"training.epochs": 9})
    assert (config.seed, config.training.epochs, config.training.lr) == (3, 9, 0.01)
    with pytest.raises(ConfigError, match=r"unknown key 'training\.epoch'"):
        load_config(path, overrides={"training.epoch": 9})
    with pytest.raises(ConfigError, match="'seed' is a value, not a table"):
        load_config(path, overrides={"seed.epochs": 9})
    assert with_overrides(config, {"preprocess.size": 48}).preprocess["size"] == 48
    assert config.preprocess["size"] == 64  # the one it came from is as it was


def test_words_of_a_command_line() -> None:
    assert parse_overrides(["a.b=1e-3", "c=true", "d=resnet18", "e='x=y'"]) == {
        "a.b": 1e-3,
        "c": True,
        "d": "resnet18",
        "e": "x=y",
    }
    with pytest.raises(ConfigError, match="write KEY=VALUE"):
        parse_overrides(["training.epochs"])


@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "seed = = 3"), ("a.json", "{seed: 3}"), ("a.json", json.dumps([1, 2]))]
)
def test_broken_files(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load_config(tmp_path / "none.toml")
