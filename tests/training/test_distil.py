"""A student learns what its teacher says, of stamps without labels as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from realbogus.classifier import Card
from realbogus.config import Config, load_config, with_overrides
from realbogus.errors import ConfigError, InputError
from realbogus.metrics import roc_auc
from realbogus.model import Model
from realbogus.stamps import UNLABELLED, StampSet
from realbogus.training.distil import distil, matching_threshold, student_config
from realbogus.training.part import Part
from realbogus.training.train import train

TINY = {"model.options": {"widths": [4, 8, 8, 8]}, "training.epochs": 3, "training.batch_size": 32}
TINY |= {"training.variants": 1, "training.ema": 0.0, "training.threads": 1, "training.tensorboard": False}


class Sage:
    """Knows the labels of the toy stamps by their light; stamps are never scored twice."""

    def __init__(self, stamps: StampSet, labels: NDArray[np.int64]) -> None:
        self.card = Card(name="sage", architecture="compact", threshold=0.3)
        self.truth = {stamps.pixels[row].tobytes(): labels[row] for row in range(len(stamps))}
        self.asked = 0

    def predict(self, pixels: Any, **_: Any) -> NDArray[np.float32]:
        self.asked += len(pixels)
        return np.array([0.1 + 0.5 * self.truth[stamp.tobytes()] for stamp in np.asarray(pixels)], dtype=np.float32)


def without_labels(stamps: StampSet, rows: Any) -> StampSet:
    catalogue = stamps.catalogue.copy()
    catalogue["label"][rows] = UNLABELLED
    return StampSet(stamps.pixels, catalogue, stamps.channels)


def test_it_learns_from_stamps_without_labels(toy_stamps: StampSet, tmp_path: Path) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    stamps = without_labels(toy_stamps, slice(0, 160))
    config = with_overrides(student_config(), TINY | {"training.epochs": 25})
    seen: list[tuple[int, int]] = []
    student = distil(
        sage, stamps, config, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s",
        scoring=lambda *step: seen.append(step),
    )  # fmt: skip
    assert sage.asked == 240 and seen[-1] == (240, 240)
    facts = student.card.metrics["distilled"]
    assert facts == {"teacher": "sage 1", "labels": 0.0, "stamps": 200, "unlabelled": 160}
    scores = student.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)
    assert roc_auc(scores, toy_stamps.labels) > 0.95
    assert scores.max() < 0.85  # it learns 0.1 and 0.6, not 0 and 1
    again = (scores >= student.card.threshold) == (toy_stamps.labels == 1)
    assert again.mean() > 0.85 and student.card.threshold != 0.5
    loaded = Model.load(tmp_path / "s")
    assert loaded.card == student.card
    np.testing.assert_array_equal(loaded.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm), scores)
    # what was done is not done again, and comes out the same
    twice = distil(sage, stamps, config, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s")
    assert sage.asked == 240 and twice.card == student.card
    other = with_overrides(config, {"training.lr": 1e-3})
    with pytest.raises(ConfigError, match="another configuration"):
        distil(sage, stamps, other, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s")
    (tmp_path / "s" / "teacher.npz").write_bytes(b"junk")
    distil(sage, stamps, config, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s")
    assert sage.asked == 480


def test_unusable_stamps_teach_nothing(toy_stamps: StampSet) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    stamps = without_labels(toy_stamps, slice(0, 0))
    stamps.catalogue["usable"] = np.arange(240) >= 40
    student = distil(sage, stamps, with_overrides(student_config(), TINY | {"training.epochs": 1}))
    assert sage.asked == 200 and student.card.data["stamps"] == 200


def test_what_cannot_be(toy_stamps: StampSet) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    with pytest.raises(ConfigError, match="share of the label"):
        distil(sage, toy_stamps, student_config(), labels=1.5)
    with pytest.raises(InputError, match="unknown loss"):
        distil(sage, toy_stamps, with_overrides(student_config(), {"training.loss": "hinge"}))
    assert sage.asked == 0
    with pytest.raises(InputError, match="targets have shape"):
        train(toy_stamps, with_overrides(student_config(), TINY), targets=np.ones(3))
    with pytest.raises(InputError, match="in 0 to 1"):
        train(toy_stamps, with_overrides(student_config(), TINY), targets=np.full(240, np.nan))


def test_targets_that_are_the_labels_change_nothing(toy_stamps: StampSet) -> None:
    config = with_overrides(student_config(), TINY | {"training.epochs": 1})
    plainly = train(toy_stamps, config, rows=np.arange(100), valid_rows=np.arange(100, 160))
    softly = train(
        toy_stamps, config, rows=np.arange(100), valid_rows=np.arange(100, 160), targets=toy_stamps.labels == 1
    )
    for name, value in plainly.network.state_dict().items():
        assert torch.equal(value, softly.network.state_dict()[name])
    assert "targets" in softly.card.data and "targets" not in plainly.card.data


def test_wanted_is_the_target_where_there_is_one() -> None:
    labels = torch.tensor([0.0, 1.0])
    part = Part(torch.zeros(1, 2, 1, 2, 2), torch.arange(2), labels, torch.ones(2))
    assert part.wanted().tolist() == [0.0, 1.0]
    soft = replace(part, targets=torch.tensor([0.2, 0.7])).on(torch.device("cpu"))
    assert soft.wanted(torch.tensor([1])).tolist() == pytest.approx([0.7]) and soft.labels.tolist() == [0.0, 1.0]


def test_the_threshold_repeats_most_verdicts() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.random(30).round(1)
        verdicts = rng.random(30) < scores
        found = matching_threshold(scores, verdicts, 0.5)
        cuts = (np.unique(scores)[1:] + np.unique(scores)[:-1]) / 2
        best = max(int(((scores >= cut) == verdicts).sum()) for cut in cuts)
        assert int(((scores >= found) == verdicts).sum()) == best
    assert matching_threshold([0.1, 0.9], [True, True], 0.4) == 0.4
    assert matching_threshold([0.5, 0.5], [True, False], 0.4) == 0.4


def test_the_recipe_is_the_one_in_the_file() -> None:
    path = Path(__file__).parents[2] / "configs" / "student.toml"
    assert load_config(path) == with_overrides(Config(), student_config().to_dict())
