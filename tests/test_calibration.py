"""Calibrations against scikit-learn's regressions, and what they promise: rising, within [0, 1], plain JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from realbogus import metrics
from realbogus.calibration import Calibration, fit_calibration
from realbogus.calibration_methods import METHODS
from realbogus.errors import InputError, ModelError, UnknownNameError

GRID = np.linspace(0, 1, 501)


def bent(count: int, seed: int = 0, share: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Scores that say far too much, as focal loss and repetition make them."""
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < share
    chance = 1 / (1 + np.exp(-(rng.normal(4.0 * labels - 2.0, 1.3) + np.log(share / (1 - share)))))
    return chance**0.4, labels


def soft_logistic(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> LogisticRegression:
    """Scikit-learn's regression on Platt's targets: every row once as real and once as bogus, by its target."""
    real = labels.sum()
    weights = np.ones(len(labels)) if weights is None else weights
    rarer = weights[~labels].mean() / weights[labels].mean()  # how much rarer real are than among the labels
    target = np.where(labels, (real + 1) / (real + 2), 1 / (rarer * ((~labels).sum() + 1) + 1))
    double = LogisticRegression(C=1e12, tol=1e-10, max_iter=5000)
    return double.fit(
        np.concatenate([features, features]),
        np.repeat([1, 0], len(labels)),
        np.concatenate([weights * target, weights * (1 - target)]),
    )


def test_isotonic_is_sklearns():
    scores, labels = bent(2000)
    calibration = fit_calibration(scores, labels)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, labels)
    np.testing.assert_allclose(calibration(GRID), fitted.predict(GRID), atol=1e-12)
    assert (calibration.real, calibration.bogus) == (labels.sum(), (~labels).sum())


@pytest.mark.parametrize("prevalence", [None, 0.01])
def test_platt_is_the_logistic_regression_of_the_logit(prevalence):
    scores, labels = bent(1500)
    logit = np.log(scores / (1 - scores))[:, None]
    truth = soft_logistic(logit, labels, metrics.class_weights(labels, prevalence))
    ours = fit_calibration(scores, labels, method="platt", prevalence=prevalence)
    np.testing.assert_allclose(ours(scores), truth.predict_proba(logit)[:, 1], atol=2e-4)


def test_beta_is_the_logistic_regression_of_both_logarithms():
    scores, labels = bent(1500)
    features = np.stack([np.log(scores), -np.log1p(-scores)], axis=1)
    truth = soft_logistic(features, labels)
    assert (truth.coef_ > 0).all()
    ours = fit_calibration(scores, labels, method="beta")
    np.testing.assert_allclose(ours(scores), truth.predict_proba(features)[:, 1], atol=2e-4)


@pytest.mark.parametrize("method", list(METHODS))
def test_it_makes_probabilities_of_bent_scores(method):
    calibration = fit_calibration(*bent(6000, seed=1), method=method)
    scores, labels = bent(6000, seed=2)
    before = metrics.expected_calibration_error(scores, labels)
    after = metrics.expected_calibration_error(calibration(scores), labels)
    assert before > 0.2
    assert after < 0.03
    assert metrics.brier(calibration(scores), labels) < 0.6 * metrics.brier(scores, labels)


@pytest.mark.parametrize("method", list(METHODS))
def test_with_a_prevalence_it_speaks_of_the_survey(method):
    calibration = fit_calibration(*bent(20000, seed=1), method=method, prevalence=0.01)
    scores, labels = bent(60000, seed=2, share=0.15)
    weights = metrics.class_weights(labels, 0.01)
    said = np.average(calibration(scores), weights=weights)
    assert said == pytest.approx(0.01, rel=0.15)
    assert metrics.expected_calibration_error(calibration(scores), labels, prevalence=0.01) < 0.005
    assert np.mean(calibration(scores)) < 0.6 * labels.mean()
    assert calibration.prevalence == 0.01


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("prevalence", [0.01, 1e-4])
def test_a_prevalence_far_below_one_in_the_labels_is_kept(method, prevalence):
    """Targets softened by the number of bogus alone count each of them as 1 / (N + 2) real, which may be far more."""
    scores, labels = bent(600, seed=1)
    calibration = fit_calibration(scores, labels, method=method, prevalence=prevalence)
    said = np.average(calibration(scores), weights=metrics.class_weights(labels, prevalence))
    assert said == pytest.approx(prevalence, rel=0.02)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("scores", [[0.0, 0.0, 1.0, 1.0], [1.0, 0.9, 0.1, 0.0], [0.5, 0.5, 0.5, 0.5]])
