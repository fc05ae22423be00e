"""Reports are made here: of a classifier on labelled stamps, or of scores that are already there."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import Calibration
from ..classifier import Classifier
from ..errors import InputError
from ..metrics import (
    average_precision,
    confusion,
    missed_at_specificity,
    precision_recall_crossing,
    recall_at_false_positive_rate,
    roc_auc,
    threshold_at_recall,
    threshold_at_specificity,
)
from ..scoring import channel_indices
from ..stamps import StampSet
from .breakdown import break_down
from .intervals import intervals_of
from .probability import probability_of
from .result import PREVALENCE, SPECIFICITY
from .result import Report as Report  # the noun lives there; old imports find it here

__all__ = ["evaluate", "report_on"]


def evaluate(
    classifier: Classifier,
    stamps: StampSet,
    threshold: float | None = None,
    *,
    calibration: Calibration | None = None,
    specificity: float = SPECIFICITY,
    prevalence: float = PREVALENCE,
    rng: np.random.Generator | None = None,
    draws: int = 1000,
) -> Report:
    """Score labelled stamps and report; stamps to ignore, without a label or not usable are left out.

    Parameters
    ----------
    classifier : Classifier
        A model, an ensemble or a runtime.
    stamps : StampSet
        With the column `label`, and the channels that the classifier takes. The columns `snr`, `mag`,
        `seeing` and `kind` are broken down by where they are there; rows with `usable` false are
        left out, and counted.
    threshold : float, optional
        The card's where absent.
    calibration : Calibration, optional
        Fitted on other stamps, those of validation say. The card's where absent, if it has one.
    specificity, prevalence, rng, draws
        As in `report_on`.

    Raises
    ------
    InputError
        No labels, a channel is missing, or a score is NaN.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from realbogus.classifier import Card
    >>> class Peak:
    ...     card = Card(name="peak", architecture="none", threshold=0.5)
    ...     def predict(self, pixels, *, noise=None, fwhm=None):
    ...         return np.clip(pixels[:, 0, 32, 32] / 10, 0, 1)
    >>> pixels = np.zeros((4, 1, 64, 64), "float32")
    >>> pixels[2:, 0, 32, 32] = 8.0
    >>> rows = Table({"id": list("abcd"), "noise": [1.0] * 4, "fwhm": [3.0] * 4, "label": [0, 0, 1, 1]})
    >>> evaluate(Peak(), StampSet(pixels, rows)).counts["asked"]
    Confusion(tp=2, fp=0, fn=0, tn=2)
    """
    card, names = classifier.card, stamps.catalogue.colnames
    labelled = (stamps.labels == 0) | (stamps.labels == 1)
    if not labelled.any():
        raise InputError(f"none of {len(stamps)} stamps has a label: fill the column `label` (1 real, 0 bogus)")
    usable = np.ones(len(stamps), dtype=bool)
    if "usable" in names:
        usable = np.asarray(np.ma.filled(np.ma.array(stamps.catalogue["usable"]), False), dtype=bool)
    rows = np.flatnonzero(labelled & usable)
    if not len(rows):
        raise InputError(f"none of {int(labelled.sum())} labelled stamps is usable: see the column `usable`")
    # `select` would copy all channels of all rows at once
    channels = channel_indices(stamps.channels, card.channels)
    noise, fwhm = stamps.noise, stamps.fwhm
    parts = [
        classifier.predict(stamps.pixels[part][:, channels], noise=noise[part], fwhm=fwhm[part])
        for part in np.array_split(rows, -(-len(rows) // 4096))
    ]
    catalogue, scores = stamps.catalogue[rows], np.concatenate(parts)
    bad = np.isnan(scores)
    if bad.any():
        raise InputError(
            f"{card.name} gave {int(bad.sum())} of {len(rows)} stamps the score NaN, first {catalogue['id'][bad][0]}: "
            "look for NaN pixels, and mark such stamps as not usable"
        )
    if calibration is None and card.calibration is not None:
        calibration = Calibration.from_dict(card.calibration)
    return report_on(
        scores,
        stamps.labels[rows],
        threshold=card.threshold if threshold is None else threshold,
        model=f"{card.name} {card.version}",
        ids=catalogue["id"],
        columns={name: catalogue[name] for name in ("snr", "mag", "seeing", "fwhm", "kind") if name in names},
        calibration=calibration,
        specificity=specificity,
        prevalence=prevalence,
        left_out={"without a label": int((~labelled).sum()), "not usable": int((labelled & ~usable).sum())},
        rng=rng,
        draws=draws,
    )


def report_on(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float = 0.5,
    model: str = "scores",
    ids: ArrayLike | None = None,
    snr: ArrayLike | None = None,
    columns: Mapping[str, ArrayLike] | None = None,
    calibration: Calibration | None = None,
    specificity: float = SPECIFICITY,
    prevalence: float = PREVALENCE,
    left_out: Mapping[str, int] | None = None,
    rng: np.random.Generator | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Report:
    """Report on scores that are already there.

    Parameters
    ----------
    scores, labels : array_like, shape (N,)
        In [0, 1]; 1 real, 0 bogus.
    threshold : float
        `score >= threshold` is real.
    model : str
        Where the scores come from.
    ids : array_like, shape (N,), optional
        The stamps; their row numbers where absent.
    snr : array_like, shape (N,), optional
        The same as `columns={"snr": snr}`.
    columns : mapping of str to array_like, shape (N,), optional
        `snr`, `mag`, `seeing` (arcsec), `fwhm` (pixels), `kind`: what to break the counts down by.
    calibration : Calibration, optional
        Fitted on other stamps; probabilities are then judged before and after it.
    specificity : float
        Where missed real are counted.
    prevalence : float
        Share of real among the survey's own candidates, for the purity there.
    left_out : mapping of str to int, optional
        What does not count, by the reason; it is only passed on.
    rng : numpy.random.Generator, optional
        For the bootstrap; a fresh one of seed 0 where absent.
    draws : int
        Bootstrap draws; 0 for no intervals.
    level : float
        Of the intervals.

    Raises
    ------
    InputError
        Lengths differ, no scores, a score is NaN or outside [0, 1], or a label is neither 0 nor 1.
    """
    values = np.asarray(scores, dtype=np.float32)
    truth = np.asarray(labels, dtype=np.int64)
    if not values.size:
        raise InputError("no scores to report on: the split or the set is empty")
    thresholds = {
        "asked": float(threshold),
        "crossing": precision_recall_crossing(values, truth),
        "recall 95 %": threshold_at_recall(values, truth, 0.95),
        f"specificity {100 * specificity:g} %": threshold_at_specificity(values, truth, specificity),
    }
    both = 0 < int(truth.sum()) < len(truth)
    known = {name: value for name, value in thresholds.items() if math.isfinite(value)}
    generator = np.random.default_rng(0) if rng is None else rng
    return Report(
        model=model,
        threshold=float(threshold),
        ids=np.asarray(np.arange(len(values)) if ids is None else ids).astype(str),
        labels=truth,
        scores=values,
        auc=roc_auc(values, truth),
        average_precision=average_precision(values, truth),
        thresholds=thresholds,
        counts={name: confusion(values, truth, value) for name, value in known.items()},
        recall_at_fpr={rate: recall_at_false_positive_rate(values, truth, rate) for rate in (0.001, 0.01, 0.03)},
        specificity=specificity,
        missed=missed_at_specificity(values, truth, specificity) if both else None,
        prevalence=prevalence,
        intervals=intervals_of(values, truth, known, specificity=specificity, prevalence=prevalence,
                               rng=generator, draws=draws, level=level),
        level=level,
        breakdowns=break_down(values, truth, threshold, ({} if snr is None else {"snr": snr}) | dict(columns or {})),
        probability=probability_of(values, truth, calibration),
        probabilities=None if calibration is None else calibration(values),
        calibration=None if calibration is None else calibration.to_dict(),
        left_out=dict(left_out or {}),
    )  # fmt: skip
