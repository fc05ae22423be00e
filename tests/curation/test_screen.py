"""The screening: bands of what is screened, and not a stamp lost."""

from __future__ import annotations

import json

import numpy as np
import pytest

from realbogus.classifier import Card
from realbogus.curation.recipes import quick_recipe, screening_recipe
from realbogus.curation.screen import save_screening, screen
from realbogus.curation.screening_network import learn_screen
from realbogus.errors import ConfigError, InputError, OutputError
from realbogus.stamps import IGNORE, UNLABELLED, StampSet
from realbogus.tables import read_parquet


class Peak:
    """Scores a stamp by its central pixel, as a network would."""

    card = Card(name="peak", architecture="none")

    def __init__(self):
        from realbogus.preprocess import Preprocess

        self.card = Card(name="peak", architecture="none", preprocess=Preprocess(channels=("difference",)))

    def predict(self, pixels, *, noise=None, fwhm=None):
        return np.clip(pixels[:, 0, 32, 32] / 100, 0, 1).astype(np.float32)


@pytest.fixture
def raw(make_set) -> StampSet:
    stamps = make_set(
        8, peak=0.0, label=[0, 0, 0, 0, UNLABELLED, 1, IGNORE, 0],
        origin=["catalogue"] * 4 + ["", "vote", "", "catalogue"],
        usable=[True] * 7 + [False],
    )  # fmt: skip
    stamps.pixels[:, 0, 32, 32] = [5, 20, 90, 95, 1, 10, 50, 50]
    return stamps


def test_bands_are_those_of_the_paper_and_everything_is_somewhere(raw, tmp_path):
    found = screen(raw, Peak())
    assert found.band.tolist() == ["keep", "review", "review", "hard", "keep", "real", "aside", "aside"]
    assert found.table["score"].mask.tolist() == [False] * 7 + [True]
    written = save_screening(found, raw, tmp_path)
    sets = {name: StampSet.load(path) for name, path in written.items()}
    assert sorted(np.concatenate([part.catalogue["id"] for part in sets.values()])) == sorted(raw.catalogue["id"])
    assert len(sets["hard"]) == 1
    keep = sets["keep"].catalogue
    assert keep["label"].tolist() == [0, 0, 1]
    assert keep["origin"].tolist() == ["catalogue", "screen", "vote"]  # the candidate without a label got one
    assert keep["screen_score"].tolist() == pytest.approx([0.05, 0.01, 0.1])
    scores = read_parquet(tmp_path / "scores.parquet")
    assert scores["band"].tolist() == found.band.tolist()
    names = {path.name for path in tmp_path.iterdir()}
    assert {"figure2a.png", "figure2a.pdf", "figure2b.png", "figure2b.pdf", "summary.md"} <= names
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"] == {"keep": 2, "review": 2, "hard": 1, "real": 1, "aside": 2}
    assert "1 of 1 reals score below 0.2" in found.summary()
    save_screening(found, raw, tmp_path)  # the same again


def test_votes_on_the_review_set_are_not_lost(raw, tmp_path):
    found = screen(raw, Peak())
    save_screening(found, raw, tmp_path)
    (tmp_path / "review" / "votes.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match=r"votes\.jsonl"):
        save_screening(found, raw, tmp_path)


def test_other_bands(raw):
    assert screen(raw, Peak(), low=0.0, high=0.93).band[:4].tolist() == ["review", "review", "review", "hard"]
    with pytest.raises(InputError, match="low <= high"):
        screen(raw, Peak(), low=0.9, high=0.2)


def test_only_reals_are_nothing_to_screen(make_set):
    with pytest.raises(InputError, match="none of 3 stamps is to be screened"):
        screen(make_set(3, label=[1, 1, 1]), Peak())


def test_the_network_learns_from_the_seed_set(toy_stamps, tmp_path):
    toy_stamps = toy_stamps.select(np.arange(60))
    model, picked, accuracy = learn_screen(toy_stamps, tmp_path / "network", network="compact", epochs=1)
    labels = toy_stamps.labels
    assert (labels[picked] == 1).sum() == (labels == 1).sum()
    assert (labels[picked] == 0).sum() == (labels == 1).sum()  # as many as reals
    assert 0 <= accuracy <= 1
    found = screen(toy_stamps, model, picked=picked, accuracy=0.5)
    assert found.table["picked"].sum() == len(picked)
    assert "its bands mean nothing" in found.summary()
    again, _, same = learn_screen(toy_stamps, tmp_path / "network", network="compact", epochs=1)  # nothing to do
    assert same == accuracy
    assert np.array_equal(screen(toy_stamps, again).table["score"], found.table["score"])


def test_a_seed_set_of_one_class_or_two_stamps_is_refused(make_set):
    raw = make_set(4, label=[0] * 4)
    with pytest.raises(InputError, match="4 stamps 0 are labelled real"):
        learn_screen(raw)
    with pytest.raises(InputError, match="2 are needed"):
        learn_screen(raw, seeds=make_set(3, label=[1, 0, 0]))


def test_recipes():
    # the recipe that the study's screening was anchored with
    values = screening_recipe(epochs=8, threads=2, seed=5)
    assert values.model.options == {"conv_dropout": 0.0, "dropout": 0.5}
    assert (values.training.lr, values.training.batch_size, values.training.balance) == (2e-4, 16, "balanced")
    assert quick_recipe(("science", "reference", "difference"), 100).preprocess["channels"] == [
        "difference", "science", "reference",
    ]  # fmt: skip
    with pytest.raises(InputError, match="`difference` is needed"):
        quick_recipe(("science",), 100)
    with pytest.raises(ConfigError, match="epochs 0"):
        quick_recipe(("difference",), 100, epochs=0)


def test_a_band_that_is_empty_now_does_not_stay(raw, tmp_path):
    written = save_screening(screen(raw, Peak()), raw, tmp_path)
    assert (tmp_path / "review").exists() and "review" in written
    save_screening(screen(raw, Peak(), low=0.3, high=0.31), raw, tmp_path)
    assert not (tmp_path / "review").exists() and (tmp_path / "keep").exists()
