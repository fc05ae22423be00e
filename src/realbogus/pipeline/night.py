"""The main job: a night of frames in, a ranked candidate list out."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from .. import __version__
from ..classifier import Classifier
from ..errors import FrameError, InputError
from ..images.read import find_frames
from ..runtimes import default_model, load_classifier
from . import products
from .associate import add_sources, detector_fixed, flag_known, read_known
from .calibrate import completeness_bins
from .chain import FrameJob, FrameResult, process_frame
from .flags import add_flags
from .page import write_report
from .prepare import Baseline, prepare_reference
from .settings import NightSettings, prepare_output
from .survey import Sighting, look
from .tally import calibrated, counts, gather, injections, scores_of
from .workers import run_jobs

__all__ = ["NightResult", "night"]

#: Sources that the report shows as triptychs.
REPORT_ROWS = 100

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class NightResult:
    """Where a night's results are, and what they say.

    Parameters
    ----------
    folder : Path
        The output folder.
    candidates : astropy.table.Table
        Every detection, best first; `score` is masked where none was possible.
    summary : dict
        What `summary.json` holds.
    """

    folder: Path
    candidates: Table
    summary: dict[str, Any]

    @property
    def report(self) -> Path:
        """Path of the HTML report."""
        return self.folder / "report.html"


def night(
    frames: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    settings: NightSettings | None = None,
    model: str | Path | Classifier | None = None,
    threshold: float | None = None,
    known: Path | str | None = None,
    known_radius_arcsec: float = 5.0,
    also: Sequence[str] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> NightResult:
    """Find what changed in a night of frames.

    Reads and measures the frames, builds (or takes) a reference, subtracts it from every
    frame, detects, cuts 64 x 64 stamps, scores them and writes a ranked list with a report.
    A frame that cannot be used is named with its reason and never stops the night. Work is
    kept frame by frame: a night that was cut off carries on when it is started again.

    Parameters
    ----------
    frames : path or sequence of paths
        A folder of FITS frames, or the frames.
    out : path
        Folder for the results; made where it is missing.
    settings : NightSettings, optional
        All choices at once; `choices` are the same by name (`telescope`, `reference`,
        `method`, `inject`, `inject_snr`, `seed`, `calibrate`, ...).
    model : path or Classifier, optional
        What scores; the shipped model by default. An object works in this process alone.
    threshold : float, optional
        `score >= threshold` is real; the model's own by default, the calibrated one with `calibrate`.
    known : path, optional
        Catalogue of known variables to flag; any table astropy reads with `ra` and `dec`.
    known_radius_arcsec : float
        How near a known object must be, arcseconds.
    also : sequence of {"csv", "ecsv", "votable", "reg"}
        Formats beside Parquet.
    jobs : int, optional
        Processes; as many as there are processors by default.
    progress : callable, optional
        Called with (stage, done, all).

    Returns
    -------
    NightResult

    Raises
    ------
    InputError
        No frames, or an option that cannot be met.
    OutputError
        The output cannot be written.
    FrameError
        Not one frame can be used; `summary.json` has the reason of each.

    Examples
    --------
    >>> import realbogus
    >>> realbogus.night("no/such/folder", "out")
    Traceback (most recent call last):
        ...
    realbogus.errors.InputError: ...
    """
    started = perf_counter()
    chosen = settings if settings is not None else NightSettings(**choices)
    also = products.check_formats(also)
    catalogue = read_known(known) if known is not None else Table()
    paths = _frames(frames)
    source = default_model() if model is None else model
    by_path = isinstance(source, (str, Path))
    classifier = load_classifier(source) if isinstance(source, (str, Path)) else source
    folder = prepare_output(Path(out))
    processes = _processes(jobs) if by_path else 1
    work = folder / "work" / chosen.fingerprint(paths, classifier.card.to_json())
    _clear_others(work)
    say = progress or (lambda stage, done, of: None)
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}

    clock = perf_counter()
    sightings = _survey(paths, chosen, processes, failed, say)
    seconds["survey"] = perf_counter() - clock
    clock = perf_counter()
    baseline, parts = None, []
    if sightings:
        say("reference", 0, 1)
        baseline = prepare_reference(sightings, chosen, work / "reference.fits")
        failed |= baseline.failed
        say("reference", 1, 1)
        seconds["reference"] = perf_counter() - clock
        clock = perf_counter()
        model_of_jobs = str(source) if by_path else classifier
        parts = _frames_done(sightings, baseline, chosen, model_of_jobs, work, processes, failed, say)
        seconds["frames"] = perf_counter() - clock
    clock = perf_counter()
    results = [FrameResult.load(part) for part in parts]
    rows = gather(results)
    truth = injections(results)
    warnings: list[str] = []
    if len(rows):
        fwhm = baseline.reference.measurement.fwhm if baseline else 3.0
        add_sources(rows, fwhm)
        add_flags(rows, detector_fixed(rows, fwhm))
        flag_known(rows, catalogue, known_radius_arcsec)
        if len(catalogue) and not np.isfinite(np.asarray(rows["ra"], dtype=float)).any():
            warnings.append("no frame has a WCS, so no candidate could be matched with the known objects")
    cut = classifier.card.threshold if threshold is None else float(threshold)
    summary: dict[str, Any] = {
        "realbogus": __version__,
        "frames": {"in": len(paths), "used": len(parts), "failed": dict(sorted(failed.items()))},
        "telescope": chosen.telescope, "method": chosen.method, "detector": chosen.detector,
        "model": classifier.card.name, "model_version": classifier.card.version,
        "settings": vars(chosen), "warnings": warnings,
    }  # fmt: skip
    if chosen.calibrate and len(rows):
        summary["calibration"] = calibrated(rows, truth, chosen.completeness)
        cut = summary["calibration"]["threshold"] if threshold is None else cut
    summary["threshold"] = cut
    summary |= counts(rows, truth, cut, injected=bool(chosen.inject))
    if baseline:
        summary["reference"] = _about(baseline)
        shutil.copyfile(baseline.path, folder / "reference.fits")
    rows = _with_verdict(rows, cut, classifier)
    _stage_seconds(results, seconds)
    if len(rows):
        products.collect(parts, rows, folder / "stamps")
        shown = _triptychs(rows, results)
        rows.remove_columns(["part", "row"])
    else:
        shown = (np.zeros((0, 3, 64, 64), np.float32), np.zeros(0, np.int64))
    products.write_candidates(rows, folder, also)
    seconds["products"] = perf_counter() - clock
    summary["seconds"] = seconds | {"total": perf_counter() - started}
    summary["peak_rss_mb"] = products.peak_rss_mb()
    summary = products.plain(summary)
    completeness = None
    if len(truth):
        completeness = completeness_bins(truth, scores_of(truth["score"]) >= cut)
    write_report(
        folder / "report.html", summary=summary, candidates=rows, triptychs=shown[0], triptych_rows=shown[1],
        frames=_frame_table(results, failed, rows), completeness=completeness,
    )  # fmt: skip
    summary["seconds"]["total"] = perf_counter() - started
    products.write_json(folder / "summary.json", summary)
    shutil.rmtree(folder / "work", ignore_errors=True)
    if not parts:
        first = next(iter(failed.items()), ("", "no reason given"))
        raise FrameError(
            f"none of the {len(paths)} frames could be used; the first, {first[0]}: {first[1]}. "
            f"{folder / 'summary.json'} has the reason of each"
        )
    return NightResult(folder, rows, summary)


def _frames(frames: Path | str | Sequence[Path | str]) -> list[Path]:
    if isinstance(frames, (str, Path)):
        return find_frames(frames)
    paths = [Path(path) for path in frames]
    names = [path.name for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not paths or twice:
        raise InputError(f"frames must be at least one and have different names; twice: {', '.join(twice) or 'none'}")
    return paths


def _processes(jobs: int | None) -> int:
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs {jobs}: give the number of processes, 1 or more")
    return jobs or os.cpu_count() or 1


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


def _frames_done(
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


def _about(baseline: Baseline) -> dict[str, Any]:
    reference = baseline.reference
    return {
        "members": list(reference.members), "fwhm": reference.measurement.fwhm, "noise": reference.measurement.noise,
        "shape": list(reference.frame.shape), "covered": float((reference.coverage > 0).mean()),
    }  # fmt: skip


def _with_verdict(rows: Table, threshold: float, classifier: Classifier) -> Table:
    if not len(rows):
        return rows
    rows["real"] = scores_of(rows["score"]) >= threshold
    rows["threshold"] = np.full(len(rows), threshold)
    rows["model"] = np.full(len(rows), classifier.card.name)
    rows["model_version"] = np.full(len(rows), classifier.card.version)
    return products.in_order(products.rank(rows))


def _stage_seconds(results: Sequence[FrameResult], seconds: dict[str, float]) -> None:
    """Add what the stages inside `frames` took, summed over all frames and processes."""
    for result in results:
        for stage, value in result.facts["seconds"].items():
            seconds[stage] = seconds.get(stage, 0.0) + value


def _triptychs(rows: Table, results: Sequence[FrameResult]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Science, reference and difference of the best detection of each of the best sources."""
    seen: set[str] = set()
    pixels, shown = [], []
    for index in range(len(rows)):
        row = rows[index]
        if row["source"] in seen:
            continue
        result = results[int(row["part"])]
        at = np.flatnonzero(result.triptych_rows == int(row["row"]))
        if not len(at):
            continue
        seen.add(row["source"])
        difference, science, reference = result.triptychs[at[0]]
        pixels.append(np.stack([science, reference, difference]))
        shown.append(index)
        if len(shown) == REPORT_ROWS:
            break
    return np.array(pixels, np.float32).reshape(-1, 3, 64, 64), np.array(shown, np.int64)


def _frame_table(results: Sequence[FrameResult], failed: dict[str, str], rows: Table) -> Table:
    passed: dict[str, int] = {}
    if len(rows):
        names, number = np.unique(np.asarray(rows["frame"])[np.asarray(rows["real"])], return_counts=True)
        passed = dict(zip(names.tolist(), number.tolist(), strict=True))
    numbers = (
        "mjd",
        "fwhm",
        "sky",
        "noise",
        "ellipticity",
        "stars",
        "residual_px",
        "noise_ratio",
        "kernel_stars",
        "detections",
    )
    lines = []
    for result in results:
        facts = result.facts
        line = {name: np.nan if facts.get(name) is None else float(facts[name]) for name in numbers}
        lines.append(
            line | {"frame": facts["frame"], "status": "used", "reason": "", "convolved": facts["convolved"],
                    "above_threshold": passed.get(facts["frame"], 0)}
        )  # fmt: skip
    for name, reason in failed.items():
        lines.append(
            dict.fromkeys(numbers, np.nan)
            | {"frame": name, "status": "failed", "reason": reason, "convolved": "", "above_threshold": -1}
        )
    return Table(rows=sorted(lines, key=lambda line: str(line["frame"])))
