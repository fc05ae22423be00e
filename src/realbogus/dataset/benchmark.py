"""The benchmark data: three scales of one survey, fixed by seed, that anyone can make.

Section 2.2 of the paper in simulation: the positions of 127 variables and transients at random epochs give
the reals, everything else that is detected far from them the bogus. Frames come from the preset
"mini-sitian" and go through the project's own subtraction, detection and cutting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from ..errors import InputError
from ..files import FolderLock
from ..images.candidates import CHANNELS
from ..images.simulate.survey import Nuisance
from ..processes import end_with
from ..registry import Registry
from ..stamps import StampSet
from .parts import PartStore
from .survey import FieldPlan, excluded_reals, field_stamps

__all__ = ["SCALES", "Scale", "benchmark_stamps", "excluded_stamps"]


@dataclass(frozen=True)
class Scale:
    """One size of the benchmark.

    Parameters
    ----------
    name : str
        What it is called.
    seed : int
        Of everything random; scales share nothing.
    fields : int
        Patches of sky. A field is wholly on one side of an honest split.
    bogus, reals : int
        Rows, exactly; bogus before any screening.
    variables : int
        Known variables and transients behind the reals.
    cap : int
        Most reals of one of them.
    epochs : int
        Epochs of a field at least.
    threshold : float
        Detection threshold, sigma of one pixel (see `realbogus.images.detect`).
    least_snr : float
        Smallest true S/N of a real: people confirm what they can see.
    nuisance : Nuisance
        What spoils the subtractions.
    size : int
        Side of the frames, pixels.
    """

    name: str
    seed: int
    fields: int
    bogus: int
    reals: int
    variables: int
    cap: int
    epochs: int
    threshold: float = 1.4
    least_snr: float = 8.0
    nuisance: Nuisance = field(default_factory=Nuisance)
    size: int = 640

    def plans(self) -> list[FieldPlan]:
        """Return what each field has to give; the sums are those of the scale.

        Examples
        --------
        >>> plans = SCALES.resolve("small").plans()
        >>> len(plans), sum(plan.bogus for plan in plans), sum(plan.variables for plan in plans)
        (40, 20000, 127)
        """
        return [
            FieldPlan(
                name=f"{self.name}{k:03d}", seed=(self.seed, k), bogus=_share(self.bogus, self.fields, k),
                reals=_share(self.reals, self.fields, k), variables=_share(self.variables, self.fields, k),
                cap=self.cap, epochs=self.epochs, threshold=self.threshold, least_snr=self.least_snr,
                nuisance=self.nuisance, size=self.size,
            )
            for k in range(self.fields)
        ]  # fmt: skip


def _share(total: int, parts: int, k: int) -> int:
    """Return the k-th of `parts` nearly equal whole shares of `total`."""
    return (k + 1) * total // parts - k * total // parts


#: Name -> size: "smoke" takes a minute or two, "small" a quarter of an hour, "paper" hours.
SCALES: Registry[Scale] = Registry("benchmark scale")
SCALES.register("smoke")(Scale("smoke", 20260, fields=8, bogus=400, reals=80, variables=32, cap=4, epochs=4))
SCALES.register("small")(Scale("small", 20261, fields=40, bogus=20_000, reals=600, variables=127, cap=6, epochs=8))
SCALES.register("paper")(
    Scale("paper", 20262, fields=127, bogus=190_000, reals=3_000, variables=127, cap=30, epochs=24)
)


def benchmark_stamps(
    scale: str | Scale,
    *,
    jobs: int = 1,
    out: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StampSet:
    """Make the benchmark data of one scale.

    Parameters
    ----------
    scale : str or Scale
        A name in `SCALES`: smoke, small or paper.
    jobs : int
        Worker processes; the rows do not depend on it.
    out : path, optional
        Folder for the set. Each field is kept there when it is done, so that a run that was killed carries
        on; a folder that holds the whole set is read. In memory where absent.
    progress : callable, optional
        Called with (fields done, fields in all).

    Returns
    -------
    StampSet
        Channels difference, science and reference. Labels 1 and 0. Besides the columns of `detect` and `cut`:
        `id`, `source` (the variable, or what lies behind a bogus), `field`, `frame`, `mag`, `seeing` (arcsec,
        FWHM of the science frame), `true_snr` (of reals), `kind`, `poor`, `origin`, `label`.

    Raises
    ------
    UnknownNameError
        No such scale.
    InputError
        `jobs` below 1, or `out` holds another set.
    OutputError
        `out` cannot be written, or another run is writing there.
    """
    plan = SCALES.resolve(scale)
    if jobs < 1:
        raise InputError(f"jobs {jobs}: give 1 or more processes")
    provenance = {"origin": "simulation", "preset": "mini-sitian", "benchmark": asdict(plan)}
    plans = plan.plans()
    if out is None:
        parts: dict[str, StampSet] = {}
        for done, (name, part) in enumerate(_made(plans, jobs), start=1):
            parts[name] = part
            if progress:
                progress(done, len(plans))
        joined = StampSet.concatenate([parts[p.name] for p in plans])
        return StampSet(joined.pixels, joined.catalogue, CHANNELS, provenance)
    store = PartStore(Path(out), provenance)
    if (whole := store.whole()) is not None:
        return whole
    with FolderLock(store.folder):  # of two at once, the one would take away what the other is joining
        todo = [p for p in plans if not store.has(p.name)]
        for name, part in _made(todo, jobs):
            store.put(name, part)
            if progress:
                progress(sum(store.has(p.name) for p in plans), len(plans))
        return store.join([p.name for p in plans])


def excluded_stamps(scale: str | Scale, count: int) -> StampSet:
    """Make examples of the reals that are set aside before anything learns from them (paper, figure 1).

    Parameters
    ----------
    scale : str or Scale
        A name in `SCALES`.
    count : int
        Rows at most.

    Returns
    -------
    StampSet
        Of a field like the first with more variables, so that few epochs are enough; columns as in
        `benchmark_stamps`, and the reason in `look` (see `realbogus.dataset.look.look`).

    Raises
    ------
    UnknownNameError
        No such scale.
    """
    first = SCALES.resolve(scale).plans()[0]
    return excluded_reals(replace(first, name=f"{first.name}-excluded", variables=count), count)


def _made(plans: list[FieldPlan], jobs: int) -> Iterator[tuple[str, StampSet]]:
    """Yield the fields as they are done."""
    if jobs == 1 or len(plans) < 2:
        for plan in plans:
            yield plan.name, field_stamps(plan)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with, initargs=(os.getpid(),)) as pool:
        waiting = {pool.submit(field_stamps, plan): plan.name for plan in plans}
        for future in as_completed(waiting):
            yield waiting.pop(future), future.result()
