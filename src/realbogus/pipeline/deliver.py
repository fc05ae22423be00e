"""What a night hands over: list, stamps, reference, summary and report, written in one place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..files import plain, write_whole
from . import products
from .calibrate import completeness_bins
from .chain import FrameResult
from .page import write_report
from .prepare import Baseline
from .settings import check_stamps
from .tally import passes, scores_of
from .work import Work

__all__ = ["deliver"]

#: Sources that the report shows as triptychs.
REPORT_ROWS = 100


def deliver(
    folder: Path,
    rows: Table,
    truth: Table,
    summary: dict[str, Any],
    work: Work,
    results: Sequence[FrameResult],
    also: Sequence[str],
    started: float,
    given: Path | str | None = None,
) -> tuple[Table, dict[str, Any]]:
    """Write everything a night leaves behind.

    Parameters
    ----------
    folder : Path
        The output folder.
    rows : Table
        The ranked catalogue; `part` and `row` say where each stamp lies.
    truth : Table
        Injected sources.
    summary : dict
        All that is known so far.
    work : Work
        What was done.
    results : sequence of FrameResult
        One a used frame.
    also : sequence of str
        Formats beside Parquet.
    started : float
        `perf_counter` at the start of the night.
    given : path, optional
        The reference that the user gave.

    Returns
    -------
    rows : Table
        The catalogue as written.
    summary : dict
        As in `summary.json`.
    """
    check_stamps(folder / "stamps")  # once more, before anything is replaced: a night is long enough to vote in
    clock = perf_counter()
    seconds = summary["seconds"]
    _stage_seconds(results, seconds)
    if work.baseline is not None:
        summary["reference"] = _about(work.baseline)
        mine = folder / "reference.fits"
        if given is None or Path(given).resolve() != mine.resolve():  # a user's own file stays as it is
            write_whole(mine, partial(shutil.copyfile, work.baseline.path))
    pixels, shown = np.zeros((0, 3, 64, 64), np.float32), np.zeros(0, np.int64)
    stamps, unfinished = folder / "stamps", folder / ".stamps.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    if len(rows):
        products.collect(work.parts, rows, unfinished)
        pixels, shown = _triptychs(rows, results)
        rows.remove_columns(["part", "row"])
    # whole or not there: what is half a stamp set would be no night's, and refused by the next run
    if stamps.exists():
        shutil.rmtree(folder / ".stamps.old", ignore_errors=True)
        os.replace(stamps, folder / ".stamps.old")
    if unfinished.exists():
        os.replace(unfinished, stamps)
    shutil.rmtree(folder / ".stamps.old", ignore_errors=True)
    products.write_candidates(rows, folder, also)
    seconds["products"] = perf_counter() - clock
    seconds["total"] = perf_counter() - started
    summary["peak_rss_mb"] = products.peak_rss_mb()
    completeness = None
    if len(truth):
        completeness = completeness_bins(truth, passes(scores_of(truth["score"]), summary["threshold"]))
    summary = plain(summary)
    write_report(
        folder / "report.html", summary=summary, candidates=rows, triptychs=pixels, triptych_rows=shown,
        frames=_frame_table(results, work.failed, rows), completeness=completeness,
    )  # fmt: skip
    summary["seconds"]["total"] = perf_counter() - started
    products.write_json(folder / "summary.json", summary)
    return rows, summary


def _about(baseline: Baseline) -> dict[str, Any]:
    reference = baseline.reference
    return {
        "members": list(reference.members), "fwhm": reference.measurement.fwhm, "noise": reference.measurement.noise,
        "shape": list(reference.frame.shape), "covered": float((reference.coverage > 0).mean()),
    }  # fmt: skip


def _stage_seconds(results: Sequence[FrameResult], seconds: dict[str, float]) -> None:
    """Add what the stages inside `frames` took, summed over all frames and processes."""
    for result in results:
        for stage, value in result.facts["seconds"].items():
            seconds[stage] = seconds.get(stage, 0.0) + value


def _triptychs(rows: Table, results: Sequence[FrameResult]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Science, reference and difference of the best detection of each of the best sources.

    Injected sources are no candidates, so they are left out of what people look at.
    """
    seen: set[str] = set()
    wanted: list[tuple[int, int, int]] = []  # row of the catalogue, part, place among the part's triptychs
    parts, places = np.asarray(rows["part"]), np.asarray(rows["row"])
    for index in np.flatnonzero(~np.asarray(rows["injected"], dtype=bool)):
        if rows["source"][index] in seen:
            continue
        at = np.flatnonzero(results[parts[index]].triptych_rows == places[index])
        if not len(at):
            continue
        seen.add(rows["source"][index])
        wanted.append((int(index), int(parts[index]), int(at[0])))
        if len(wanted) == REPORT_ROWS:
            break
    pixels = np.zeros((len(wanted), 3, 64, 64), np.float32)
    for part in {part for _, part, _ in wanted}:  # one frame's pixels in memory at a time
        triptychs = results[part].triptychs()
        for slot, (_, mine, at_place) in enumerate(wanted):
            if mine == part:
                difference, science, reference = triptychs[at_place]
                pixels[slot] = np.stack([science, reference, difference])
    return pixels, np.array([index for index, _, _ in wanted], np.int64)


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
