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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .calibration_methods import METHODS
from .errors import InputError, ModelError
from .metrics.counts import checked
from .metrics.probability import class_weights

__all__ = ["Calibration", "fit_calibration"]

_Array = NDArray[np.float64]


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
