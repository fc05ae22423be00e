"""Bootstraps, and a bag that can be cut off anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realbogus.calibration import Calibration, fit_calibration
from realbogus.classifier import Card
from realbogus.config import Config, with_overrides
from realbogus.ensemble import Ensemble
from realbogus.errors import ConfigError, InputError, OutputError, UnknownNameError
from realbogus.model import Model
from realbogus.stamps import IGNORE, StampSet
from realbogus.training.bag import bag, bootstrap_rows, train_member
from realbogus.training.train import Progress, train

QUICK = with_overrides(
    Config(),
    {
        "model.architecture": "compact",
        "model.options": {"widths": [4, 4], "hidden": 4},
        "preprocess.size": 32,
        "training.epochs": 2,
        "training.batch_size": 32,
        "training.device": "cpu",
        "training.tensorboard": False,
    },
)
ROWS = np.arange(80)


def test_a_bootstrap_keeps_the_counts_of_both_classes() -> None:
    labels = np.array([0] * 900 + [1] * 90 + [IGNORE] * 10)
    rows = np.r_[100:990, 995:1000]
    drawn = bootstrap_rows(labels, rows, np.random.default_rng(1))
    assert np.bincount(labels[drawn]).tolist() == [800, 90]
    assert set(drawn) <= set(rows)
    # with replacement: of n draws from n, a share of 1 - 1/e is seen
    assert len(np.unique(drawn)) / len(drawn) == pytest.approx(1 - np.exp(-1), abs=0.03)
    assert np.array_equal(drawn, bootstrap_rows(labels, rows, np.random.default_rng(1)))
    assert not np.array_equal(drawn, bootstrap_rows(labels, rows, np.random.default_rng(2)))


def test_a_bootstrap_draws_every_row_alike() -> None:
    counts = np.zeros(20)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        counts += np.bincount(bootstrap_rows([0] * 15 + [1] * 5, None, rng), minlength=20)
    np.testing.assert_allclose(counts, 2000, rtol=0.1)


def test_a_bootstrap_of_repeated_rows_and_of_nonsense(toy_stamps: StampSet) -> None:
    assert set(bootstrap_rows([0, 1, 0], [0, 0, 1, 1], np.random.default_rng(0))) == {0, 1}
    with pytest.raises(InputError, match="rows run from 0 to 3, but there are 3"):
        bootstrap_rows([0, 1, 0], [0, 3], np.random.default_rng(0))
    with pytest.raises(InputError, match="training stamps hold 0 real"):
        bootstrap_rows(toy_stamps, np.flatnonzero(toy_stamps.labels == 0), np.random.default_rng(0))


def test_a_bag_goes_on_where_it_was_cut_off(toy_stamps: StampSet, tmp_path: Path) -> None:
    configs = [QUICK, with_overrides(QUICK, {"model.name": "other", "training.lr": 1e-3})]
    whole = bag(toy_stamps, configs, rows=ROWS, seed=3, out=tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(name: str, step: Progress) -> None:
        if name == "01-other" and step.epoch == 2:
            raise Killed

    seen: set[tuple[str, int]] = set()
    with pytest.raises(Killed):
        bag(toy_stamps, configs, rows=ROWS, seed=3, out=tmp_path / "cut", progress=kill)
    assert not (tmp_path / "cut" / "card.json").exists()
    again = bag(
        toy_stamps, configs, rows=ROWS, seed=3, out=tmp_path / "cut",
        progress=lambda name, step: seen.add((name, step.epoch)),
    )  # fmt: skip
    assert seen == {("01-other", 2)}
    scores = [each.predict(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm) for each in (whole, again)]
    assert np.array_equal(*scores)
    loaded = Ensemble.load(tmp_path / "cut")
    assert [member.card.name for member in loaded.members] == ["realbogus", "other"]
    assert np.array_equal(loaded.predict(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm), scores[0])
    cards: list[Card] = [member.card for member in loaded.members]
    assert len({card.data["seed"] for card in cards}) == len({card.data["sha256"] for card in cards}) == 2
    alone = train_member(toy_stamps, configs[1], 1, rows=ROWS, seed=3)  # a place decides, not the neighbours
    assert alone.card.data == cards[1].data


def test_one_network_and_a_bag_never_share_a_folder(toy_stamps: StampSet, tmp_path: Path) -> None:
    quick = with_overrides(QUICK, {"training.epochs": 1})
    other = with_overrides(quick, {"model.name": "other"})
    bag(toy_stamps, [quick, other], rows=ROWS, out=tmp_path)
    with pytest.raises(ConfigError, match=r"holds a bag of networks, and one network was asked for: .*--restart"):
        train(toy_stamps, quick, rows=ROWS, out=tmp_path)
    with pytest.raises(ConfigError, match=r"holds a bag of other networks \(members/01-other\)"):
        bag(toy_stamps, [quick], rows=ROWS, out=tmp_path)
    assert len(Ensemble.load(tmp_path).members) == 2
    train(toy_stamps, quick, rows=ROWS, out=tmp_path, resume=False)
    assert not (tmp_path / "members").exists()
    with pytest.raises(ConfigError, match="holds one network, and a bag was asked for"):
        bag(toy_stamps, [quick], rows=ROWS, out=tmp_path)
    bag(toy_stamps, [quick], rows=ROWS, out=tmp_path, resume=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "members"]


def test_a_model_that_was_brought_there_is_not_trained_over(toy_stamps: StampSet, tmp_path: Path) -> None:
    quick = with_overrides(QUICK, {"training.epochs": 1})
    train(toy_stamps, quick, rows=ROWS, out=tmp_path / "mine")
    train(toy_stamps, quick, rows=ROWS, out=tmp_path / "mine")  # its own run is carried on
    brought = Model.load(tmp_path / "mine").save(tmp_path / "brought")
    before = (brought / "card.json").read_bytes()
    with pytest.raises(ConfigError, match=r"holds a model, and no checkpoint of a run to carry on: .*--restart"):
        train(toy_stamps, with_overrides(quick, {"seed": 9}), rows=ROWS, out=brought)
    assert (brought / "card.json").read_bytes() == before
    train(toy_stamps, quick, rows=ROWS, out=brought, resume=False)


def test_a_bag_has_the_threshold_that_it_was_told(toy_stamps: StampSet) -> None:
    quick = with_overrides(QUICK, {"training.epochs": 1, "model.threshold": 0.8})
    assert bag(toy_stamps, [quick], rows=ROWS, threshold=0.8).card.threshold == 0.8
    assert bag(toy_stamps, [quick], rows=ROWS).card.threshold == 0.5


def test_a_stamp_without_a_weight_counts_once(toy_stamps: StampSet) -> None:
    rows = toy_stamps.catalogue.copy()
    rows["weight"] = np.ma.masked_array(np.full(len(rows), 2.0), mask=np.arange(len(rows)) % 2 == 0)
    quick = with_overrides(QUICK, {"training.epochs": 1})
    cards = []
    for weight in (rows["weight"], np.where(np.arange(len(rows)) % 2 == 0, 1.0, 2.0), np.full(len(rows), 2.0)):
        rows["weight"] = weight
        cards.append(train(replace(toy_stamps, catalogue=rows), quick, rows=ROWS).card.data["sha256"])
    assert cards[0] == cards[1] != cards[2]


@pytest.mark.parametrize("resume", [True, False])
def test_a_stamp_set_is_no_place_for_a_model(toy_stamps: StampSet, tmp_path: Path, resume: bool) -> None:
    place = toy_stamps.save(tmp_path / "set")
    with pytest.raises(OutputError, match="holds a stamp set"):
        train(toy_stamps, QUICK, rows=ROWS, out=place, resume=resume)
    with pytest.raises(OutputError, match="holds a stamp set"):
        bag(toy_stamps, [QUICK], rows=ROWS, out=place, resume=resume)
    with pytest.raises(OutputError, match="holds a stamp set"):
        Ensemble.of([Model.create(Card("m", "compact", {}))]).save(place)
    assert len(StampSet.load(place)) == len(toy_stamps)


def test_a_bag_of_nothing(toy_stamps: StampSet) -> None:
    with pytest.raises(ConfigError, match="no members"):
        bag(toy_stamps, [])

    def complain(name: str, step: Progress) -> None:
        raise AssertionError("nothing may be trained")

    for changes, said in (
        ({"model.architecture": "magic"}, "known are compact"),
        ({"training.schedule": "magic"}, "known are constant"),
        ({"training.loss": "magic"}, "known are bce"),
        ({"training.balance": "magic"}, "known are balanced"),
        ({"training.augment": ["magic"]}, "known are brightness"),
    ):
        with pytest.raises(UnknownNameError, match=said):
            bag(toy_stamps, [QUICK, with_overrides(QUICK, changes)], rows=ROWS, progress=complain)


def test_a_bag_carries_calibrations_and_may_start_afresh(toy_stamps: StampSet, tmp_path: Path) -> None:
    valid = np.arange(80, 140)
    quick = with_overrides(QUICK, {"training.epochs": 1})
    ensemble = bag(toy_stamps, [quick, quick], rows=ROWS, valid_rows=valid, out=tmp_path)
    part = toy_stamps.select(valid)
    scores = ensemble.predict(part.pixels, noise=part.noise, fwhm=part.fwhm)
    expected = fit_calibration(scores, part.labels, method="beta")
    given = Ensemble.load(tmp_path).card.calibration
    assert given is not None
    np.testing.assert_allclose(Calibration.from_dict(given)(scores), expected(scores), atol=1e-4)
    # the vote is of the scores as they are
    members = [member.predict(part.pixels, noise=part.noise, fwhm=part.fwhm) for member in ensemble.members]
    np.testing.assert_allclose(scores, np.mean(members, axis=0), atol=1e-6)
    assert all(member.card.calibration is not None for member in ensemble.members)

    class Killed(Exception):
        pass

    def kill(name: str, step: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        bag(toy_stamps, [quick, quick], rows=ROWS, out=tmp_path, resume=False, progress=kill)
    assert not (tmp_path / "card.json").exists()
