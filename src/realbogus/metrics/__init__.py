"""Numbers that say how well scores tell real from bogus. NumPy only.

Throughout, `labels` hold 1 for real and 0 for bogus, `scores` lie on any scale that
grows with "real", and a candidate is called real when ``score >= threshold``. A ratio
whose denominator is zero is ``nan``: it says "cannot be known", where 0 would say
"bad". A candidate without a score (NaN) has to be left out or filled in by the
caller, who alone knows which is fair.

Examples
--------
The 5,000 candidates of the paper (section 4.3), threshold at precision = recall:

>>> from realbogus.metrics import Confusion
>>> paper = Confusion(tp=68, fp=9, fn=6, tn=4917)
>>> print(f"{paper.precision:.2%} {paper.recall:.2%} {paper.specificity:.2%}")
88.31% 91.89% 99.82%
"""

from __future__ import annotations

from .counts import Confusion, confusion
from .curves import (
    OperatingPoints,
    average_precision,
    operating_points,
    precision_recall_crossing,
    recall_at_false_positive_rate,
    roc_auc,
    threshold_at_recall,
)
from .interval import bootstrap_interval, percentile_interval, wilson_interval
from .probability import Reliability, brier, class_weights, expected_calibration_error, reliability
from .resample import Resamples, resample
from .specificity import (
    SPECIFICITY,
    missed_at_specificity,
    purity_at_prevalence,
    recall_at_specificity,
    threshold_at_specificity,
)

__all__ = [
    "SPECIFICITY",
    "Confusion",
    "OperatingPoints",
    "Reliability",
    "Resamples",
    "average_precision",
    "bootstrap_interval",
    "brier",
    "class_weights",
    "confusion",
    "expected_calibration_error",
    "missed_at_specificity",
    "operating_points",
    "percentile_interval",
    "precision_recall_crossing",
    "purity_at_prevalence",
    "recall_at_false_positive_rate",
    "recall_at_specificity",
    "reliability",
    "resample",
    "roc_auc",
    "threshold_at_recall",
    "threshold_at_specificity",
    "wilson_interval",
]
