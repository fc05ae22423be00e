"""The screening of section 2.2.2: a network learns from a seed set, scores all, and three bands follow.

Below 0.2 a bogus stays, above 0.9 it looks like a real and is set apart (*hard*), between them people look
again. Nothing is thrown away: the paper left 11,317 hard bogus out, of its test set too; here they are a set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray

from ..classifier import Classifier
from ..columns import flags, texts
from ..dataset.screen import BANDS, bands, doubt
from ..errors import InputError
from ..evaluation.tables import Column, ResultTable
from ..files import plain, write_text, write_whole
from ..scoring import score_rows
from ..stamps import UNLABELLED, StampSet
from ..tables import write_parquet
from .scores import Say
from .sets import remove_set, write_set

__all__ = ["Screening", "save_screening", "screen"]


@dataclass(frozen=True)
class Screening:
    """What the screening network says of every row.

    Parameters
    ----------
    table : Table, N rows
        `row`, `id`, `label`, `score` (masked where the stamp is not usable), `band` (`keep`, `review`, `hard` of
        what is screened: bogus, and candidates without a label; else `real` or `aside`), `picked` (the network
        learned from it).
    limits : tuple of float
        Ends of the band to review.
    facts : dict
        Counts, accuracy, and how it was done.
    """

    table: Table
    limits: tuple[float, float]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def band(self) -> NDArray[np.str_]:
        """Band of each row."""
        return np.asarray(self.table["band"]).astype(str)

    def summary(self) -> str:
        """Return counts and remarks in Markdown."""
        screened = np.isin(self.band, list(BANDS))
        rows: list[list[Any]] = [
            [name, int((self.band == name).sum()), float((self.band[screened] == name).mean()), share]
            for name, share in BANDS.items()
        ]
        columns = [Column("band"), Column("stamps", "d"), Column("share %", ".2f", 100), Column("paper %", ".2f", 100)]
        low, high = self.limits
        others = f"{int((self.band == 'real').sum()):,} reals, {int((self.band == 'aside').sum()):,} aside"
        accuracy = self.facts.get("accuracy")
        lines = [
            "# Screening", "",
            f"{len(self.band):,} stamps: {int(screened.sum()):,} screened, {others}. Bands: below {low:g}, "
            f"to {high:g}, above.", "",
            ResultTable(columns, rows).to_markdown(),
            f"Network: {self.facts['network']}"
            + ("." if accuracy is None else f", right on {100 * accuracy:.1f} % of the held-out tenth (paper: 97 %)."),
            "",
        ]  # fmt: skip
        return "\n".join(lines + [f"{remark}\n" for remark in self.facts["remarks"]])


def screen(
    stamps: StampSet,
    classifier: Classifier,
    *,
    low: float = 0.2,
    high: float = 0.9,
    picked: NDArray[np.int64] | None = None,
    accuracy: float | None = None,
    progress: Say | None = None,
) -> Screening:
    """Score all stamps and sort what is bogus, or has no label, into bands.

    Parameters
    ----------
    stamps : StampSet
        The raw set.
    classifier : Classifier
        Of `learn_screen`, or any other.
    low, high : float
        Ends of the band that people review.
    picked : ndarray of int, optional
        Rows that the classifier learned from.
    accuracy : float, optional
        What it is right on of its held-out stamps.
    progress : callable, optional
        Called with (stage, done, of).

    Raises
    ------
    InputError
        Nothing is to be screened, impossible bands, or stamps that cannot be scored.
    """
    bands([], low, high)  # limits that cannot be, before the scores
    labels = stamps.labels
    usable = flags(stamps.catalogue, "usable", absent=True)
    screened = usable & np.isin(labels, (0, UNLABELLED))
    if not screened.any():
        raise InputError(
            f"none of {len(stamps)} stamps is to be screened: that is for stamps that are labelled bogus, or not at all"
        )
    asked = np.flatnonzero(usable)
    scores = np.zeros(len(stamps), dtype=np.float32)
    scores[asked] = score_rows(
        classifier, stamps, asked, None if progress is None else lambda done, of: progress("score", done, of)
    )
    band = np.where(labels == 1, "real", "aside").astype("U6")
    band[~usable] = "aside"
    band[screened] = bands(scores[screened], low, high)
    table = Table({"row": np.arange(len(stamps)), "id": texts(stamps.catalogue, "id"), "label": labels})
    table["score"] = MaskedColumn(scores, mask=~usable)
    table["band"] = band
    table["picked"] = np.isin(np.arange(len(stamps)), picked if picked is not None else [])
    reals = scores[band == "real"]
    facts = {
        "network": f"{classifier.card.name} ({classifier.card.architecture})",
        "accuracy": accuracy,
        "picked": 0 if picked is None else int((labels[picked] == 0).sum()),
        "counts": {name: int((band == name).sum()) for name in (*BANDS, "real", "aside")},
        "bands": [low, high],
        "remarks": _remarks(accuracy, band, reals, low),
    }
    return Screening(table, (low, high), facts)


def save_screening(found: Screening, stamps: StampSet, out: Path) -> dict[str, Path]:
    """Write `keep`, `review`, `hard` and `aside`, the scores, a summary, and figures 2a and 2b.

    `keep` is what is to be learned from: the reals and the bogus that stay. Candidates that had no label are bogus
    there, by the screening. `aside` holds what was not screened: labels to ignore, stamps that cannot be used.
    Empty sets are not written.

    Returns
    -------
    dict of str to Path
        The sets by name.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    band, written = found.band, {}
    for name, members in (("keep", ("keep", "real")), ("review", ("review",)), ("hard", ("hard",)),
                          ("aside", ("aside",))):  # fmt: skip
        rows = np.flatnonzero(np.isin(band, members))
        if not len(rows):  # what an earlier screening left is in another set now
            remove_set(out / name, "screen")
            continue
        catalogue = stamps.catalogue[rows]
        catalogue.meta.clear()
        catalogue["screen_score"], catalogue["band"] = found.table["score"][rows], band[rows]
        if name == "keep":
            _label_kept(catalogue, stamps.labels[rows])
        provenance = {"origin": "screen", "set": name, "of": dict(stamps.provenance), **found.facts}
        write_set(out / name, [(stamps, rows)], catalogue, stamps.channels, plain(provenance))
        written[name] = out / name
    write_whole(out / "scores.parquet", lambda path: write_parquet(found.table, path))
    write_text(out / "summary.json", json.dumps(plain(found.facts), indent=1) + "\n")
    write_text(out / "summary.md", found.summary())
    _draw(found, stamps, out)
    return written


