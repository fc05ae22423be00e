"""What was trained, as the tables and figures want it: outcomes, ballots, labels of the test sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..metrics import precision_recall_crossing
from .jobs import history_of
from .measures import Measures, measure_scores
from .plan import Network, Plan
from .runs import Outcome, outcome_scores
from .splits import SPLITS
from .votes import Ballot, ballot

__all__ = ["Results", "gather", "tested"]


@dataclass(frozen=True)
class Results:
    """Everything that the last stages draw on.

    Parameters
    ----------
    plan : Plan
        What was to be done.
    out : Path
        Folder of the study.
    screen, splits : dict
        Facts of these stages.
    outcomes : mapping of str to Outcome
        By key.
    singles : mapping of str to Table
        Scores of Table 2's networks.
    bags : mapping of str to Ballot
        Of the bagged members, by split; a split on which nobody was trained is missing.
    bag_hard : Ballot or None
        Of the bag by field that learned from hard bogus too.
    best, best_hard : Ballot or None
        Of the better recipe, and of it where it learned from hard bogus too.
    """

    plan: Plan
    out: Path
    screen: dict[str, Any]
    splits: dict[str, Any]
    outcomes: Mapping[str, Outcome]
    singles: Mapping[str, Table]
    bags: Mapping[str, Ballot]
    bag_hard: Ballot | None
    best: Ballot | None
    best_hard: Ballot | None

    def members(self, split: str) -> list[Network]:
        """Members of the bag that were trained on a split, in the order of the plan."""
        have = self.bags[split].scores if split in self.bags else {}
        return [network for network in self.plan.trio if network.name in have]

    def reason(self, key: str) -> str:
        """Why a network has no scores; empty where it has."""
        return self.outcomes[key].reason if key in self.outcomes else "it is not part of this study"

    def measure(self, scores: NDArray[np.float32], rows: Table, split: str, *, hard: bool) -> Measures:
        """Measure scores of `rows` on a split's test side; `hard` with its hard bogus."""
        inside = tested(rows, hard=hard)
        name = f"{split}, {'with' if hard else 'without'} the hard set"
        labels = np.asarray(rows["label"])[inside]
        return measure_scores(scores[inside], labels, seed=self.plan.seed, name=name, draws=self.plan.draws)

    def threshold(self, split: str, *, calibrated: bool = False) -> float:
        """Where precision equals recall on the validation side, of all members' votes, without the hard set."""
        bag = self.bags[split]
        votes = bag.vote([network.name for network in self.members(split)], calibrated=calibrated)
        known = (np.asarray(bag.rows["side"]) == "valid") & ~np.asarray(bag.rows["hard"])
        return precision_recall_crossing(votes[known], np.asarray(bag.rows["label"])[known])

    def history(self, key: str) -> list[dict[str, float | None]]:
        """Curves of a network that was trained."""
        return history_of(self.outcomes[key].job.folder / "model")

    def main(self) -> tuple[str, Ballot, list[str]] | None:
        """Return the bag that figures 5 to 7 show: on the paper's split, else on the other."""
        for split in SPLITS:
            if split in self.bags:
                return split, self.bags[split], [network.name for network in self.members(split)]
        return None


def tested(table: Table, *, hard: bool) -> NDArray[np.bool_]:
    """Rows of the test side, with or without its hard bogus."""
    return np.asarray((np.asarray(table["side"]) == "test") & (hard | ~np.asarray(table["hard"])))


def gather(
    out: Path, plan: Plan, screen: dict[str, Any], splits: dict[str, Any], outcomes: Mapping[str, Outcome]
) -> Results:
    """Read the scores of all that were trained."""
    scored = {key: outcome_scores(outcome) for key, outcome in outcomes.items() if outcome.facts is not None}

    def of(group: str) -> dict[str, Table]:
        return {key.removeprefix(f"{group}/"): table for key, table in scored.items() if key.startswith(f"{group}/")}

    def votes(group: str) -> Ballot | None:
        members = of(group)
        order = [network.name for network in plan.trio] if group.startswith("bag") else sorted(members)
        return ballot({name: members[name] for name in order if name in members}, plan.calibration) if members else None

    bags = {split: found for split in SPLITS if (found := votes(f"bag-{split}")) is not None}
    return Results(
        plan, out, screen, splits, outcomes, of("single"), bags, votes("bag-hard"), votes("best"), votes("best-hard")
    )
