"""What a study is to do: its scale, networks, recipes and seed, resolved to the last value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..config import Config, load_config, with_overrides
from ..curation.recipes import screening_recipe
from ..dataset.screen import RECOGNISED
from ..errors import ConfigError
from ..files import plain
from . import paper
from .effort import EFFORTS

__all__ = ["BEST_RECIPE", "Network", "Plan", "plan_study", "titles"]

#: The better recipe that is shipped; `configs/best.toml` is the same text.
BEST_RECIPE = Path(__file__).with_name("best.toml")


@dataclass(frozen=True)
class Network:
    """A network of the study.

    Parameters
    ----------
    name : str
        What it is called in files and tables.
    architecture : str
        Name in the table of architectures; `name` where empty.
    options : mapping
        Options of its builder.
    lr : float
        Its highest rate; 0 is the recipe's.

    Examples
    --------
    >>> Network("resnet18").builder, Network("resnet18").title
    ('resnet18', 'ResNet18')
    """

    name: str
    architecture: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    lr: float = 0.0

    @property
    def builder(self) -> str:
        """Name in the table of architectures."""
        return self.architecture or self.name

    @property
    def title(self) -> str:
        """What tables call it: the paper's name where it has one."""
        return titles([self.name])


@dataclass(frozen=True)
class Plan:
    """Everything that decides the tables of a study.

    Parameters
    ----------
    scale : str
        Of the benchmark data; the name of handed-in stamps otherwise.
    networks : tuple of Network
        Trained under `recipe` on the split per stamp (Table 2).
    trio : tuple of Network
        Bagged on both splits (Table 3).
    recipe : Config
        Of the networks and the bag; its model is replaced by each network's.
    bag_epochs : int
        Of the bagged networks; 0 is as many as the others'.
    screen : Config
        Of the screening network.
    best : Config or None
        The better recipe; without it there is nothing to compare.
    best_members : int
        So many networks of it vote, each from a seed of its own.
    hard_too : bool
        Whether the bag by field and the better recipe are trained once more, with the training side's
        hard bogus: labelled data like any other, which the paper went without.
    fractions : tuple of 3 floats
        Training, validation, test.
    bands : tuple of 2 floats
        Screening scores below the first are kept, above the second are hard.
    hand_picked : int
        Bogus that the screening network learns from; 0 is as many as there are reals (the paper
        took 3,000 of each).
    recognised : float
        Share of the bogus that look like stars which the hand-picking knows for what they are.
    calibration : str
        Method by which a member's scores become probabilities. `beta` has three numbers, which a few
        dozen reals of the validation side can give; isotonic steps would tie scores and lose order.
    operational : int
        Stamps of the operational sample (figure 7).
    draws : int
        Bootstrap draws of an interval.
    seed : int
        Of splits, hand-picking, the operational sample and intervals. Networks and their bootstraps have those of
        `recipe`, `screen` and `best`; `plan_study` gives all the same.
    """

    scale: str
    networks: tuple[Network, ...]
    trio: tuple[Network, ...]
    recipe: Config
    screen: Config
    bag_epochs: int = 0
    best: Config | None = None
    best_members: int = 1
    hard_too: bool = False
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    bands: tuple[float, float] = (0.2, 0.9)
    hand_picked: int = 0
    recognised: float = RECOGNISED
    calibration: str = "beta"
    operational: int = 5000
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.networks or not self.trio:
            raise ConfigError("a study of no networks: name at least one")
        for what, members in (("networks", self.networks), ("bagged networks", self.trio)):
            names = [network.name for network in members]
            if len(set(names)) != len(names):
                raise ConfigError(f"{what} {', '.join(names)}: each can be named once")
        if not 0 <= self.bands[0] < self.bands[1] <= 1:
            raise ConfigError(f"bands {self.bands}: give two scores in 0 to 1, the lower first")
        for name in ("best_members", "operational", "draws"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed}: give a whole number, 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `summary.json` keeps them."""
        values: dict[str, Any] = plain(asdict(self))
        return values


def plan_study(
    scale: str = "smoke",
    *,
    networks: Sequence[str] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    best: Path | None = BEST_RECIPE,
) -> Plan:
    """Return the paper's study at a scale.

    Parameters
    ----------
    scale : str
        `smoke`, `small` or `paper`.
    networks : sequence of str, optional
        Architectures to train in place of the thirteen. Bagged are those of the paper's trio
        that are among them, or else the first three.
    epochs : int, optional
        In place of the scale's; those of the bag and of the better recipe change in proportion.
    seed : int
        Of all randomness.
    best : Path or None
        File of the better recipe; None leaves it out.

    Raises
    ------
    UnknownNameError
        No such scale.
    ConfigError
        Impossible values, or a recipe that cannot be read.

    Examples
    --------
    >>> plan = plan_study("paper", networks=["compact", "resnet18"])
    >>> [network.name for network in plan.trio], plan.recipe.training.epochs
    (['resnet18'], 100)
    """
    effort = EFFORTS.resolve(scale)
    names = tuple(paper.NETWORKS if networks is None else dict.fromkeys(networks))
    trio = tuple(name for name in paper.TRIO if name in names) or names[:3]
    times = effort.epochs if epochs is None else epochs
    if times < 1:
        raise ConfigError(f"epochs {times}: give at least 1")
    share = times / effort.epochs
    # one thread a network: then the results do not depend on how many are trained at a time
    recipe = with_overrides(
        Config(),
        {
            "seed": seed,
            "training.epochs": times,
            "training.batch_size": effort.batch_size,
            "training.lr": effort.lr,
            "training.schedule": effort.schedule,
            "training.warmup": effort.warmup,
            "training.threads": 1,
        },
    )
    better = None
    if best is not None:
        overrides = {
            "seed": seed,
            "training.epochs": max(1, round(effort.best_epochs * share)),
            "training.threads": 1,
        }
        better = load_config(best, overrides=overrides)
        if effort.best_batch:
            better = with_overrides(better, {"training.batch_size": effort.best_batch})
    return Plan(
        scale=scale,
        networks=tuple(Network(name, lr=effort.rates.get(name, 0.0)) for name in names),
        trio=tuple(Network(name, lr=effort.rates.get(name, 0.0)) for name in trio),
        recipe=recipe,
        screen=screening_recipe(
            network=effort.screen_network,
            epochs=effort.screen_epochs,
            batch=effort.screen_batch,
            lr=effort.screen_lr,
            seed=seed,
            threads=2,
        ),  # alone at work, whatever the number of jobs
        bag_epochs=max(1, round(effort.bag_epochs * share)),
        best=better,
        draws=effort.draws,
        seed=seed,
    )


def titles(names: Sequence[str]) -> str:
    """Return networks as the paper calls them, joined.

    Examples
    --------
    >>> titles(["vit_tiny", "compact"])
    'ViT_Tiny + compact'
    """
    from ..architectures.facts import PAPER_NAMES

    return " + ".join(PAPER_NAMES.get(name, name) for name in names)
