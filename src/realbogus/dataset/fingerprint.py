"""What a benchmark set must look like, to know it again on another machine.

Floating point differs in its last digits between machines, and a detection at the very threshold may come or
go. So two things are kept: a `sha256` that says "the same to the rounding", and counts and medians that hold
everywhere within a tolerance.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..stamps import StampSet

__all__ = ["differences", "fingerprint", "recorded"]

_ROUNDED = {"x": 1, "y": 1, "snr": 1, "mag": 2, "seeing": 2}  # decimals
_SAMPLED = 64  # stamps whose middle goes into the hash
_COUNT_TOLERANCE = 0.02  # relative, and 2 rows
_MEDIAN_TOLERANCE = 0.02  # relative, around the values two places to either side of the median


def fingerprint(stamps: StampSet) -> dict[str, Any]:
    """Describe a labelled set in a few numbers.

    Parameters
    ----------
    stamps : StampSet
        With the columns of `benchmark_stamps`.

    Returns
    -------
    dict
        `rows`, `real`, `bogus`, `kinds` (rows of each kind), `real_sources`, `fields`, `frames`, `medians`
        (S/N of reals and bogus, mag, seeing, noise), `around` (the values two places below and above each
        median) and `sha256` (of rounded catalogue values and of the middle of sampled stamps in tenths of
        their noise).

    Examples
    --------
    >>> from astropy.table import Table
    >>> rows = Table({"id": ["a", "b"], "noise": [1.0, 1.0], "fwhm": [3.0, 3.0], "label": [1, 0], "snr": [9.0, 6.0],
    ...     "kind": ["variable", "hot"], "source": ["v", "p"], "field": ["f", "f"], "frame": ["f1", "f2"],
    ...     "x": [40.0, 50.0], "y": [40.0, 50.0], "mag": [18.0, 19.0], "seeing": [2.5, 2.5]})
    >>> found = fingerprint(StampSet(np.zeros((2, 1, 64, 64), "float32"), rows))
    >>> found["kinds"], found["medians"]["real_snr"], len(found["sha256"])
    ({'hot': 1, 'variable': 1}, 9.0, 64)
    """
    rows, labels = stamps.catalogue, stamps.labels
    real = labels == 1
    names, counts = np.unique(np.asarray(rows["kind"]).astype(str), return_counts=True)
    snr = np.abs(np.asarray(rows["snr"], dtype=float))
    asked = {"real_snr": snr[real], "bogus_snr": snr[~real]}
    asked |= {name: np.asarray(rows[name], dtype=float) for name in ("mag", "seeing", "noise")}
    return {
        "rows": len(stamps),
        "real": int(real.sum()),
        "bogus": int((labels == 0).sum()),
        "kinds": {str(name): int(count) for name, count in zip(names, counts, strict=True)},
        "real_sources": len(np.unique(np.asarray(rows["source"])[real])),
        "fields": len(np.unique(np.asarray(rows["field"]))),
        "frames": len(np.unique(np.asarray(rows["frame"]))),
        "medians": {name: _median(values) for name, values in asked.items()},
        "around": {name: _around(values) for name, values in asked.items()},
        "sha256": _sha256(stamps),
    }


def _median(values: NDArray[np.floating]) -> float | None:
    return round(float(np.median(values)), 4) if len(values) else None


def _around(values: NDArray[np.floating]) -> list[float]:
    """Return the values two places below and above the median: as far as two rows in place of others move it."""
    if not len(values):
        return []
    rising, middle = np.sort(values), (len(values) - 1) / 2
    places = (max(int(middle) - 2, 0), min(int(np.ceil(middle)) + 2, len(values) - 1))
    return [round(float(rising[place]), 4) for place in places]


def _sha256(stamps: StampSet) -> str:
    digest = hashlib.sha256()
    rows = stamps.catalogue
    for name in ("id", "kind", "label"):
        digest.update("\n".join(str(value) for value in rows[name]).encode())
    for name, decimals in _ROUNDED.items():
        units = np.rint(np.asarray(rows[name], dtype=float) * 10**decimals)
        digest.update(units.astype("<i8").tobytes())
    middle = stamps.pixels.shape[-1] // 2
    for row in np.unique(np.linspace(0, len(stamps) - 1, min(_SAMPLED, len(stamps))).astype(int)):
        part = stamps.pixels[row, :, middle - 4 : middle + 5, middle - 4 : middle + 5]
        digest.update(np.rint(10 * np.asarray(part, dtype=float) / stamps.noise[row]).astype("<i8").tobytes())
    return digest.hexdigest()


def recorded(name: str) -> dict[str, Any]:
    """Return the fingerprint that was recorded of a set: of a scale, or of its first field.

    Raises
    ------
    InputError
        None was recorded; the message lists the known.

    Examples
    --------
    >>> recorded("smoke")["real"]
    80
    """
    text = files("realbogus.dataset").joinpath("fingerprints.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    if name not in table:
        raise InputError(f"no fingerprint of {name!r} is recorded: known are {', '.join(sorted(table))}")
    return table[name]


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Say in which numbers two fingerprints differ by more than two machines may.

    Counts that a scale fixes must agree; those of kinds and frames within 2 % or 2 rows, medians within 2 % or
    two rows. The hash is not asked.

    Examples
    --------
    >>> one = {"rows": 10, "kinds": {"hot": 10}, "medians": {"seeing": 2.50}, "around": {"seeing": [2.5, 2.6]}}
    >>> differences(one, one | {"medians": {"seeing": 2.62}}), differences(one, one | {"rows": 11})
    ([], ['rows: 10, recorded 11'])
    """
    off = [
        f"{name}: {found[name]}, recorded {wanted[name]}"
        for name in ("rows", "real", "bogus", "real_sources", "fields")
        if name in wanted and found[name] != wanted[name]
    ]
    counts = [(f"kind {kind}", found["kinds"].get(kind, 0), wanted["kinds"].get(kind, 0))
              for kind in sorted({*found["kinds"], *wanted["kinds"]})]  # fmt: skip
    if "frames" in wanted:
        counts.append(("frames", found["frames"], wanted["frames"]))
    off += [
        f"{name}: {here}, recorded {there}"
        for name, here, there in counts
        if abs(here - there) > max(2, _COUNT_TOLERANCE * there)
    ]
    for name, there in wanted["medians"].items():
        here, (low, high) = found["medians"][name], wanted["around"][name]
        if not low * (1 - _MEDIAN_TOLERANCE) <= here <= high * (1 + _MEDIAN_TOLERANCE):
            off.append(f"median {name}: {here}, recorded {there}")
    return off
