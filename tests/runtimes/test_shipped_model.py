"""The model in the package: small, described, and what its card says it is."""

from pathlib import Path

import numpy as np

from realbogus.config import Config, build, load_config
from realbogus.dataset.assemble import simulate_stamps
from realbogus.metrics import roc_auc
from realbogus.runtimes import default_model, load_classifier

RECIPE = Path(__file__).resolve().parents[2] / "configs" / "default.toml"


def test_it_is_small_and_its_card_says_how_it_was_made():
    card = load_classifier(default_model()).card
    assert default_model().stat().st_size <= 5_000_000
    # keys that came after it was made have their defaults
    assert build(Config, card.config) == load_config(RECIPE)
    assert card.data["preset"] == "varied" and card.data["seed"] == 2026 and card.data["pairs"] >= 1000
    assert {"auc", "recall", "specificity", "stamps", "data"} <= set(card.metrics)
    assert 0.3 < card.threshold < 0.95 and card.channels == ("difference",)


def test_it_tells_real_from_bogus_on_telescopes_it_was_not_trained_on():
    stamps = simulate_stamps("varied", 8, seed=99, size=300, channels=("difference",))
    classifier = load_classifier(default_model())
    scores = classifier.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)
    assert roc_auc(scores, stamps.labels == 1) > 0.95
    again = classifier.predict(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm)
    np.testing.assert_array_equal(scores, again)
