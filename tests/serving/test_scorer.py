"""The scorer: rows in = rows out, a bad stamp is a row without a score, the same verdicts as the plain way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from realbogus.calibration import fit_calibration
from realbogus.classifier import Card
from realbogus.errors import InputError, ModelError
from realbogus.runtimes import default_model, load_classifier
from realbogus.scoring import score_rows
from realbogus.serving.batch import Batch
from realbogus.serving.scorer import REASONS, Scorer
from realbogus.stamps import StampSet


class Mean:
    """Scores the mean pixel; fails with any batch that holds a stamp of 0.13 exactly."""

    card = Card(name="mean", architecture="none", threshold=0.5)

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, pixels, *, noise=None, fwhm=None):
        self.calls += 1
        values = np.asarray(pixels).mean(axis=(1, 2, 3))
        if np.any(np.isclose(values, 0.13)):
            raise RuntimeError("odd stamp")
        return values


def batch_of(values: list[float], **columns: Any) -> Batch:
    count = len(values)
    rows = Table({"id": [f"c{k}" for k in range(count)], "noise": np.ones(count), "fwhm": np.full(count, 3.0)})
    for name, column in columns.items():
        rows[name] = column
    return Batch(rows, np.ones((count, 1, 4, 4), np.float32) * np.array(values, np.float32)[:, None, None, None])


def test_every_bad_row_has_its_reason_and_all_others_a_score() -> None:
    noise = np.array([1, 1, 1, 0, np.nan, 1, 1, 1.0])
    fwhm = np.array([3, 3, 3, 3, 3, np.inf, 3, 3.0])
    usable = [True, True, False, True, True, True, True, True]
    batch = batch_of([0.9, np.nan, 0.9, 0.9, 0.9, 0.9, 1.7, 0.2], noise=noise, fwhm=fwhm, usable=usable)
    batch.pixels[7, 0, 0, 0] = -3e38  # large, and finite: only its sum might not be
    rows = Scorer(Mean())(batch).rows
    words = ["", "pixels", "unusable", "noise", "noise", "fwhm", "score", "score"]
    assert rows["reason"].tolist() == [REASONS.get(word, "") for word in words]
    assert np.ma.getmaskarray(rows["score"]).tolist() == [word != "" for word in words]
    assert rows["real"].tolist() == [True] + [False] * 7
    assert rows["id"].tolist() == batch.rows["id"].tolist()


def test_a_stamp_that_the_model_fails_with_is_found_and_the_others_are_scored() -> None:
    values = [0.9] * 100
    values[37] = values[80] = 0.13
    model = Mean()
    rows = Scorer(model)(batch_of(values)).rows
    assert np.flatnonzero(rows["reason"] != "").tolist() == [37, 80]
    assert rows["reason"][37] == "the model fails with it: odd stamp"
    assert np.asarray(rows["real"]).sum() == 98
    assert model.calls < 40


def test_a_model_that_fails_with_everything_is_an_error() -> None:
    with pytest.raises(ModelError, match="fails with every one of 2 stamps; the first: odd stamp"):
        Scorer(Mean())(batch_of([0.13, 0.13]))


def test_a_missing_channel_is_an_error_at_once() -> None:
    batch = batch_of([0.5])
    with pytest.raises(InputError, match="needs the channels"):
        Scorer(Mean())(Batch(batch.rows, batch.pixels, ("science",)))


def test_channels_are_taken_by_name() -> None:
    pixels = np.stack([np.full((4, 4), value, np.float32) for value in (0.1, 0.8)])[None]
    rows = Table({"id": ["a"], "noise": [1.0], "fwhm": [3.0]})
    assert Scorer(Mean())(Batch(rows, pixels, ("science", "difference"))).rows["score"][0] == np.float32(0.8)


def test_probabilities_come_from_the_cards_calibration() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(500)
    calibration = fit_calibration(scores, rng.random(500) < scores**2, method="beta")
    model = Mean()
    model.card = Card(name="c", architecture="none", calibration=calibration.to_dict())
    rows = Scorer(model)(batch_of([0.2, 0.7, np.nan])).rows
    np.testing.assert_allclose(rows["probability"][:2], calibration(np.float32([0.2, 0.7])), rtol=1e-6)
    assert np.ma.getmaskarray(rows["probability"])[2]
    assert np.ma.getmaskarray(Scorer(Mean())(batch_of([0.2])).rows["probability"])[0]


def test_an_empty_batch() -> None:
    scored = Scorer(Mean())(Batch.of_failed([]))
    assert (len(scored), scored.real.tolist(), scored.scored.tolist()) == (0, [], [])


def test_the_shipped_model_scores_as_it_does_alone(toy_stamps: StampSet) -> None:
    model = load_classifier(default_model(), threads=1)
    stamps = toy_stamps.select(np.arange(48))
    rows = Scorer(model)(Batch(stamps.catalogue, stamps.pixels, stamps.channels)).rows
    alone = score_rows(model, stamps, np.arange(48))
    np.testing.assert_array_equal(np.asarray(rows["score"]), alone)
    np.testing.assert_array_equal(np.asarray(rows["real"]), alone >= model.card.threshold)
    assert set(rows["policy"]) == {"model"} and set(rows["model"]) == {model.card.name}