def _label_kept(catalogue: Table, labels: NDArray[np.int64]) -> None:
    fresh = labels == UNLABELLED
    if fresh.any():
        origin = texts(catalogue, "origin").astype(object)
        origin[fresh] = "screen"
        catalogue["origin"] = origin.astype(str)
        catalogue["label"] = np.where(fresh, 0, labels)


def _draw(found: Screening, stamps: StampSet, out: Path) -> None:
    from ..evaluation.figures import bands_gallery, new_axes, new_figure, save_figure, screening_histogram

    low, high = found.limits
    rows = np.flatnonzero(np.isin(found.band, list(BANDS)))
    scores = np.asarray(found.table["score"])[rows]
    save_figure(screening_histogram(new_axes(), scores, low=low, high=high), out / "figure2a")
    plane = stamps.channels.index("difference") if "difference" in stamps.channels else 0
    figure = new_figure(7.0, 3.0, constrained=False)
    planes: Any = _Planes(stamps, rows, plane)  # only what is shown is read
    bands_gallery(figure, planes, scores, low=low, high=high)
    save_figure(figure, out / "figure2b")


class _Planes:
    """One channel of some rows, read when they are asked for."""

    def __init__(self, stamps: StampSet, rows: NDArray[np.int64], plane: int) -> None:
        self._stamps, self._rows, self._plane = stamps, rows, plane
        self.shape = (len(rows), *stamps.pixels.shape[2:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._stamps.pixels[self._rows[rows], self._plane])


def _remarks(
    accuracy: float | None, band: NDArray[np.str_], reals: NDArray[np.float32], low: float
) -> list[str]:  # fmt: skip
    """Say what makes the bands mean nothing, and what of the reals should be looked at."""
    remarks = doubt(accuracy)
    empty = [name for name in BANDS if not (band == name).any()]
    if empty:
        remarks.append(f"No stamp lies in the band {' and '.join(empty)}.")
    doubtful = int((reals < low).sum())
    if doubtful:
        remarks.append(
            f"{doubtful:,} of {len(reals):,} reals score below {low:g}: they stay among the kept; `realbogus audit` "
            "ranks such labels for a second look."
        )
    return remarks
