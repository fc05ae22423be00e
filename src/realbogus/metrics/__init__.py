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

__all__ = [
    "Confusion",
    "OperatingPoints",
    "average_precision",
    "confusion",
    "operating_points",
    "precision_recall_crossing",
    "recall_at_false_positive_rate",
    "roc_auc",
    "threshold_at_recall",
]
