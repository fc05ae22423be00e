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
from realbogus.scoring import verdicts
from realbogus.stamps import IGNORE, UNLABELLED, StampSet
from realbogus.training.distil import distil, matching_threshold, student_config
from realbogus.training.part import Part
from realbogus.training.train import train

TINY = {"model.options": {"widths": [4, 8, 8, 8]}, "training.epochs": 3, "training.batch_size": 32}
TINY |= {"training.variants": 1, "training.ema": 0.0, "training.threads": 1, "training.tensorboard": False}


class Sage:
    """Knows the labels of the toy stamps by their light, and counts what it is asked."""

    def __init__(self, stamps: StampSet, labels: NDArray[np.int64], step: float = 0.5) -> None:
        self.step = step
        self.card = Card(name="sage", architecture="compact", threshold=0.3)
        self.truth = {stamps.pixels[row].tobytes(): labels[row] for row in range(len(stamps))}
        self.asked = 0

    def predict(self, pixels: Any, **_: Any) -> NDArray[np.float32]:
        self.asked += len(pixels)
        return np.array(
            [0.1 + self.step * self.truth[stamp.tobytes()] for stamp in np.asarray(pixels)], dtype=np.float32
        )


def without_labels(stamps: StampSet, rows: Any) -> StampSet:
    catalogue = stamps.catalogue.copy()
    catalogue["label"][rows] = UNLABELLED
    return StampSet(stamps.pixels, catalogue, stamps.channels)


