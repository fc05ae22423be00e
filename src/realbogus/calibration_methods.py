"""The ways to calibrate: what is fitted, how it is applied, when it may be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .registry import Registry

__all__ = ["METHODS", "Method"]

_Array = NDArray[np.float64]
#: Logits of scores end here, about where those of float32 do.
_CLIP = 1e-7


@dataclass(frozen=True)
class Method:
    """One way to calibrate.

    Parameters
    ----------
    fit : callable
        From scores, labels (0.0 or 1.0) and weights, each (N,), to its parameters by name.
    apply : callable
        From scores in [0, 1] and the parameters to probabilities.
    valid : callable
        From the parameters to whether `apply` may be trusted with them: rising, within [0, 1].
    names : tuple of str
        What its parameters are called.
    """

    fit: Callable[[_Array, _Array, _Array], dict[str, _Array]]
    apply: Callable[[_Array, Mapping[str, _Array]], _Array]
    valid: Callable[[Mapping[str, _Array]], bool]
    names: tuple[str, ...]


#: The ways to calibrate, by name.
METHODS: Registry[Method] = Registry("method of calibration")


def _isotonic_fit(scores: _Array, labels: _Array, weights: _Array) -> dict[str, _Array]:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels, weights)
    # rounding may leave a knot a hair below the one before
    probability = np.maximum.accumulate(np.asarray(fitted.y_thresholds_, dtype=np.float64))
    return {"score": np.asarray(fitted.X_thresholds_, dtype=np.float64), "probability": probability}


def _isotonic_apply(scores: _Array, parameters: Mapping[str, _Array]) -> _Array:
    return np.interp(scores, parameters["score"], parameters["probability"])


def _isotonic_valid(parameters: Mapping[str, _Array]) -> bool:
    score, probability = parameters["score"], parameters["probability"]
    rising = len(score) == len(probability) and bool((np.diff(score) > 0).all() and (np.diff(probability) >= 0).all())
    return rising and bool(probability[0] >= 0.0 and probability[-1] <= 1.0)


def _logs(scores: _Array) -> tuple[_Array, _Array]:
    """Return ln s and -ln(1 - s), finite at 0 and 1."""
    inside = np.clip(scores, _CLIP, 1.0 - _CLIP)
    return np.log(inside), -np.log1p(-inside)


def _platt_features(scores: _Array) -> _Array:
    return np.add(*_logs(scores))[..., None]


def _beta_features(scores: _Array) -> _Array:
    return np.stack(_logs(scores), axis=-1)


def _logistic_method(features: Callable[[_Array], _Array], slopes: int) -> Method:
    """Return the method p = sigmoid(slopes . features(score) + offset); rising features, no negative slope."""

    def fit(scores: _Array, labels: _Array, weights: _Array) -> dict[str, _Array]:
        # Platt's targets: without them scores that part the classes cleanly have no finite fit. The few bogus that
        # may have been real are as rare as the weights make real: unweighted, odds are 1.
        real = labels.sum()
        bogus = len(labels) - real
        odds = float(weights[labels == 1.0].mean() / weights[labels == 0.0].mean())
        soft = np.where(labels == 1.0, (real + 1) / (real + 2), odds / (odds + bogus + 1))
        found = _logistic(features(scores), soft, weights)
        return {"slope": found[:-1], "offset": found[-1:]}

    def apply(scores: _Array, parameters: Mapping[str, _Array]) -> _Array:
        logits = features(scores) @ parameters["slope"] + parameters["offset"][0]
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))

    def valid(parameters: Mapping[str, _Array]) -> bool:
        slope = parameters["slope"]
        return len(slope) == slopes and len(parameters["offset"]) == 1 and bool((slope >= 0.0).all())

    return Method(fit, apply, valid, ("slope", "offset"))


def _logistic(features: _Array, targets: _Array, weights: _Array) -> _Array:
    """Return slopes (never negative) and offset of the weighted logistic regression."""
    from scipy.optimize import minimize

    inputs = np.column_stack([features, np.ones(len(features))])
    share = weights / weights.sum()

    def loss(coefficients: _Array) -> tuple[float, _Array]:
        logits = inputs @ coefficients
        value = np.sum(share * (np.logaddexp(0.0, logits) - targets * logits))
        return float(value), inputs.T @ (share * (0.5 * (1.0 + np.tanh(0.5 * logits)) - targets))

    count = features.shape[1]
    mean = float(np.sum(share * targets))
    start = np.array([1.0] * count + [math.log(mean / (1.0 - mean))])
    bounds = [(0.0, None)] * count + [(None, None)]
    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x, dtype=np.float64)


METHODS.register("isotonic")(Method(_isotonic_fit, _isotonic_apply, _isotonic_valid, ("score", "probability")))
METHODS.register("platt")(_logistic_method(_platt_features, 1))
METHODS.register("beta")(_logistic_method(_beta_features, 2))
