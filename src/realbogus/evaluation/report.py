"""Reports are made here: of a classifier on labelled stamps, or of scores that are already there."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
from ..metrics.counts import checked
from ..scoring import channel_indices
from ..stamps import StampSet
from .breakdown import break_down
from .intervals import intervals_of
from .probability import probability_of
from .result import PREVALENCE, SPECIFICITY
from .result import Report as Report  # the noun lives there; old imports find it here

__all__ = ["check_choices", "evaluate", "report_on"]

_BROKEN_DOWN = ("snr", "mag", "seeing", "fwhm", "kind")


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
        No stamps, no labels, labels of one class alone, a channel is missing, a pixel is not finite, a score is
        NaN, or as in `report_on`.

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
    card = classifier.card
    threshold = card.threshold if threshold is None else threshold
    check_choices(threshold=threshold, specificity=specificity, prevalence=prevalence, draws=draws)
    rows, left_out = _judged(stamps)
    # `select` would copy all channels of all rows at once
    channels = channel_indices(stamps.channels, card.channels)
    noise, fwhm = stamps.noise, stamps.fwhm
    parts = []
    for part in np.array_split(rows, -(-len(rows) // 4096)):
        pixels = stamps.pixels[part][:, channels]
        _check_pixels(pixels, stamps.catalogue["id"][part])
        parts.append(classifier.predict(pixels, noise=noise[part], fwhm=fwhm[part]))
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
        threshold=threshold,
        model=f"{card.name} {card.version}",
        ids=catalogue["id"],
        columns={name: catalogue[name] for name in _BROKEN_DOWN if name in catalogue.colnames},
        calibration=calibration,
        specificity=specificity,
        prevalence=prevalence,
        left_out=left_out,
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
        `score >= threshold` is real, both in float32, as a night calls it.
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
        Lengths differ, no scores, a score is NaN or outside [0, 1], a label is neither 0 nor 1, or the threshold,
        specificity, prevalence, draws or level are impossible.
    """
    check_choices(threshold=threshold, specificity=specificity, prevalence=prevalence, draws=draws)
    if not 0.0 < level < 1.0:
        raise InputError(f"level {level} is not in (0, 1): it is the share of the draws inside, 0.95 is usual")
    values = np.asarray(scores, dtype=np.float32)
    truth = checked(values, labels)[1].astype(np.int64)
    if not values.size:
        raise InputError("no scores to report on: the split or the set is empty")
    thresholds = {
        "asked": float(threshold),
        "crossing": precision_recall_crossing(values, truth),
        "recall 95 %": threshold_at_recall(values, truth, 0.95),
        f"specificity {100 * specificity:g} %": threshold_at_specificity(values, truth, specificity),
    }
    given = ({} if snr is None else {"snr": snr}) | dict(columns or {})
    both = 0 < int(truth.sum()) < len(truth)
    # scores are float32: 0.7 as a float64 would lie above the score 0.7
    known = {name: float(np.float32(value)) for name, value in thresholds.items() if math.isfinite(value)}
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
        breakdowns=break_down(values, truth, known["asked"], given),
        probability=probability_of(values, truth, calibration),
        probabilities=None if calibration is None else calibration(values),
        calibration=None if calibration is None else calibration.to_dict(),
        left_out=dict(left_out or {}),
    )  # fmt: skip


def check_choices(*, specificity: float, prevalence: float, draws: int, threshold: float = 0.5) -> None:
    """Refuse what no report can be made with, before any work.

    Parameters
    ----------
    specificity, prevalence, draws, threshold
        As in `report_on`.

    Raises
    ------
    InputError
        One of them is impossible.

    Examples
    --------
    >>> check_choices(specificity=0.99, prevalence=0.01, draws=-1)
    Traceback (most recent call last):
    ...
    realbogus.errors.InputError: draws -1: give the number of bootstrap draws, 1000 say, or 0 for no intervals
    """
    if not math.isfinite(threshold):
        raise InputError(f"threshold {threshold} is no number: scores lie in 0 to 1, give one between")
    if not 0.0 <= specificity <= 1.0:
        raise InputError(
            f"specificity {specificity} is not in [0, 1]: it is the share of bogus to turn away, the paper's is 0.9925"
        )
    if not 0.0 <= prevalence <= 1.0:
        raise InputError(
            f"prevalence {prevalence} is not in [0, 1]: it is the share of real among the survey's candidates, "
            "about 0.01 in the paper"
        )
    if draws < 0:
        raise InputError(f"draws {draws}: give the number of bootstrap draws, 1000 say, or 0 for no intervals")


def _judged(stamps: StampSet) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return the rows that count, some of either class, and how many do not, by the reason."""
    if not len(stamps):
        raise InputError("the set holds no stamps: an empty split or folder has nothing to evaluate on")
    labels = stamps.labels
    labelled = (labels == 0) | (labels == 1)
    if not labelled.any():
        raise InputError(f"none of {len(stamps)} stamps has a label: fill the column `label` (1 real, 0 bogus)")
    usable = stamps.usable
    rows = np.flatnonzero(labelled & usable)
    if not len(rows):
        raise InputError(f"none of {int(labelled.sum())} labelled stamps is usable: see the column `usable`")
    real = int((labels[rows] == 1).sum())
    if real in (0, len(rows)):
        raise InputError(
            f"all {len(rows)} labelled stamps are {'real' if real else 'bogus'}: a report compares real with bogus, "
            "so add stamps of the other class (scores of one class alone go to report_on)"
        )
    return rows, {"without a label": int((~labelled).sum()), "not usable": int((labelled & ~usable).sum())}


def _check_pixels(pixels: NDArray[np.float32], ids: ArrayLike) -> None:
    bad = np.flatnonzero(~np.isfinite(pixels).all(axis=(1, 2, 3)))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(pixels)} stamps hold NaN or infinite pixels, first {np.asarray(ids)[bad][0]}: cut "
            "them with `realbogus cut`, which fills such pixels, or mark them as not usable in the column `usable`"
        )
