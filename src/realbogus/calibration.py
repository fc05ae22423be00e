"""From scores to probabilities: fitted on labelled scores once, applied with NumPy alone.

Focal loss and the repetition of the real bend scores away from probabilities, each network
differently (paper, Tables 2 and 3). A calibration bends them back; it never changes the
order of two scores, at most it makes them equal.

Examples
--------
>>> rng = np.random.default_rng(0)
>>> chance = rng.random(4000)
>>> labels = rng.random(4000) < chance          # what is real with which probability
>>> calibration = fit_calibration(np.sqrt(chance), labels, method="beta")   # scores that say too much
>>> calibration(np.sqrt([0.1, 0.5, 0.9])).round(1)
array([0.1, 0.5, 0.9])
>>> Calibration.from_dict(calibration.to_dict()) == calibration
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, ModelError
from .metrics.counts import checked
from .metrics.probability import class_weights
from .registry import Registry

__all__ = ["METHODS", "Calibration", "Method", "fit_calibration"]

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


@dataclass(frozen=True)
class Calibration:
    """A rising function from scores to probabilities. Made by `fit_calibration`.

    Parameters
    ----------
    method : str
        A name in `METHODS`.
    parameters : mapping of str to tuple of float
        What the method fitted: knots `score` and `probability` (isotonic), or coefficients.
    prevalence : float or None
        Share of real that the probabilities are meant for; None is that of the labels.
    real, bogus : int
        How many labels of each kind it was fitted on.

    Raises
    ------
    InputError
        An unknown method, or parameters that are not the method's or not rising within [0, 1].
    """

    method: str
    parameters: Mapping[str, tuple[float, ...]]
    prevalence: float | None = None
    real: int = 0
    bogus: int = 0

    def __post_init__(self) -> None:
        method = METHODS.resolve(self.method)
        if set(self.parameters) != set(method.names):
            raise InputError(
                f"{self.method} calibration has the parameters {sorted(self.parameters)}, "
                f"expected {sorted(method.names)}"
            )
        arrays = {name: np.asarray(values, dtype=np.float64) for name, values in self.parameters.items()}
        if not all(a.ndim == 1 and len(a) and np.isfinite(a).all() for a in arrays.values()) or not method.valid(
            arrays
        ):
            raise InputError(
                f"the parameters of this {self.method} calibration do not make a rising function within [0, 1]: "
                "fit it again with fit_calibration"
            )

    def __call__(self, scores: ArrayLike) -> NDArray[Any]:
        """Return the probability of each score; a candidate without a score (NaN) has none.

        Parameters
        ----------
        scores : array_like of any shape
            In [0, 1].

        Returns
        -------
        ndarray of that shape
            In [0, 1], rising with the scores; float32 where the scores are, else float64.

        Raises
        ------
        InputError
            A score lies outside [0, 1].
        """
        given = np.asarray(scores)
        values = given.astype(np.float64)
        _within(values)
        parameters = {name: np.asarray(v, dtype=np.float64) for name, v in self.parameters.items()}
        found = METHODS.resolve(self.method).apply(values, parameters)
        return np.clip(found, 0.0, 1.0).astype(np.float32 if given.dtype == np.float32 else np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return values for JSON, for `Card.calibration`."""
        return {
            "method": self.method,
            "parameters": {name: list(values) for name, values in self.parameters.items()},
            "prevalence": self.prevalence,
            "real": self.real,
            "bogus": self.bogus,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote.

        Raises
        ------
        ModelError
            It is no calibration.
        """
        try:
            parameters = {str(k): tuple(float(x) for x in v) for k, v in values["parameters"].items()}
            prevalence = values.get("prevalence")
            return cls(
                method=str(values["method"]),
                parameters=parameters,
                prevalence=None if prevalence is None else float(prevalence),
                real=int(values.get("real", 0)),
                bogus=int(values.get("bogus", 0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # InputError is a ValueError
            raise ModelError(f"the calibration cannot be read ({error!r}): fit it again") from error


def fit_calibration(
    scores: ArrayLike, labels: ArrayLike, *, method: str = "isotonic", prevalence: float | None = None
) -> Calibration:
    r"""Fit a calibration on labelled scores; take scores that the model was not trained on.

    - `isotonic`: the rising steps of least squared error (Zadrozny & Elkan 2002). Needs many real.
    - `platt`: :math:`p = \sigma(a\,\mathrm{logit}\,s + b)`, a ≥ 0, with Platt's (1999) softened
      targets. Two numbers: for few real.
    - `beta`: :math:`p = \sigma(a \ln s - b \ln(1 - s) + c)`, a, b ≥ 0 (Kull et al. 2017).

    Parameters
    ----------
    scores : array_like, shape (N,)
        In [0, 1].
    labels : array_like of 0, 1 or bool, shape (N,)
        1 is real.
    method : {"isotonic", "platt", "beta"}
    prevalence : float, optional
        Share of real among the survey's own candidates, in (0, 1). The labels are weighted
        to it, so that probabilities hold for the survey; without, for the mixture of the labels.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        Lengths differ, NaN or a score outside [0, 1], a label that is neither 0 nor 1, one
        class alone, an impossible prevalence, or an unknown method.

    Examples
    --------
    >>> fit_calibration([0.1, 0.4, 0.3, 0.9], [0, 0, 1, 1])([0.1, 0.35, 0.9])
    array([0. , 0.5, 1. ])
    """
    way = METHODS.resolve(method)
    values, real = checked(scores, labels)
    _within(values)
    positives = int(real.sum())
    if positives in (0, len(real)):
        raise InputError(
            f"{positives} of {len(real)} labels are real: a calibration is fitted on real and bogus, hand in both"
        )
    found = way.fit(values, real.astype(np.float64), class_weights(real, prevalence))
    parameters = {name: tuple(found[name].tolist()) for name in way.names}
    return Calibration(method, parameters, prevalence, positives, len(real) - positives)


def _within(values: _Array) -> None:
    if np.any((values < 0.0) | (values > 1.0)):
        raise InputError(
            f"scores run from {np.nanmin(values):g} to {np.nanmax(values):g}: a calibration takes scores in [0, 1]"
        )


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
        # Platt's targets: without them scores that part the classes cleanly have no finite fit
        real = labels.sum()
        soft = np.where(labels == 1.0, (real + 1) / (real + 2), 1 / (len(labels) - real + 2))
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
