"""The calibration that goes into the card of what was trained: how its scores become probabilities."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibration import fit_calibration
from ..classifier import Classifier
from ..scoring import score_rows
from ..stamps import StampSet

__all__ = ["LEAST", "measure_calibration"]

#: Stamps of each class below which a calibration of three numbers would say little.
LEAST = 10

_LOG = logging.getLogger(__name__)


def measure_calibration(classifier: Classifier, stamps: StampSet, rows: NDArray[np.int64]) -> dict[str, Any] | None:
    """Score validation stamps and fit a beta calibration on them, for `Card.calibration`.

    The scores of a classifier stay as they are; whoever wants probabilities puts them through the
    calibration, as `Ensemble.of(..., calibrated=True)` and `evaluate` do.

    Parameters
    ----------
    classifier : Classifier
        What was trained.
    stamps : StampSet
        The stamps.
    rows : ndarray of int, shape (N,)
        Labelled rows that it was not trained on.

    Returns
    -------
    dict or None
        What `Calibration.from_dict` reads; None where there are fewer than `LEAST` of a class.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from realbogus.classifier import Card
    >>> from realbogus.model import Model
    >>> catalogue = Table({"id": range(8), "noise": [1.0] * 8, "fwhm": [3.0] * 8, "label": [0, 1] * 4})
    >>> stamps = StampSet(np.zeros((8, 1, 64, 64), "float32"), catalogue)
    >>> model = Model.create(Card(name="toy", architecture="compact"))
    >>> measure_calibration(model, stamps, np.arange(8)) is None
    True
    """
    labels = stamps.labels[rows]
    real, bogus = int((labels == 1).sum()), int((labels == 0).sum())
    if min(real, bogus) < LEAST:
        _LOG.info(
            "no calibration: the validation side holds %d real and %d bogus, %d of each are needed", real, bogus, LEAST
        )
        return None
    return fit_calibration(score_rows(classifier, stamps, rows), labels, method="beta").to_dict()
