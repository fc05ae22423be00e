"""The long part of a night, frame by frame and on several processes; what is done stays done."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from ..classifier import Classifier
from ..errors import FrameError
from .chain import FrameJob, process_frame
from .prepare import Baseline, prepare_reference
from .settings import NightSettings
from .survey import Sighting, look, of_one_filter
from .workers import PassingError, passing, run_jobs

__all__ = ["Progress", "Work", "carry_out", "clear", "own"]

#: Folder inside the output for work that is not finished; ours alone, so that nobody else's is removed.
SCRATCH = ".realbogus-work"

Progress = Callable[[str, int, int], None]
Result = TypeVar("Result")


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
    passing : frozenset of str
        Names of failed frames that are not at fault: memory, a disk or a process was.
    """

    baseline: Baseline | None
    parts: list[Path]
    failed: dict[str, str]
    seconds: dict[str, float]
    passing: frozenset[str] = frozenset()


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
        Folder for results frame by frame, named after everything that went into them (`own`):
        what lies there is used again.
    processes : int
        How many work at a time.
    say : callable
        Called with (stage, done, all).
    """
    failed = _Failed()
    clock = [perf_counter()]
    sightings = _survey(paths, chosen, processes, failed, say)
    clock.append(perf_counter())
    if not sightings:
        return Work(None, [], failed, {"survey": clock[1] - clock[0]}, frozenset(failed.passing))
    say("reference", 0, 1)
    try:
        baseline = prepare_reference(sightings, chosen, scratch / "reference.fits")
    except FrameError as error:
        failed |= {sighting.name: str(error) for sighting in sightings}
        if chosen.reference is None:  # those of another filter failed by that
            failed |= of_one_filter(sightings)[1]
        failed.passing |= {sighting.name for sighting in sightings if passing(error)}
        return Work(None, [], failed, {"survey": clock[1] - clock[0]}, frozenset(failed.passing))
    failed |= baseline.failed
    say("reference", 1, 1)
    clock.append(perf_counter())
    parts = _frames(sightings, baseline, chosen, model, scratch, processes, failed, say)
    clock.append(perf_counter())
    stages = ("survey", "reference", "frames")
    seconds = {stage: end - start for stage, start, end in zip(stages, clock, clock[1:], strict=False)}
    return Work(baseline, parts, failed, seconds, frozenset(failed.passing))


class _Failed(dict[str, str]):
    """Reasons by frame; `passing` names those that are not at fault."""

    def __init__(self) -> None:
        super().__init__()
        self.passing: set[str] = set()


def own(folder: Path, fingerprint: str) -> Path:
    """Make the scratch folder of this very job; what jobs with other frames or settings left is removed."""
    clear(folder, but=fingerprint)
    scratch = folder / SCRATCH / fingerprint
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def clear(folder: Path, *, but: str = "") -> None:
    """Remove scratch folders of `folder`: first renamed, so that none is ever found half removed."""
    trash = folder / f"{SCRATCH}-trash"
    shutil.rmtree(trash, ignore_errors=True)
    if not (folder / SCRATCH).is_dir():
        return
    for other in (folder / SCRATCH).iterdir():
        if other.name != but:
            trash.mkdir(exist_ok=True)
            os.replace(other, trash / other.name)
    shutil.rmtree(trash, ignore_errors=True)
    if not but:
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def _survey(
    paths: Sequence[Path], chosen: NightSettings, processes: int, failed: _Failed, say: Progress
) -> list[Sighting]:
    jobs = [(path, chosen.telescope) for path in paths]
    outcome = run_jobs(look, jobs, processes=processes, progress=lambda done, of: say("survey", done, of))
    return _good([path.name for path in paths], outcome, failed)


def _good(names: Sequence[str], outcome: Sequence[Result | FrameError], failed: _Failed) -> list[Result]:
    """Return the results, and put the reason of every error under its frame's name."""
    failed |= {name: str(it) for name, it in zip(names, outcome, strict=True) if isinstance(it, FrameError)}
    failed.passing |= {name for name, it in zip(names, outcome, strict=True) if isinstance(it, PassingError)}
    return [it for it in outcome if not isinstance(it, FrameError)]


def _folder_name(name: str) -> str:
    """Name of a folder for the frame `name`: readable, safe, and another one for every other frame."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80].lstrip(".")
    return f"{safe}-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:12]}"


def _frames(
    sightings: Sequence[Sighting], baseline: Baseline, chosen: NightSettings, model: str | Classifier,
    work: Path, processes: int, failed: _Failed, say: Progress,
) -> list[Path]:  # fmt: skip
    placed = [sighting for sighting in sightings if sighting.name in baseline.transforms]
    folder = work / "frames" / baseline.path.stem  # of another reference they would be others
    jobs = [
        FrameJob(
            sighting.path, sighting.name, sighting.measurement, baseline.transforms[sighting.name], baseline.path,
            chosen, model, folder / _folder_name(sighting.name),
        )
        for sighting in placed
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    outcome = run_jobs(process_frame, jobs, processes=processes, progress=lambda done, of: say("frames", done, of))
    return _good([sighting.name for sighting in placed], outcome, failed)
