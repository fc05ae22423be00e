"""The whole study, stage by stage; killed anywhere and run again it ends with the same tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError, ModelError
from ..preprocess import Preprocess
from ..processes import processors
from ..stamps import StampSet
from . import cluster as _cluster  # noqa: F401  registers the engine "ray"
from .artefact import locked
from .data import check_labels, data_stage
from .engine import ENGINES
from .jobs import train_and_score
from .plan import Plan, plan_study
from .publish import publish
from .results import gather
from .runs import Outcome, carry_out, plan_runs, runs_fingerprint
from .screening import screen_stage
from .splits import check_splits, split_stage
from .state import agree, machine

__all__ = ["Progress", "default_jobs", "reproduce"]

#: `(stage or network, done, of)`.
Progress = Callable[[str, int, int], None]


def reproduce(
    out: Path | str,
    *,
    scale: str = "smoke",
    networks: Sequence[str] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    engine: str = "local",
    jobs: int | None = None,
    plan: Plan | None = None,
    stamps: StampSet | None = None,
    progress: Progress | None = None,
) -> Path:
    """Run the study of the paper (sections 2.2, 3 and 4), or carry on with the one in `out`.

    Data, screening, splits, networks, bag, calibration and votes, the better recipe, tables,
    figures 1 to 7, one HTML report and `summary.json`. What is done is not done again; a
    network that fails is reported as failed, the others go on.

    Parameters
    ----------
    out : path
        Folder of the study, a folder for each.
    scale : str
        `smoke`, `small` or `paper`.
    networks : sequence of str, optional
        In place of the thirteen; more can be asked for later in the same folder.
    epochs : int, optional
        In place of the scale's.
    seed : int
        Of splits, networks, bootstraps and intervals; the data have a seed of their own.
    engine : str
        `local` or `ray`.
    jobs : int, optional
        Networks trained at a time; as many as there are processors, or 1 with a GPU. The
        tables do not depend on it.
    plan : Plan, optional
        In place of `scale`, `networks`, `epochs` and `seed`.
    stamps : StampSet, optional
        In place of the benchmark's: labels 1 and 0, columns `source` and `field`.
    progress : callable, optional
        Called with (stage or network, done, of).

    Returns
    -------
    Path
        The HTML report.

    Raises
    ------
    ConfigError
        Impossible options, a folder with a study of other options, or torch is missing.
    UnknownNameError
        No such scale, network or engine.
    InputError
        Stamps that cannot be used.
    ModelError
        No network could be trained.
    OutputError
        `out` cannot be written.
    """
    out = Path(out)
    chosen = plan or plan_study(scale, networks=networks, epochs=epochs, seed=seed)
    run_engine = ENGINES.resolve(engine)
    _check_plan(chosen)
    if stamps is not None:
        _check_given(chosen, stamps)  # before anything is written: the folder would be that of spoiled stamps
    processes = default_jobs() if jobs is None else jobs
    if processes < 1:
        raise ConfigError(f"jobs {processes}: give 1 or more")
    run_engine(train_and_score, [], processes, lambda number, done, of: None)  # one that is not there says so now
    say = progress or (lambda stage, done, of: None)
    clock: dict[str, float] = {}
    with locked(out / ".lock", wait=False, what="another study"):
        agree(out, chosen, stamps)
        with _timed(clock, "data"):
            held, data = data_stage(
                out, chosen.scale, stamps, jobs=jobs or processors(), progress=lambda done, of: say("data", done, of)
            )
        with _timed(clock, "screen"):
            screen = screen_stage(
                out, chosen, held, data["sha256"], engine=run_engine, jobs=processes,
                progress=lambda done, of: say("screen", done, of),
            )  # fmt: skip
        with _timed(clock, "splits"):
            splits = split_stage(out, chosen, held, screen["fingerprint"])
        with _timed(clock, "networks"):
            runs = plan_runs(out, chosen, splits["fingerprint"])
            outcomes = carry_out(runs, engine=run_engine, jobs=processes, progress=say)
        if not any(outcome.facts for outcome in outcomes.values()):
            reasons = "; ".join(sorted({outcome.reason for outcome in outcomes.values()}))
            raise ModelError(f"none of {len(outcomes)} networks could be trained: {reasons}")
        results = gather(out, chosen, screen, splits, outcomes)
        facts: dict[str, Any] = {
            "realbogus": __version__,
            "scale": chosen.scale,
            "seed": chosen.seed,
            "engine": engine,
            "jobs": processes,
            "machines": _machines(outcomes),
            "data": data,
            "screen": screen,
            "splits": splits["counts"],
            "runs": {key: outcome.facts for key, outcome in outcomes.items()},
            "failed": {key: outcome.reason for key, outcome in outcomes.items() if outcome.facts is None},
            "plan": chosen.to_dict(),
            "fingerprint": runs_fingerprint(outcomes),
        }
        return publish(results, held, facts, clock, progress=lambda done, of: say("tables", done, of))


def default_jobs() -> int:
    """Return how many networks are trained at a time: one a processor, but one alone on a GPU."""
    import torch

    if torch.cuda.is_available():
        return 1
    return processors()


def _check_plan(plan: Plan) -> None:
    """Refuse names and options that nobody knows before the data are made, not after."""
    try:
        from ..architectures import ARCHITECTURES
        from ..training.recipe import check_recipe
    except ImportError as error:
        raise ConfigError(f'a study needs torch ({error}): pip install "realbogus[train]"') from error
    for network in (*plan.networks, *plan.trio):
        ARCHITECTURES.resolve(network.builder)
    for config in (plan.screen, plan.recipe, *([plan.best] if plan.best else [])):
        check_recipe(config)


def _check_given(plan: Plan, stamps: StampSet) -> None:
    from ..training.planes import check_stamps

    check_labels(stamps)
    check_splits(plan, stamps)
    prepare = Preprocess.from_dict(plan.recipe.preprocess)
    # all channels, whoever looks at them; where the better recipe asks for one more, that network alone fails
    missing = set(prepare.channels) - set(stamps.channels)
    check_stamps(stamps, None, replace(prepare, channels=(*stamps.channels, *missing)))


def _machines(outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """Return what the networks were trained on, which need not be where the tables are made."""
    found: list[dict[str, Any]] = []
    # networks trained before their facts held a machine are taken for this one's
    for outcome in outcomes.values():
        if outcome.facts is not None and (its := outcome.facts.get("machine", machine())) not in found:
            found.append(its)
    return found


@contextmanager
def _timed(clock: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    clock[stage] = time.perf_counter() - started
