"""Which labels are most likely wrong: what networks think that have not learned from them.

Every stamp is scored by a quick network that never saw its source. Where that score and the label disagree
most, the label is most likely wrong (confident learning: Northcutt, Jiang & Chuang 2021; library cleanlab).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..columns import texts
from ..errors import ConfigError, InputError
from ..evaluation.tables import Column, Measured, ResultTable
from ..files import write_whole
from ..metrics import bootstrap_interval, roc_auc
from ..stamps import StampSet
from ..tables import write_parquet
from .recipes import quick_recipe
from .scores import Say, judged_rows, out_of_fold, source_folds
from .sets import write_set

__all__ = ["Audit", "audit", "rank_labels"]


@dataclass(frozen=True)
class Audit:
    """Labels, the most doubtful first.

    Parameters
    ----------
    table : Table, M rows
        `rank` from 1, `row` in the set, `id`, `label`, `score` (out of fold), `quality` of the label (0 to 1),
        `suspect` (counted among the wrong labels), `source`, `origin`, `fold`.
    suspects : int
        How many labels are wrong by cleanlab's count.
    auc : Measured
        Of the out-of-fold scores against the labels as they are.
    facts : dict
        How it was done.
    """

    table: Table
    suspects: int
    auc: Measured
    facts: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> str:
        """Return the audit in Markdown."""
        rows: list[list[Any]] = []
        for label, name in ((1, "real"), (0, "bogus")):
            here = np.asarray(self.table["label"]) == label
            wrong = here & np.asarray(self.table["suspect"])
            rows.append([name, int(here.sum()), int(wrong.sum()), wrong.sum() / max(int(here.sum()), 1)])
        counted = ResultTable(
            [Column("labelled"), Column("stamps", "d"), Column("probably wrong", "d"), Column("%", ".2f", 100)], rows
        )
        lines = [
            "# Audit of the labels", "",
            f"{len(self.table):,} labels, {self.facts['folds']} folds by {self.facts['by']}, network "
            f"{self.facts['network']}. The out-of-fold scores agree with the labels at AUC {self.auc.value:.4f} "
            f"[{self.auc.low:.4f}, {self.auc.high:.4f}].", "",
            counted.to_markdown(),
        ]  # fmt: skip
        return "\n".join([*lines, *self.facts["remarks"]])


def audit(
    stamps: StampSet,
    *,
    folds: int = 5,
    by: str = "source",
    network: str = "compact",
    epochs: int | None = None,
    seed: int = 0,
    work: Path | None = None,
    progress: Say | None = None,
) -> Audit:
    """Rank the labels of a set by how likely they are wrong.

    Parameters
    ----------
    stamps : StampSet
        With labels of both kinds; rows without one, and unusable ones, are not ranked.
    folds : int
        Networks; each is asked about the fold that it has not seen.
    by : str
        Column whose groups stay in one fold. Without that column each stamp is a group of its own, which
        the summary says: then a network may have seen the same star.
    network : str
        Name in the table of architectures.
    epochs : int, optional
        By the number of stamps where absent.
    seed : int
        Of folds and networks.
    work : Path, optional
        Folder for what is half done; a run that was cut off carries on from it.
    progress : callable, optional
        Called with (stage, done, of).

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        Not both kinds of label, too few sources for the folds, ids that are not unique.
    ConfigError
        The extra is not installed.
    """
    _cleanlab()  # before minutes of training
    rows = judged_rows(stamps)
    labels = stamps.labels[rows]
    remarks = []
    groups = texts(stamps.catalogue, by)[rows]
    if not (groups != "").any():
        remarks.append(
            f"The set has no column {by!r}, so each stamp is a group of its own: where one source has several stamps, "
            "a network may have learned from its wrong labels, and finds fewer of them.\n"
        )
    fold = source_folds(groups, labels, folds, seed)
    learned = len(rows) * (folds - 1) // folds
    config = quick_recipe(stamps.channels, learned, network=network, epochs=epochs, seed=seed)
    scores = out_of_fold(stamps, rows, fold, config, work=work, say=progress)
    quality, suspect = rank_labels(scores, labels)
    ids = texts(stamps.catalogue, "id")[rows]
    order = np.lexsort((ids, quality))
    table = Table({"rank": np.arange(1, len(rows) + 1), "row": rows[order], "id": ids[order]})
    table["label"], table["score"], table["quality"] = labels[order], scores[order], quality[order]
    table["suspect"] = suspect[order]
    for name in ("source", "origin"):
        table[name] = texts(stamps.catalogue, name)[rows][order]
    table["fold"] = fold[order]
    auc = roc_auc(scores, labels)
    ends = bootstrap_interval(roc_auc, scores, labels, rng=np.random.default_rng([seed, 1]), draws=200)
    facts = {
        "folds": folds, "by": by if not remarks else "stamp", "network": network, "seed": seed,
        "epochs": config.training.epochs, "remarks": remarks,
    }  # fmt: skip
    return Audit(table, int(suspect.sum()), Measured(auc, *ends), facts)


def rank_labels(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the quality of each label, and which of them cleanlab counts as wrong.

    Parameters
    ----------
    scores : array_like, shape (N,)
        That a stamp is real, by a network that did not learn from it.
    labels : array_like of int, shape (N,)
        1 or 0.

    Returns
    -------
    quality : ndarray of float, shape (N,)
        Small where the label is probably wrong (cleanlab's self-confidence).
    suspect : ndarray of bool, shape (N,)
        As many as the joint counts of label and score make wrong (prune by noise rate).

    Raises
    ------
    InputError
        Shapes differ, or scores lie outside [0, 1].

    Examples
    --------
    >>> quality, suspect = rank_labels([0.9, 0.8, 0.1, 0.95, 0.2, 0.1, 0.9, 0.15], [1, 1, 0, 0, 0, 0, 1, 0])
    >>> int(quality.argmin()), np.flatnonzero(suspect).tolist()
    (3, [3])
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if values.shape != truth.shape or values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"scores {values.shape} and labels {truth.shape}: expected one score in [0, 1] a label")
    find, quality_of = _cleanlab()
    both = np.column_stack([1 - values, values])
    quality = np.asarray(quality_of(truth, both, method="self_confidence"), dtype=np.float64)
    suspect = np.asarray(find(truth, both, filter_by="prune_by_noise_rate", n_jobs=1), dtype=bool)
    return quality, suspect


def save_audit(found: Audit, stamps: StampSet, out: Path, *, top: int | None = None) -> StampSet:
    """Write `audit.parquet`, `summary.md` and `suspects/`, the most doubtful stamps in order, ready to vet.

    Parameters
    ----------
    found : Audit
        Of `stamps`.
    stamps : StampSet
        The set.
    out : Path
        Folder.
    top : int, optional
        How many stamps go into `suspects`; 6 % of the labels, or as many as are counted wrong, where absent.

    Returns
    -------
    StampSet
        `suspects`, with `rank`, `quality` and `score` in its catalogue.
    """
    if top is not None and top < 1:
        raise ConfigError(f"top {top}: give at least 1")
    count = max(found.suspects, round(0.06 * len(found.table)), 1) if top is None else top
    chosen = found.table[: min(count, len(found.table))]
    rows = np.asarray(chosen["row"])
    catalogue = stamps.catalogue[rows]
    catalogue.meta.clear()
    for name in ("rank", "quality", "score"):
        catalogue[name] = chosen[name]
    provenance = {"origin": "audit", "of": dict(stamps.provenance), **found.facts}
    write_whole(out / "audit.parquet", lambda path: write_parquet(found.table, path))
    write_whole(out / "summary.md", lambda path: path.write_text(found.summary(), encoding="utf-8"))
    return write_set(out / "suspects", [(stamps, rows)], catalogue, stamps.channels, provenance)


def _cleanlab() -> Sequence[Any]:
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise ConfigError('the audit needs cleanlab: pip install "realbogus[train]"') from error
    return find_label_issues, get_label_quality_scores
