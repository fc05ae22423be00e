"""What the looser split flatters, measured with a model that knows by heart what it has seen."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from realbogus.config import with_overrides
from realbogus.curation.flatter import flattery
from realbogus.curation.split import split
from realbogus.errors import ConfigError
from realbogus.stamps import StampSet


@pytest.fixture
def archive() -> StampSet:
    count = 800
    rows = Table({"id": [f"r{k}" for k in range(count)], "noise": np.ones(count), "fwhm": np.full(count, 3.0)})
    rows["source"] = [f"s{k // 8}" for k in range(count)]
    rows["label"] = (np.arange(count) // 8) % 2
    return StampSet(np.zeros((count, 1, 64, 64), np.float32), rows)


def test_by_heart(archive, monkeypatch):
    """It knows the sources that it has seen, and guesses all others: AUC 1 per stamp, a half by source."""
    source, labels = np.asarray(archive.catalogue["source"]), archive.labels

    def train(stamps, config, *, rows, **_):
        return {source[row]: float(labels[row]) for row in rows}

    def score(model, stamps, rows):
        guess = np.random.default_rng(0).uniform(0.3, 0.7, len(rows))
        return np.array([model.get(source[row], guess[k]) for k, row in enumerate(rows)], dtype=np.float32)

    monkeypatch.setattr("realbogus.training.train.train", train)
    monkeypatch.setattr("realbogus.curation.flatter.score_rows", score)
    looser, stricter = split(archive, "stamp", allow_leakage=True), split(archive, "source")
    found = flattery(archive, looser, stricter, draws=200)
    assert found.auc["by stamp"].value == 1.0
    assert found.auc["by source"].low < 0.5 < found.auc["by source"].high
    assert found.gain["auc"].value == pytest.approx(1.0 - found.auc["by source"].value)
    assert found.gain["auc"].low > 0.3
    assert found.recall["by stamp"].value == 1.0
    assert [row[0] for row in found.table().rows] == ["by stamp", "by source", "flattered by"]


def test_impossible_numbers(archive):
    parts = split(archive, "source")
    with pytest.raises(ConfigError, match="specificity 0"):
        flattery(archive, parts, parts, specificity=0.0)


def test_the_folder_of_another_run_is_begun_afresh_and_the_finished_one_goes(toy_stamps, tmp_path):
    """Other epochs are another run: what an earlier one left, cut off, is no reason to end in an error."""
    pytest.importorskip("torch")
    from realbogus.curation.recipes import quick_recipe
    from realbogus.curation.scores import carried_on
    from realbogus.training.train import train

    rows = np.arange(len(toy_stamps))
    configs = [quick_recipe(toy_stamps.channels, len(rows), epochs=epochs, seed=0) for epochs in (1, 2)]
    first, second = (carried_on(train, toy_stamps, config, rows=rows, out=tmp_path / "work") for config in configs)
    assert [model.card.metrics["training"]["epoch"] for model in (first, second)] == [1, 2]
    with pytest.raises(ConfigError, match="cuda:77"):
        bad = with_overrides(configs[0], {"training.device": "cuda:77"})
        carried_on(train, toy_stamps, bad, rows=rows, out=tmp_path / "work")
