"""The long part of a night, frame by frame and on several processes; what is done stays done."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from ..classifier import Classifier
from ..errors import FrameError
from .chain import FrameJob, process_frame
from .prepare import Baseline, prepare_reference
from .settings import NightSettings
from .survey import Sighting, look
from .workers import run_jobs

__all__ = ["Progress", "Work", "carry_out"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Work:
    """What was done.

    Parameters
    ----------
    baseline : Baseline or None
        The reference and where the frames lie on it; None where there is none.
    parts : list of Path
        Folder of each used frame's result, in the order of the frames.
    failed : dict
        Frame name to the reason why it was not used.
    seconds : dict
        Wall time of `survey`, `reference` and `frames`.
    """

    baseline: Baseline | None
    parts: list[Path]
    failed: dict[str, str]
    seconds: dict[str, float]


def carry_out(
    paths: Sequence[Path],
    chosen: NightSettings,
    model: str | Classifier,
    scratch: Path,
    processes: int,
    say: Progress,
) -> Work:
    """Survey the frames, prepare the reference and work on every frame.

    Parameters
    ----------
    paths : sequence of Path
        The frames.
    chosen : NightSettings
        The choices.
    model : str or Classifier
        Path of the model, or the model itself (then `processes` must be 1).
    scratch : Path
        Folder for results frame by frame, named after everything that went into them: what
        lies there is used again, what lies beside it is removed.
    processes : int
        How many work at a time.
    say : callable
        Called with (stage, done, all).
    """
    _clear_others(scratch)
    failed: dict[str, str] = {}
    clock = [perf_counter()]
    sightings = _survey(paths, chosen, processes, failed, say)
    clock.append(perf_counter())
    if not sightings:
        return Work(None, [], failed, {"survey": clock[1] - clock[0]})
    say("reference", 0, 1)
    try:
        baseline = prepare_reference(sightings, chosen, scratch / "reference.fits")
    except FrameError as error:
        failed |= {sighting.name: str(error) for sighting in sightings}
        return Work(None, [], failed, {"survey": clock[1] - clock[0]})
    failed |= baseline.failed
    say("reference", 1, 1)
    clock.append(perf_counter())
    parts = _frames(sightings, baseline, chosen, model, scratch, processes, failed, say)
    clock.append(perf_counter())
    stages = ("survey", "reference", "frames")
    seconds = {stage: end - start for stage, start, end in zip(stages, clock, clock[1:], strict=False)}
    return Work(baseline, parts, failed, seconds)


def _clear_others(work: Path) -> None:
    """Remove what an earlier run with other frames or settings left, and make the folder for this one."""
    if work.parent.is_dir():
        for other in work.parent.iterdir():
            if other != work:
                shutil.rmtree(other, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)


def _survey(
    paths: Sequence[Path], chosen: NightSettings, processes: int, failed: dict[str, str], say: Progress
) -> list[Sighting]:
    jobs = [(path, chosen.telescope) for path in paths]
    outcome = run_jobs(look, jobs, processes=processes, progress=lambda done, of: say("survey", done, of))
    sightings = []
    for path, result in zip(paths, outcome, strict=True):
        if isinstance(result, FrameError):
            failed[path.name] = str(result)
        else:
            sightings.append(result)
    return sightings


def _frames(
    sightings: Sequence[Sighting], baseline: Baseline, chosen: NightSettings, model: str | Classifier,
    work: Path, processes: int, failed: dict[str, str], say: Progress,
) -> list[Path]:  # fmt: skip
    placed = [sighting for sighting in sightings if sighting.name in baseline.transforms]
    jobs = [
        FrameJob(
            sighting.path, sighting.name, sighting.measurement, baseline.transforms[sighting.name], baseline.path,
            chosen, model, work / "frames" / re.sub(r"[^A-Za-z0-9._-]", "_", sighting.name),
        )
        for sighting in placed
    ]  # fmt: skip
    (work / "frames").mkdir(exist_ok=True)
    outcome = run_jobs(process_frame, jobs, processes=processes, progress=lambda done, of: say("frames", done, of))
    parts = []
    for sighting, result in zip(placed, outcome, strict=True):
        if isinstance(result, FrameError):
            failed[sighting.name] = str(result)
        else:
            parts.append(result)
    return parts
