"""The certificate counts what changed, and refuses what changed too much."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import MaskedColumn
from sklearn.metrics import roc_auc_score

from realbogus.errors import InputError, ModelError, ParityError
from realbogus.runtimes.certificate import Certificate, certify, data_hash, held_out_rows
from realbogus.runtimes.tolerance import STUDENT, Tolerance
from realbogus.stamps import StampSet


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(3)
    labels = np.arange(2000) % 10 == 0
    return np.clip(rng.normal(np.where(labels, 0.8, 0.2), 0.2), 0, 1), labels


def test_numbers_are_those_of_a_hand(scores):
    before, labels = scores
    after = before.copy()
    near = np.argsort(np.abs(before - 0.5))[:7]
    after[near] = 1 - before[near]  # to the other side of 0.5
    made = certify(before, after, labels, threshold=0.5, precision="int8")
    assert (made.stamps, made.real, made.bogus) == (2000, 200, 1800)
    assert made.flips == 7
    assert made.largest_change == pytest.approx(np.abs(after - before).max())
    assert made.mean_change == pytest.approx(np.abs(after - before).mean())
    assert made.auc_before == pytest.approx(roc_auc_score(labels, before))
    assert made.auc_after == pytest.approx(roc_auc_score(labels, after))
    assert made.missed_before == ((before < 0.5) & labels).sum()
    assert made.missed_after == ((after < 0.5) & labels).sum()
    # 13 of 1800 bogus may pass at 99.25 %
    highest = np.sort(before[~labels])[::-1]
    assert made.fixed_before == (before[labels] <= highest[13]).sum()
    assert [complaint for complaint in made.complaints() if "verdicts flip" in complaint] == [
        "7 of 2000 verdicts flip, more than 0.1%"
    ]
    with pytest.raises(ParityError, match=r"toy in int8 .* 7 of 2000 verdicts flip.*Nothing was written"):
        made.check("toy")


def test_what_did_not_change_passes(scores):
    before, labels = scores
    for precision in ("f32", "bf16", "int8"):
        made = certify(before, before, labels, threshold=0.5, precision=precision)
        made.check("toy")
        assert made.flips == 0 and made.largest_change == 0.0


def test_each_limit_is_held(scores):
    before, labels = scores
    worse = np.where(labels & (before > 0.7), before - 0.65, before)
    says = certify(before, worse, labels, threshold=0.01, precision="int8").complaints()
    assert len(says) == 1 and says[0].startswith("the AUC changes by")
    wider = Tolerance(None, 1.0, 1.0)
    assert certify(before, worse, labels, threshold=0.5, precision="int8", tolerance=wider).complaints() == []
    shifted = np.clip(before * 0.999, 0, 1)
    says = certify(before, shifted, labels, threshold=0.001, precision="f32").complaints()
    assert any(complaint.startswith("a score changes by") for complaint in says)


def test_a_student_has_a_threshold_of_its_own(scores):
    before, labels = scores
    made = certify(before, before / 2, labels, threshold=0.5, threshold_after=0.25, precision="f32")
    assert made.flips == 0 and made.missed_after == made.missed_before
    assert (made.threshold, made.threshold_after) == (0.5, 0.25)


def test_too_few_stamps_are_told(scores):
    before, labels = scores
    after = before[:100].copy()
    after[0] = 1 - after[0]
    says = certify(before[:100], after, labels[:100], threshold=0.5, precision="bf16").complaints()
    assert any("to tell 0.1% takes 1000" in complaint for complaint in says)


def test_no_verdict_may_flip(scores):
    before, labels = scores
    after = before.copy()
    after[0] = 1 - after[0]
    says = certify(before, after, labels, threshold=0.5, precision="f32", tolerance=Tolerance(None, 1.0, 0.0))
    assert says.complaints() == ["1 of 2000 verdicts flip, more than 0.0%"]


def test_a_student_may_be_better(scores):
    before, labels = scores
    better = np.where(labels, before + 1, before) / 2
    sure = {"threshold": 0.5, "precision": "f32", "tolerance": STUDENT}
    made = certify(before, better, labels, **sure)
    assert made.auc_after - made.auc_before > STUDENT.auc and made.complaints() == []
    (says,) = certify(better, before, labels, **sure).complaints()
    assert says.startswith("the AUC falls by")


def test_a_score_at_the_threshold_is_real():
    scores = np.array([0.9, 0.1], np.float32)  # float32(0.9) is below 0.9
    made = certify(scores, scores, [1, 0], threshold=0.9, precision="f32")
    assert made.missed_before == made.missed_after == 0


def test_the_hash_is_that_of_the_stamps(toy_stamps: StampSet):
    rows = np.arange(100)
    known = data_hash(toy_stamps, rows)
    assert known == data_hash(toy_stamps.select(rows), rows) != data_hash(toy_stamps, rows[1:])
    for change in ("id", "label", "pixels"):
        other = toy_stamps.select(rows)
        if change == "pixels":
            other = StampSet(other.pixels + np.float32(1), other.catalogue)
        else:
            other.catalogue[change][3] = {"id": "else", "label": 1 - other.labels[3]}[change]
        assert data_hash(other, rows) != known


def test_it_goes_through_json(scores):
    made = certify(*[scores[0]] * 2, scores[1], threshold=0.5, precision="f32")
    assert Certificate.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert len(made.rows()) == 6 and all(len(row) == 4 for row in made.rows())
    good = made.to_dict()
    for wrong in (None, {}, good | {"extra": 1}, good | {"tolerance": 1}, good | {"tolerance": {"score": 1}}):
        with pytest.raises(ModelError, match="certificate cannot be read"):
            Certificate.from_dict(wrong)


def test_scores_that_cannot_be_compared():
    with pytest.raises(InputError, match="needs both"):
        certify([0.1, 0.2], [0.1, 0.2], [1, 1], threshold=0.5, precision="f32")
    with pytest.raises(InputError, match="not finite"):
        certify([0.1, np.nan], [0.1, 0.2], [1, 0], threshold=0.5, precision="f32")
    with pytest.raises(InputError, match="shapes"):
        certify([0.1], [0.1, 0.2], [1, 0], threshold=0.5, precision="f32")


def test_held_out_rows_are_labelled_and_usable(toy_stamps: StampSet):
    stamps = toy_stamps.select(np.arange(6))
    stamps.catalogue["label"] = [1, 0, -1, -2, 1, 0]
    stamps.catalogue["usable"] = MaskedColumn([True, True, True, True, False, True], mask=[0, 0, 0, 0, 0, 1])
    assert held_out_rows(stamps).tolist() == [0, 1]
    stamps.catalogue["label"] = [1, -1, -1, -2, 1, -2]
    with pytest.raises(InputError, match="not both real and bogus"):
        held_out_rows(stamps)
