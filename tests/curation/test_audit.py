"""The audit: folds by source, scores of strangers, planted errors on top."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from realbogus.curation.audit import audit, rank_labels, save_audit
from realbogus.curation.recipes import quick_recipe
from realbogus.curation.scores import judged_rows, out_of_fold, source_folds
from realbogus.errors import ConfigError, InputError
from realbogus.stamps import IGNORE, StampSet
from realbogus.tables import read_parquet


def test_folds_keep_sources_whole_and_classes_even():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 90, 600)
    labels = ((group % 5 == 0) & (rng.random(600) < 0.7)).astype(np.int64)
    fold = source_folds(np.array([f"s{k}" for k in group]), labels, 4, seed=1)
    assert all(len(set(fold[group == k])) == 1 for k in np.unique(group))
    for value in (0, 1):
        counts = np.bincount(fold[labels == value], minlength=4)
        assert counts.max() - counts.min() <= 0.4 * counts.mean()
    assert source_folds(np.array([""] * 40), np.arange(40) % 2, 4, seed=1).tolist() != [0] * 40


def test_too_few_sources_for_the_folds():
    groups, labels = np.array(["a", "a", "b", "c", "d", "e"]), np.array([1, 1, 0, 0, 0, 0])
    with pytest.raises(InputError, match="1 sources are real, too few for 3 folds"):
        source_folds(groups, labels, 3, seed=0)
    with pytest.raises(ConfigError, match="at least 2"):
        source_folds(groups, labels, 1, seed=0)


def test_no_network_has_learned_from_the_source_it_is_asked_about(toy_stamps, monkeypatch):
    seen = []

    class Fake:
        def __init__(self, rows):
            self.rows = set(rows.tolist())

    def train(stamps, config, *, rows, **_):
        seen.append(Fake(rows))
        return seen[-1]

    def score(model, stamps, rows):
        assert not model.rows & set(rows.tolist())
        source = np.asarray(stamps.catalogue["source"])
        assert not set(source[sorted(model.rows)]) & set(source[rows])
        return np.full(len(rows), 0.5, np.float32)

    monkeypatch.setattr("realbogus.training.train.train", train)
    monkeypatch.setattr("realbogus.curation.scores.score_rows", score)
    rows = judged_rows(toy_stamps)
    fold = source_folds(np.asarray(toy_stamps.catalogue["source"]), toy_stamps.labels, 3, seed=0)
    scores = out_of_fold(toy_stamps, rows, fold, quick_recipe(("difference",), 100, epochs=1))
    assert len(seen) == 3
    assert np.isfinite(scores).all()


def test_planted_errors_come_first(toy_stamps, tmp_path):
    toy_stamps = toy_stamps.select(np.arange(160))
    wrong = np.random.default_rng(3).choice(160, 5, replace=False)
    catalogue = toy_stamps.catalogue.copy()
    catalogue["label"][wrong] = 1 - catalogue["label"][wrong]
    catalogue["label"][[0, 1]] = IGNORE
    wrong = np.setdiff1d(wrong, [0, 1])
    stamps = StampSet(toy_stamps.pixels, catalogue)
    found = audit(stamps, folds=3, epochs=6, work=tmp_path / "work")
    assert len(found.table) == 158
    assert found.table["rank"].tolist() == list(range(1, 159))
    first = set(np.asarray(found.table["row"])[:10].tolist())  # 6 %
    assert len(first & set(wrong.tolist())) >= 0.8 * len(wrong)
    assert (np.diff(np.asarray(found.table["quality"])) >= 0).all()
    assert not (tmp_path / "work").exists()
    suspects = save_audit(found, stamps, tmp_path / "out", top=10)
    assert suspects.catalogue["rank"].tolist() == list(range(1, 11))
    assert suspects.catalogue["id"].tolist() == found.table["id"][:10].tolist()
    assert np.array_equal(suspects.pixels, stamps.pixels[np.asarray(found.table["row"])[:10]])
    back = read_parquet(tmp_path / "out" / "audit.parquet")
    assert {"id", "label", "score", "quality", "rank", "suspect", "row"} <= set(back.colnames)
    assert "AUC" in (tmp_path / "out" / "summary.md").read_text()


def test_quality_is_the_score_of_the_label():
    scores, labels = np.array([0.9, 0.2, 0.7, 0.4]), np.array([1, 1, 0, 0])
    quality, _ = rank_labels(scores, labels)
    assert quality == pytest.approx([0.9, 0.2, 0.3, 0.6])
    with pytest.raises(InputError, match="one score in"):
        rank_labels([0.5, np.nan], [1, 0])


def test_what_cannot_be_audited_is_said(make_set, monkeypatch):
    with pytest.raises(InputError, match="3 are labelled real and 0 bogus"):
        audit(make_set(3, label=[1, 1, 1]))
    with pytest.raises(InputError, match="1 ids are there twice"):
        audit(make_set(4, label=[1, 0, 1, 0]).select([0, 1, 1]))
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(ConfigError, match=r"realbogus\[train\]"):
        audit(make_set(4, label=[1, 0, 1, 0]))
