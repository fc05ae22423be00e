"""Model: predict, save, load, and everything that can be wrong with a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from realbogus.classifier import Card, Classifier
from realbogus.errors import ConfigError, InputError, ModelError, OutputError, UnknownNameError
from realbogus.model import CARD_FILE, WEIGHTS_FILE, Model
from realbogus.preprocess import Preprocess
from realbogus.stamps import StampSet

CARD = Card(name="toy", architecture="compact", architecture_options={"widths": [4, 4]}, views=8, threshold=0.4)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return Model.create(CARD, seed=3).save(tmp_path / "model")


def test_predict_is_a_classifier(toy_stamps: StampSet) -> None:
    model = Model.create(CARD, seed=3)
    assert isinstance(model, Classifier)
    scores = model.predict(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm)
    assert scores.shape == (240,)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.std() > 0


def test_eight_views_do_not_depend_on_the_orientation() -> None:
    # `native` planes are cut without regard to the source's pixel, so a turned stamp gives turned planes
    prepare = Preprocess(planes=("native:difference",), size=16, orient=False)
    card = Card(name="t", architecture="compact", architecture_options={"widths": [4, 4]}, preprocess=prepare, views=8)
    model = Model.create(card, seed=1)
    pixels = np.random.default_rng(0).normal(size=(4, 1, 16, 16)).astype(np.float32)
    straight = model.predict(pixels, noise=1.0)
    for turned in (np.rot90(pixels, axes=(2, 3)), pixels[..., ::-1], np.swapaxes(pixels, 2, 3)):
        np.testing.assert_allclose(model.predict(turned, noise=1.0), straight, atol=1e-6)
    one_view = Model(model.network, Card(**{**vars(card), "views": 1}))
    assert np.abs(one_view.predict(pixels[..., ::-1], noise=1.0) - one_view.predict(pixels, noise=1.0)).max() > 1e-4


def test_the_seed_decides_and_the_global_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = (Model.create(CARD, seed=seed).network.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    name = "features.0.weight"
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])


def test_predicting_leaves_dropout_out(toy_stamps: StampSet) -> None:
    model = Model.create(CARD, seed=3)
    model.network.train()
    few = {"noise": toy_stamps.noise[:5], "fwhm": toy_stamps.fwhm[:5]}
    np.testing.assert_array_equal(
        model.predict(toy_stamps.pixels[:5], **few), model.predict(toy_stamps.pixels[:5], **few)
    )


def test_round_trip(saved: Path, toy_stamps: StampSet) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [CARD_FILE, WEIGHTS_FILE]
    again = Model.load(saved)
    assert again.card == CARD
    arguments = {"noise": toy_stamps.noise, "fwhm": toy_stamps.fwhm}
    np.testing.assert_array_equal(
        again.predict(toy_stamps.pixels, **arguments),
        Model.create(CARD, seed=3).predict(toy_stamps.pixels, **arguments),
    )


def test_another_threshold_is_another_card() -> None:
    model = Model.create(CARD)
    assert model.with_threshold(0.9).card.threshold == 0.9
    assert model.card.threshold == 0.4


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no model"):
        Model.load(tmp_path / "nowhere")


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_truncated_weights(saved: Path, keep: int) -> None:
    path = saved / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(saved)


def test_missing_weights(saved: Path) -> None:
    (saved / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        Model.load(saved)


def test_weights_of_another_network(saved: Path) -> None:
    values = json.loads((saved / CARD_FILE).read_text())
    values["architecture_options"]["widths"] = [4, 8]
    (saved / CARD_FILE).write_text(json.dumps(values))
    with pytest.raises(ModelError, match="not of the architecture"):
        Model.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "resnet1000"}, "unknown architecture 'resnet1000': known are compact"),
        ({"architecture_options": {"depth": 3}}, "does not take the options"),
        ({"card_version": 99}, "version 99"),
        ({"surprise": 1}, "does not fit this version"),
        ({"preprocess": {"blur": 2}}, "does not fit this version"),
        ({"metrics": []}, r"card.json does not fit this version.*metrics is \[\]"),
        ({"architecture_options": None}, r"card.json does not fit.*architecture_options is None"),
        ({"architecture_options": {"dropout": 1.5}}, "model in .* cannot be built.*dropout = 1.5"),
        ({"architecture_options": {"widths": "ab"}}, "cannot be built"),
        ({"architecture_options": {"hidden": -4}}, "cannot be built"),
    ],
)
def test_cards_that_do_not_fit(saved: Path, change: dict[str, object], message: str) -> None:
    values = json.loads((saved / CARD_FILE).read_text()) | change
    (saved / CARD_FILE).write_text(json.dumps(values))
    with pytest.raises(ModelError, match=message):
        Model.load(saved)


def test_a_damaged_card(saved: Path) -> None:
    (saved / CARD_FILE).write_text('{"name": ')
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(saved)


def test_building_what_is_unknown() -> None:
    with pytest.raises(UnknownNameError):
        Model.create(Card(name="x", architecture="nobody"))
    with pytest.raises(ConfigError):
        Model.create(Card(name="x", architecture="compact", architecture_options={"depth": 1}))
    for options in ({"dropout": 1.5}, {"widths": [0, 4]}, {"widths": [4, "x"]}, {"hidden": 2.5}, {"dropout": "much"}):
        with pytest.raises(ConfigError, match=r"architecture 'compact' does not take|^compact: "):
            Model.create(Card(name="x", architecture="compact", architecture_options=options))


def test_stamps_without_a_psf_size(toy_stamps: StampSet) -> None:
    with pytest.raises(InputError, match="hand in `fwhm`"):
        Model.create(CARD).predict(toy_stamps.pixels)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        Model.create(CARD).save(tmp_path / "file" / "model")