def test_it_learns_from_stamps_without_labels(toy_stamps: StampSet, tmp_path: Path) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    stamps = without_labels(toy_stamps, slice(0, 160))
    config = with_overrides(student_config(["difference"]), TINY | {"training.epochs": 25})
    seen: list[tuple[int, int]] = []
    student = distil(
        sage, stamps, config, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s",
        scoring=lambda *step: seen.append(step),
    )  # fmt: skip
    assert sage.asked == 240 and seen[-1] == (240, 240)
    facts = student.card.metrics["distilled"]
    assert facts == {"teacher": "sage 1", "labels": 0.3, "stamps": 200, "unlabelled": 160}
    scores = student.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)
    assert roc_auc(scores, toy_stamps.labels) > 0.95
    assert scores.max() < 0.85  # it learns 0.1 and 0.6, not 0 and 1
    again = (scores >= student.card.threshold) == (toy_stamps.labels == 1)
    assert again.mean() > 0.85 and student.card.threshold != 0.5
    loaded = Model.load(tmp_path / "s")
    assert loaded.card == student.card
    np.testing.assert_array_equal(loaded.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm), scores)
    # what was done is not done again, but for the question whether this is the same teacher
    twice = distil(sage, stamps, config, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s")
    assert sage.asked == 480 and twice.card == student.card
    other = with_overrides(config, {"training.lr": 1e-3})
    with pytest.raises(ConfigError, match="another configuration"):
        distil(sage, stamps, other, rows=np.arange(200), valid_rows=np.arange(200, 240), out=tmp_path / "s")


QUICK = with_overrides(student_config(["difference"]), TINY | {"training.epochs": 1})


def flipped(contents: bytes) -> bytes:
    return contents[:-600] + bytes([contents[-600] ^ 0x55]) + contents[-599:]


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: c[:100], lambda c: c[: len(c) // 2], flipped])
def test_damaged_scores_of_the_teacher_are_made_again(toy_stamps: StampSet, tmp_path: Path, damage: Any) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    before = distil(sage, toy_stamps, QUICK, out=tmp_path)
    kept = tmp_path / "teacher.npz"
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert distil(sage, toy_stamps, QUICK, out=tmp_path).card == before.card
    assert sage.asked == 480
    with np.load(kept) as again:  # and kept again
        assert len(again["scores"]) == 240


def test_another_teacher_with_the_same_card_is_refused(toy_stamps: StampSet, tmp_path: Path) -> None:
    one, other = (Sage(toy_stamps, toy_stamps.labels, step) for step in (0.5, 0.8))
    assert one.card == other.card
    distil(one, toy_stamps, QUICK, out=tmp_path)
    before = (tmp_path / "teacher.npz").read_bytes()
    with pytest.raises(ConfigError, match="another configuration, seed or data"):
        distil(other, toy_stamps, QUICK, out=tmp_path)
    assert (tmp_path / "teacher.npz").read_bytes() == before  # the first one's run may still carry on
    # where nothing but its scores was kept, those of the other take their place
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "teacher.npz").write_bytes(before)
    student = distil(other, toy_stamps, QUICK, out=tmp_path / "new")
    assert student.card.data["targets"] == distil(other, toy_stamps, QUICK).card.data["targets"]


def test_a_restart_keeps_nothing_of_the_run_before(toy_stamps: StampSet, tmp_path: Path) -> None:
    one, other = (Sage(toy_stamps, toy_stamps.labels, step) for step in (0.5, 0.8))
    distil(one, toy_stamps, QUICK, out=tmp_path)
    (tmp_path / "certificate.json").write_text("{}")
    with pytest.raises(ConfigError, match="share of the label"):
        distil(other, toy_stamps, QUICK, out=tmp_path, labels=2.0, resume=False)
    assert (tmp_path / "certificate.json").exists()  # a mistyped option costs nothing
    distil(other, toy_stamps, QUICK, out=tmp_path, resume=False)
    assert not (tmp_path / "certificate.json").exists() and other.asked == 240
    with np.load(tmp_path / "teacher.npz") as kept:
        assert kept["scores"].max() == pytest.approx(0.9)


def test_stamps_to_ignore_teach_nothing(toy_stamps: StampSet) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    stamps = without_labels(toy_stamps, slice(0, 60))
    stamps.catalogue["label"][:20] = IGNORE
    student = distil(sage, stamps, QUICK)
    assert sage.asked == 220 and student.card.metrics["distilled"] == {
        "teacher": "sage 1", "labels": 0.3, "stamps": 220, "unlabelled": 40,
    }  # fmt: skip


def test_unusable_stamps_teach_nothing(toy_stamps: StampSet) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    stamps = without_labels(toy_stamps, slice(0, 0))
    stamps.catalogue["usable"] = np.arange(240) >= 40
    student = distil(sage, stamps, with_overrides(student_config(["difference"]), TINY | {"training.epochs": 1}))
    assert sage.asked == 200 and student.card.data["stamps"] == 200


def test_what_cannot_be(toy_stamps: StampSet) -> None:
    sage = Sage(toy_stamps, toy_stamps.labels)
    with pytest.raises(ConfigError, match="share of the label"):
        distil(sage, toy_stamps, student_config(["difference"]), labels=1.5)
    with pytest.raises(InputError, match="unknown loss"):
        distil(sage, toy_stamps, with_overrides(student_config(["difference"]), {"training.loss": "hinge"}))
    assert sage.asked == 0
    with pytest.raises(InputError, match="targets have shape"):
        train(toy_stamps, with_overrides(student_config(["difference"]), TINY), targets=np.ones(3))
    with pytest.raises(InputError, match="in 0 to 1"):
        train(toy_stamps, with_overrides(student_config(["difference"]), TINY), targets=np.full(240, np.nan))


def test_targets_that_are_the_labels_change_nothing(toy_stamps: StampSet) -> None:
    config = with_overrides(student_config(["difference"]), TINY | {"training.epochs": 1})
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


def test_the_threshold_repeats_most_called() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.random(30).round(1)
        called = rng.random(30) < scores
        found = matching_threshold(scores, called, 0.5)
        cuts = (np.unique(scores)[1:] + np.unique(scores)[:-1]) / 2
        repeated = [int(((scores >= cut) == called).sum()) for cut in cuts]
        assert found == pytest.approx(cuts[repeated.index(max(repeated))])  # the lowest of equals
    low = np.float32(0.5)
    scores = np.array([low, np.nextafter(low, np.float32(1))])  # halfway would be rounded to the lower one
    found = matching_threshold(scores, [False, True], 0.4)
    assert verdicts(scores, found).tolist() == [False, True]
    assert matching_threshold([0.1, 0.9], [True, True], 0.4) == 0.4
    assert matching_threshold([0.5, 0.5], [True, False], 0.4) == 0.4


def test_the_recipe_is_the_one_in_the_file() -> None:
    path = Path(__file__).parents[2] / "configs" / "student.toml"
    assert load_config(path) == with_overrides(Config(), student_config().to_dict())