def test_extremes_rise_and_stay_within(method, scores):
    """Scores that part the classes cleanly, the wrong way, or not at all."""
    calibration = fit_calibration(scores, [0, 0, 1, 1], method=method)
    found = calibration(GRID)
    assert np.all(np.diff(found) >= 0)
    assert np.all((found >= 0) & (found <= 1))
    mean = {(0.5, 0.5): 0.5}.get((scores[0], scores[-1]))
    if mean is not None:
        assert found[250] == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize("method", list(METHODS))
def test_json_and_types(method):
    calibration = fit_calibration(*bent(300), method=method, prevalence=0.02)
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict(), allow_nan=False)))
    assert again == calibration
    np.testing.assert_array_equal(again(GRID), calibration(GRID))
    assert calibration(GRID.astype(np.float32)).dtype == np.float32
    assert calibration([[0.1, 0.2], [0.3, 0.4]]).shape == (2, 2)
    assert np.isnan(calibration([0.5, np.nan])).tolist() == [False, True]


@pytest.mark.parametrize(
    ("scores", "labels", "options", "words"),
    [
        ([0.1, 0.2], [0, 0], {}, "0 of 2 labels are real"),
        ([0.1, 0.2], [1, 1], {}, "2 of 2 labels are real"),
        ([], [], {}, "0 of 0 labels"),
        ([0.1, np.nan], [0, 1], {}, "1 of 2 scores are NaN"),
        ([0.1, 1.2], [0, 1], {}, "0.1 to 1.2"),
        ([0.1, 0.2], [0, 2], {}, "labels must be 0"),
        ([0.1, 0.2], [0, 1], {"prevalence": 0.0}, "prevalence 0.0"),
        ([0.1, 0.2], [0, 1], {"method": "spline"}, "unknown method of calibration 'spline': known are beta, isotonic"),
    ],
)
def test_bad_input_is_named(scores, labels, options, words):
    with pytest.raises(InputError, match=words):
        fit_calibration(scores, labels, **options)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "spline"},
        {"parameters": None},
        {"parameters": {"score": [0.1, 0.5]}},
        {"parameters": {"score": [0.1, 0.5], "probability": [0.9, 0.2]}},
        {"parameters": {"score": [0.1, 0.5], "probability": [0.2, 1.9]}},
        {"parameters": {"score": [0.5, 0.1], "probability": [0.2, 0.9]}},
        {"parameters": {"score": [0.1, float("nan")], "probability": [0.2, 0.9]}},
        {"method": "platt", "parameters": {"slope": [-1.0], "offset": [0.0]}},
        {"method": "beta", "parameters": {"slope": [1.0], "offset": [0.0]}},
    ],
)
def test_a_damaged_calibration_is_refused(change):
    values = fit_calibration([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1]).to_dict() | change
    with pytest.raises(ModelError, match="fit it again"):
        Calibration.from_dict(values)
    with pytest.raises(ModelError):
        Calibration.from_dict({})


def test_scores_outside_and_unknown_methods():
    calibration = fit_calibration([0.1, 0.9], [0, 1])
    with pytest.raises(InputError, match=r"-0\.5 to 0\.3"):
        calibration([-0.5, 0.3])
    with pytest.raises(UnknownNameError):
        Calibration("spline", {})


def test_applying_needs_numpy_alone():
    code = """
import sys
from realbogus.calibration import Calibration
found = Calibration("isotonic", {"score": (0.2, 0.8), "probability": (0.0, 1.0)})
assert abs(found([0.5])[0] - 0.5) < 1e-12
assert not {"scipy", "sklearn", "torch"} & set(sys.modules), set(sys.modules)
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr
