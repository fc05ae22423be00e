"""The main job: a night of frames in, a ranked candidate list out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy.table import Table

from .. import __version__
from ..classifier import Classifier
from ..errors import ConfigError, FrameError, InputError
from ..files import FolderLock
from ..images.read import find_frames
from ..processes import processors
from ..runtimes import default_model, load_classifier
from . import products
from .associate import add_sources, detector_fixed, flag_known, read_known
from .chain import FrameResult
from .deliver import deliver
from .flags import add_flags
from .prepare import check_reference
from .settings import NightSettings, model_identity, prepare_output
from .tally import calibrated, counts, gather, injections, passes, scores_of
from .work import Progress, Work, carry_out, clear, own

__all__ = ["NightResult", "night"]


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
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(f"threshold {threshold:g}: scores lie between 0 and 1")
    if not known_radius_arcsec > 0:
        raise ConfigError(f"known radius {known_radius_arcsec:g} arcsec: give a distance above 0")
    chosen = settings if settings is not None else NightSettings(**choices)
    also = products.check_formats(also)
    catalogue = read_known(known) if known is not None else Table()
    paths = _frames(frames)
    source = default_model() if model is None else model
    classifier = load_classifier(source) if isinstance(source, (str, Path)) else source
    folder = prepare_output(Path(out), paths)
    check_reference(chosen)
    # An object cannot be handed to another process, a path can.
    handed = str(source) if isinstance(source, (str, Path)) else classifier
    processes = _processes(jobs) if isinstance(handed, str) else 1

    with FolderLock(folder):
        identity = model_identity(source, classifier.card.to_json())
        scratch = own(folder, chosen.fingerprint(paths, identity))
        work = carry_out(paths, chosen, handed, scratch, processes, progress or (lambda stage, done, of: None))
        clock = perf_counter()
        results = [FrameResult.load(part) for part in work.parts]
        rows, truth = gather(results), injections(results)
        summary: dict[str, Any] = {
            "realbogus": __version__,
            "frames": {"in": len(paths), "used": len(work.parts), "failed": dict(sorted(work.failed.items()))},
            "telescope": chosen.telescope, "method": chosen.method, "detector": chosen.detector,
            "model": classifier.card.name, "model_version": classifier.card.version,
            "settings": vars(chosen), "warnings": _warnings(work),
        }  # fmt: skip
        if work.baseline is not None and len(rows):
            fwhm = work.baseline.reference.measurement.fwhm
            add_sources(rows, fwhm)
            add_flags(rows, detector_fixed(rows, fwhm))
            flag_known(rows, catalogue, known_radius_arcsec)
            if len(catalogue) and not np.isfinite(np.asarray(rows["ra"], dtype=float)).any():
                summary["warnings"].append(
                    "no frame has a WCS, so no candidate could be matched with the known objects"
                )
        cut = classifier.card.threshold if threshold is None else float(threshold)
        if chosen.calibrate and len(rows):
            try:
                summary["calibration"] = calibrated(rows, truth, chosen.completeness)
                cut = summary["calibration"]["threshold"] if threshold is None else cut
            except InputError as error:
                summary["warnings"].append(f"the threshold was not calibrated: {error}")
        summary["threshold"] = cut
        summary |= counts(rows, truth, cut, injected=bool(chosen.inject))
        rows = _with_verdict(rows, cut, classifier)
        summary["seconds"] = work.seconds | {"gather": perf_counter() - clock}
        rows, summary = deliver(folder, rows, truth, summary, work, results, also, started, chosen.reference)
        clear(folder)
        if not work.parts:
            name, reason = next(iter(work.failed.items()))
            raise FrameError(
                f"none of the {len(paths)} frames could be used; the first, {name}: {reason}. "
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
    return jobs or processors()


def _warnings(work: Work) -> list[str]:
    if work.baseline is None:
        return []
    members = work.baseline.reference.members
    if len(members) < 5 and set(members) & {part.name for part in work.parts}:
        return [
            f"the reference is made of only {len(members)} of the night's own frames: what changed is partly in it; "
            "give more frames, or a reference of another night"
        ]
    return []


def _with_verdict(rows: Table, threshold: float, classifier: Classifier) -> Table:
    if not len(rows):
        return products.no_rows()
    rows["real"] = passes(scores_of(rows["score"]), threshold)
    rows["threshold"] = np.full(len(rows), threshold)
    rows["model"] = np.full(len(rows), classifier.card.name)
    rows["model_version"] = np.full(len(rows), classifier.card.version)
    return products.in_order(products.rank(rows))
