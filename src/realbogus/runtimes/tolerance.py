"""How much an export, or a student, may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["GATED", "STUDENT", "TOLERANCES", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """How much may change.

    Parameters
    ----------
    score : float or None
        Largest change of a score; None is any.
    auc : float
        Largest change of the AUC, up or down; down alone where `gain` is true.
    flips : float
        Largest share of stamps whose verdict at the threshold changes.
    gain : bool
        Whether the AUC may rise by any amount, as a student's may.
    missed : float or None
        Largest share of the real that may be missed at the threshold in addition, rounded down; None is any.
    """

    score: float | None
    auc: float
    flips: float
    gain: bool = False
    missed: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return values for JSON; `missed` where there is one, which readers before it do not know."""
        return {name: value for name, value in asdict(self).items() if name != "missed" or value is not None}


#: What each precision may change; that of f32 is rounding, that of the others the promise of the bundle.
TOLERANCES: Mapping[str, Tolerance] = {
    "f32": Tolerance(1e-4, 1e-5, 1e-3),
    "bf16": Tolerance(None, 5e-4, 1e-3),
    "int8": Tolerance(None, 5e-4, 1e-3),
}

#: What a gate may change besides what the precision does: what it sends away has its score, not the model's. Where
#: real are rare, verdicts that flip would not tell of those that it loses.
GATED = Tolerance(None, 5e-4, 1e-3, missed=5e-3)

#: What a student may lose of its teacher's AUC; its scores are its own.
STUDENT = Tolerance(None, 1e-3, 1.0, gain=True)
