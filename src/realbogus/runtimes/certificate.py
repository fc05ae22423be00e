"""The parity certificate: what changed on held-out stamps when a model was made quicker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, ModelError, ParityError
from ..files import plain
from ..metrics import SPECIFICITY, missed_at_specificity, roc_auc
from ..processes import processor_name
from ..scoring import verdicts
from ..stamps import StampSet
from .tolerance import TOLERANCES, Tolerance

__all__ = ["Certificate", "certify", "data_hash", "held_out_rows", "pixel_hashes"]


@dataclass(frozen=True)
class Certificate:
    """What was measured, before (the model) and after (what is deployed), on the same held-out stamps.

    Parameters
    ----------
    precision, arithmetic, processor : str
        What was asked for, in what the measurement was done, and where.
    stamps, real, bogus : int
        Held-out stamps.
    data : str
        `data_hash` of them: who has the stamps can tell whether these are they. Empty where it was not handed in.
    threshold, threshold_after : float
        `score >= threshold` is real, before and after.
    largest_change, mean_change : float
        Of a score.
    auc_before, auc_after : float
    missed_before, missed_after : int
        Real below the threshold.
    specificity : float
        Where `fixed_before` and `fixed_after` were counted.
    fixed_before, fixed_after : int
        Real missed at the best threshold that keeps the specificity.
    flips : int
        Stamps whose verdict at the threshold changed.
    tolerance : mapping
        A `Tolerance` as values.
    """

    precision: str
    arithmetic: str
    processor: str
    stamps: int
    real: int
    bogus: int
    data: str
    threshold: float
    threshold_after: float
    largest_change: float
    mean_change: float
    auc_before: float
    auc_after: float
    missed_before: int
    missed_after: int
    specificity: float
    fixed_before: int
    fixed_after: int
    flips: int
    tolerance: Mapping[str, Any]

    def complaints(self) -> list[str]:
        """Return what lies beyond the tolerance; nothing where all is well."""
        limit = Tolerance(**self.tolerance)
        wrong = []
        if limit.score is not None and not self.largest_change <= limit.score:
            wrong.append(f"a score changes by {self.largest_change:.2e}, more than {limit.score:.0e}")
        lost = self.auc_before - self.auc_after
        change = lost if limit.gain else abs(lost)
        if not change <= limit.auc:
            wrong.append(
                f"the AUC {'falls' if limit.gain else 'changes'} by {change:.6f} "
                f"({self.auc_before:.6f} to {self.auc_after:.6f}), more than {limit.auc:g}"
            )
        more = self.missed_after - self.missed_before
        if limit.missed is not None and more > int(limit.missed * self.real):
            wrong.append(f"{more} more of {self.real} real are missed, more than {limit.missed:.1%}")
        if self.flips > limit.flips * self.stamps:
            few = (
                f"; to tell {limit.flips:.1%} takes {1 / limit.flips:.0f}" if 0 < self.stamps * limit.flips < 1 else ""
            )
            wrong.append(f"{self.flips} of {self.stamps} verdicts flip, more than {limit.flips:.1%}{few}")
        return wrong

    def check(self, name: str) -> None:
        """Refuse what lies beyond the tolerance.

        Raises
        ------
        ParityError
            It does.
        """
        if wrong := self.complaints():
            raise ParityError(
                f"{name} in {self.precision} does not reproduce its model: {'; '.join(wrong)}. Nothing was written: "
                "take a more exact precision, or calibration stamps that are like those of the survey"
            )

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the lines of a table: what, before, after, change; the last with its limit, where it has one."""
        limit = Tolerance(**self.tolerance)
        most = "" if limit.score is None else f" (limit {limit.score:.0e})"
        share = self.flips / self.stamps
        return [
            ("AUC", f"{self.auc_before:.6f}", f"{self.auc_after:.6f}",
             f"{self.auc_after - self.auc_before:+.6f} (limit {limit.auc:g})"),
            (f"real missed at the threshold ({self.threshold:.3f})", str(self.missed_before), str(self.missed_after),
             f"{self.missed_after - self.missed_before:+d}"
             + ("" if limit.missed is None else f" (limit {int(limit.missed * self.real)})")),
            (f"real missed at specificity {100 * self.specificity:g} %", str(self.fixed_before), str(self.fixed_after),
             f"{self.fixed_after - self.fixed_before:+d}"),
            ("largest change of a score", "", "", f"{self.largest_change:.2e}{most}"),
            ("mean change of a score", "", "", f"{self.mean_change:.2e}"),
            ("verdicts that flip", "", "", f"{self.flips}, {share:.3%} (limit {limit.flips:.1%})"),
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return values for JSON."""
        return dict(plain(asdict(self)))

    @classmethod
    def from_dict(cls, values: Any) -> Certificate:
        """Read what `to_dict` wrote.

        Raises
        ------
        ModelError
            It is no certificate.
        """
        names = [entry.name for entry in fields(cls)]
        if not isinstance(values, dict) or sorted(values) != sorted(names) or not isinstance(values["tolerance"], dict):
            raise ModelError("the certificate cannot be read: the bundle is damaged or of another version")
        try:
            Tolerance(**values["tolerance"])
        except TypeError as error:
            raise ModelError(
                f"the certificate cannot be read ({error}): it is damaged or of another version"
            ) from error
        return cls(**values)


def certify(
    before: ArrayLike,
    after: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float,
    precision: str,
    threshold_after: float | None = None,
    arithmetic: str = "f32",
    tolerance: Tolerance | None = None,
    data: str = "",
) -> Certificate:
    """Compare scores before and after.

    Parameters
    ----------
    before, after : array_like, shape (N,)
        Scores of the same stamps.
    labels : array_like of 0 and 1, shape (N,)
        Both must occur.
    threshold, threshold_after : float
        `score >= threshold` is real; the same after as before where absent.
    precision, arithmetic : str
        As `Certificate` has them.
    tolerance : Tolerance, optional
        That of the precision where absent.
    data : str
        `data_hash` of the stamps.

    Raises
    ------
    InputError
        Lengths differ, scores are not finite, or a class is missing.

    Examples
    --------
    >>> seen = certify([0.9, 0.4, 0.2, 0.1], [0.9, 0.5, 0.2, 0.1], [1, 1, 0, 0], threshold=0.5, precision="int8")
    >>> seen.flips, seen.missed_before, seen.missed_after, seen.auc_after
    (1, 1, 0, 1.0)
    >>> seen.complaints()
    ['1 of 4 verdicts flip, more than 0.1%; to tell 0.1% takes 1000']
    """
    one, two = (np.asarray(scores, dtype=np.float64) for scores in (before, after))
    real = np.asarray(labels) == 1
    if not one.shape == two.shape == real.shape or one.ndim != 1:
        raise InputError(f"scores of shapes {one.shape} and {two.shape} with labels of shape {real.shape}")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise InputError("scores that are not finite cannot be compared: look at the held-out stamps' pixels")
    if not 0 < real.sum() < len(real):
        raise InputError(
            f"{int(real.sum())} real and {int((~real).sum())} bogus held-out stamps: a certificate needs both"
        )
    change = np.abs(two - one)
    then = threshold if threshold_after is None else threshold_after
    called = verdicts(one, threshold), verdicts(two, then)
    return Certificate(
        precision=precision,
        arithmetic=arithmetic,
        processor=processor_name(),
        stamps=len(real),
        real=int(real.sum()),
        bogus=int((~real).sum()),
        data=data,
        threshold=float(threshold),
        threshold_after=float(then),
        largest_change=float(change.max()),
        mean_change=float(change.mean()),
        auc_before=float(roc_auc(one, real)),
        auc_after=float(roc_auc(two, real)),
        missed_before=int((real & ~called[0]).sum()),
        missed_after=int((real & ~called[1]).sum()),
        specificity=SPECIFICITY,
        fixed_before=missed_at_specificity(one, real, SPECIFICITY),
        fixed_after=missed_at_specificity(two, real, SPECIFICITY),
        flips=int((called[0] != called[1]).sum()),
        tolerance=(tolerance or TOLERANCES[precision]).to_dict(),
    )


def held_out_rows(stamps: StampSet) -> NDArray[np.int64]:
    """Return the rows that can be held against a model: labelled real or bogus, and usable.

    Raises
    ------
    InputError
        One of the classes is missing.
    """
    rows = np.flatnonzero(np.isin(stamps.labels, (0, 1)) & stamps.usable)
    if len(np.unique(stamps.labels[rows])) < 2:
        raise InputError(
            f"{len(rows)} of {len(stamps)} held-out stamps are labelled, and not both real and bogus: "
            "a certificate needs labels of both (column `label`)"
        )
    return rows


def data_hash(stamps: StampSet, rows: NDArray[np.int64]) -> str:
    """Return a hash of stamps: their identifiers and labels, and every pixel of some hundred of them.

    Scores have no part in it: they differ in the last bit from one processor to the next.
    """
    digest = hashlib.sha256()
    for name, label in zip(stamps.catalogue["id"][rows], stamps.labels[rows], strict=True):
        digest.update(f"{name}\0{label}\0".encode())
    for row in rows[:: max(1, len(rows) // 256)]:
        digest.update(np.ascontiguousarray(stamps.pixels[row], dtype="<f4").tobytes())
    return digest.hexdigest()


def pixel_hashes(stamps: StampSet) -> set[bytes]:
    """Return a hash of each stamp's pixels: the same stamp under another name or label is the same."""
    return {
        hashlib.blake2b(np.ascontiguousarray(pixels, dtype="<f4").tobytes(), digest_size=16).digest()
        for pixels in stamps.pixels
    }
