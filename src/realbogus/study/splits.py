"""The third stage: 7 : 1 : 2, per stamp as the paper has it and by field as is honest.

The hard set lies on the sides by the same rule, so that "with the hard set" means the test
side with the hard bogus that lie there, and nothing that was learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..config import SplitConfig
from ..errors import InputError
from ..files import write_whole
from ..stamps import StampSet
from ..tables import read_parquet, write_parquet
from .artefact import begin, facts_of, fingerprint, finish
from .plan import Plan

__all__ = ["SPLITS", "Rule", "check_splits", "split_path", "split_stage"]

_SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class Rule:
    """One way to split.

    Parameters
    ----------
    name : str
        In files.
    title : str
        In tables.
    by : str
        What stays together: `stamp`, or a column.
    """

    name: str
    title: str
    by: str

    @property
    def honest(self) -> bool:
        """Whether no source lies on two sides."""
        return self.by != "stamp"


#: The two splits by name.
SPLITS: dict[str, Rule] = {
    "stamp": Rule("stamp", "per stamp", "stamp"),
    "field": Rule("field", "by field", "field"),
}


def split_path(out: Path, name: str) -> Path:
    """Table of a split: `row`, `id`, `label`, `side`, `hard`."""
    return out / "splits" / f"{name}.parquet"


def check_splits(plan: Plan, stamps: StampSet) -> None:
    """Refuse stamps of which a side would lack a class, were none of them hard: before a network is trained.

    Raises
    ------
    InputError
        A side lacks one of the classes.
    """
    none = np.zeros(len(stamps), dtype=bool)
    for rule in SPLITS.values():
        _counted(rule, _sides(rule, plan, stamps, none), stamps.labels, none)


def split_stage(out: Path, plan: Plan, stamps: StampSet, screen: str) -> dict[str, Any]:
    """Write both splits.

    Parameters
    ----------
    out : Path
        Folder of the study.
    plan : Plan
        Fractions and seed.
    stamps : StampSet
        All stamps.
    screen : str
        Fingerprint of the screening, whose bands say which bogus are hard.

    Returns
    -------
    dict
        `counts` of each split and side, and the stage's `fingerprint`.

    Raises
    ------
    InputError
        A side lacks one of the classes.
    """
    folder = out / "splits"
    inputs = {"screen": screen, "fractions": plan.fractions, "seed": plan.seed}
    before = facts_of(folder, inputs, *(split_path(out, name) for name in SPLITS))
    if before is not None:
        return before
    begin(folder, inputs)
    bands = read_parquet(out / "screen" / "scores.parquet")
    hard = np.asarray(bands["band"]) == "hard"
    counts = {}
    for rule in SPLITS.values():
        side = _sides(rule, plan, stamps, hard)
        counts[rule.name] = _counted(rule, side, stamps.labels, hard)
        table = Table(
            {
                "row": np.arange(len(stamps)),
                "id": np.asarray(stamps.catalogue["id"]).astype(str),
                "label": stamps.labels,
                "side": side,
                "hard": hard,
            }
        )
        write_whole(split_path(out, rule.name), partial(write_parquet, table))
    facts = {"counts": counts, "fingerprint": fingerprint(inputs)}
    finish(folder, inputs, facts)
    return facts


def _sides(rule: Rule, plan: Plan, stamps: StampSet, hard: NDArray[np.bool_]) -> NDArray[np.str_]:
    from ..dataset.split import split

    side = np.empty(len(stamps), dtype="U5")
    config = SplitConfig(by=rule.by, fractions=plan.fractions, allow_leakage=not rule.honest)
    # Fields take their hard stamps with them. Single stamps are shared out apart, so that the
    # sets without the hard ones have the paper's proportions exactly.
    parts = [np.arange(len(stamps))] if rule.honest else [np.flatnonzero(~hard), np.flatnonzero(hard)]
    for number, rows in enumerate(parts):
        if not len(rows):
            continue
        found = split(stamps.catalogue[rows], config, rng=np.random.default_rng([plan.seed, 3, number]))
        for name in _SIDES:
            side[rows[getattr(found, name)]] = name
    return side


def _counted(
    rule: Rule, side: NDArray[np.str_], labels: NDArray[np.int64], hard: NDArray[np.bool_]
) -> dict[str, dict[str, int]]:
    counts = {}
    for name in _SIDES:
        here = side == name
        counts[name] = {
            "real": int((here & (labels == 1)).sum()),
            "bogus": int((here & (labels == 0) & ~hard).sum()),
            "hard": int((here & hard).sum()),
        }
        if not (counts[name]["real"] and counts[name]["bogus"]):
            raise InputError(
                f"the split {rule.title} leaves {counts[name]['real']} real and {counts[name]['bogus']} bogus on the "
                f"side {name!r}: take more stamps or more fields, or a larger scale"
            )
    return counts
