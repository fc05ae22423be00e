"""One frame of a night, from its file to scored candidates."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray

from ..classifier import Classifier
from ..images.align import Transform
from ..images.candidates import CHANNELS, find_candidates
from ..images.frame import Frame
from ..images.headers import sky_positions
from ..images.inject import inject
from ..images.measure import Measurement
from ..images.read import read_frame
from ..images.reference import Reference, warp_reference
from ..images.reference_io import read_reference
from ..images.subtract.masks import join_masks, unusable
from ..runtimes import load_classifier
from ..stamps import StampSet
from ..tables import read_parquet, write_parquet
from .settings import NightSettings

__all__ = ["FrameJob", "FrameResult", "no_truth", "process_frame"]

_MATCH_RADIUS_PX = 2.5
#: Sources injected into a frame to calibrate a threshold, where the user injects none.
CALIBRATION_SOURCES = 20


@dataclass(frozen=True)
class FrameJob:
    """All that is needed to work on one frame in another process."""

    path: Path
    name: str
    measurement: Measurement
    transform: Transform
    reference: Path
    settings: NightSettings
    model: str | Classifier
    folder: Path
    best_triptychs: int = 60


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave; its pixels stay on disk until they are asked for.

    Parameters
    ----------
    folder : Path
        Where it lies: a stamp set, triptychs, truth and facts.
    catalogue : Table
        A row for every detection; `score` is masked where none was possible.
    triptych_rows : ndarray of int, shape (M,)
        Rows that the stored triptychs show: the best-scored.
    truth : Table
        Injected sources (`x`, `y`, `snr`, `flux`) with `detected` and `score`; empty without injection.
    trial : Table
        The same for the injections that serve calibration only.
    facts : dict
        Quality and timing of the frame.
    """

    folder: Path
    catalogue: Table
    triptych_rows: NDArray[np.int64]
    truth: Table
    trial: Table
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> FrameResult:
        """Read what `save_result` wrote."""
        with np.load(folder / "triptychs.npz", allow_pickle=False) as data:
            rows = data["rows"]
        truth, trial = (read_parquet(folder / f"{name}.parquet") for name in ("truth", "trial"))
        facts = json.loads((folder / "facts.json").read_text())
        return cls(folder, read_parquet(folder / "catalogue.parquet"), rows, truth, trial, facts)

    def triptychs(self) -> NDArray[np.float32]:
        """Difference, science and reference of `triptych_rows`, shape (M, 3, 64, 64)."""
        with np.load(self.folder / "triptychs.npz", allow_pickle=False) as data:
            pixels: NDArray[np.float32] = data["pixels"]
        return pixels


def save_result(
    folder: Path,
    stamps: StampSet,
    triptychs: NDArray[np.float32],
    rows: NDArray[np.int64],
    truth: Table,
    trial: Table,
    facts: dict[str, Any],
) -> None:
    """Write a frame's result so that it is there whole or not at all."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    stamps.save(partial)
    np.savez(partial / "triptychs.npz", pixels=triptychs, rows=rows)
    write_parquet(truth, partial / "truth.parquet")
    write_parquet(trial, partial / "trial.parquet")
    (partial / "facts.json").write_text(json.dumps(facts))
    os.replace(partial, folder)


def process_frame(job: FrameJob) -> Path:
    """Align, subtract, detect, cut and score one frame; the result is written to `job.folder`.

    Returns
    -------
    Path
        `job.folder`. A result that is already there is left as it is, so a night that was
        cut off carries on.

    Raises
    ------
    FrameError
        The frame cannot be used; the message says why.
    """
    if job.folder.is_dir():  # made by a rename, so it is whole
        return job.folder
    clock = perf_counter()
    settings = job.settings
    frame = read_frame(job.path, settings.telescope)
    seconds = {"read": perf_counter() - clock}
    clock = perf_counter()
    deep = _reference(job.reference, job.reference.stat().st_mtime_ns)
    reference = warp_reference(deep, job.transform, frame.shape)
    seconds["align"] = perf_counter() - clock
    classifier = _classifier(job.model)
    allowed = _searched(frame, reference, job.measurement)

    truth = trial = no_truth()
    science = frame
    if settings.inject:
        science, truth = _inject(frame, job, allowed, settings.inject)
    elif settings.calibrate:
        trial = _trial(frame, reference, job, allowed, classifier)
    stamps, difference_facts, more_seconds, triptychs, shown = _candidates(science, reference, job, classifier)
    seconds |= more_seconds
    rows = stamps.catalogue
    _match_truth(rows, truth)
    _coordinates(rows, frame, deep, job.transform)
    facts = _facts(frame, job) | difference_facts | {"seconds": seconds, "detections": len(rows)}
    facts["searched_pixels"] = int(allowed.sum())
    save_result(job.folder, stamps, triptychs, shown, truth, trial, facts)
    return job.folder


def _searched(frame: Frame, reference: Reference, measurement: Measurement) -> NDArray[np.bool_]:
    """Pixels in which a source can be found at all; the others are masked in the difference."""
    fwhm = max(measurement.fwhm, reference.measurement.fwhm)
    mask = join_masks(frame.mask, reference.frame.mask, fwhm=fwhm, reach=int(np.ceil(2 * fwhm)), convolved="reference")
    return ~unusable(mask)


@lru_cache(maxsize=1)
def _reference(path: Path, written: int) -> Reference:
    """Read a reference once a process; `written` is its time, so that a new one is read anew."""
    return read_reference(path)


@lru_cache(maxsize=1)
def _load(path: str, written: int) -> Classifier:
    return load_classifier(path, threads=1)


def _classifier(model: str | Classifier) -> Classifier:
    return _load(model, Path(model).stat().st_mtime_ns) if isinstance(model, str) else model


def _generator(job: FrameJob) -> np.random.Generator:
    # The name, not the position, so that a frame gets the same sources whatever lies beside it.
    return np.random.default_rng([job.settings.seed, zlib.crc32(job.name.encode())])


def no_truth() -> Table:
    """Return an empty table of injected sources."""
    return Table({name: np.zeros(0) for name in ("x", "y", "flux", "snr", "score")} | {"detected": np.zeros(0, bool)})


def _inject(frame: Frame, job: FrameJob, allowed: NDArray[np.bool_], count: int) -> tuple[Frame, Table]:
    return inject(frame, job.measurement, count, rng=_generator(job), snr=job.settings.inject_snr, allowed=allowed)


def _candidates(
    science: Frame, reference: Reference, job: FrameJob, classifier: Classifier
) -> tuple[StampSet, dict[str, Any], dict[str, float], NDArray[np.float32], NDArray[np.int64]]:
    settings = job.settings
    found = find_candidates(
        science, reference, job.measurement, method=settings.method, detector=settings.detector,
        threshold=settings.detection_threshold, min_area=settings.min_area,
    )  # fmt: skip
    clock = perf_counter()
    rows = found.catalogue
    score = _score(found.pixels, rows, classifier)
    rows["score"] = score
    best = np.argsort(-score.filled(-1.0), kind="stable")[: job.best_triptychs]
    best = best[~np.ma.getmaskarray(score)[best]]
    seconds = found.seconds | {"score": perf_counter() - clock}
    rows["id"] = [f"{job.name}#{k}" for k in range(len(rows))] if len(rows) else np.zeros(0, "U1")
    rows["frame"] = np.full(len(rows), job.name)
    rows["mjd"] = np.full(len(rows), np.nan if science.mjd is None else science.mjd)
    difference = found.difference
    facts = {
        "sigma": difference.sigma, "difference_fwhm": difference.fwhm, "noise_ratio": difference.noise_ratio,
        "convolved": difference.convolved, "scale": difference.scale, "kernel_stars": difference.stars,
        "correlation": difference.correlation, "finite_fraction": difference.finite_fraction,
    }  # fmt: skip
    channels = CHANNELS if settings.triptychs else CHANNELS[:1]
    pixels = found.pixels if settings.triptychs else np.ascontiguousarray(found.pixels[:, :1])
    rows.meta.clear()
    return StampSet(pixels, rows, channels, {"frame": job.name}), facts, seconds, found.pixels[best], best


def _score(pixels: NDArray[np.float32], rows: Table, classifier: Classifier) -> MaskedColumn:
    usable = np.asarray(rows["usable"], dtype=bool)
    wanted = [CHANNELS.index(name) for name in classifier.card.channels]
    score = np.zeros(len(rows), dtype=np.float32)
    if usable.any():
        score[usable] = classifier.predict(
            pixels[usable][:, wanted], noise=rows["noise"][usable], fwhm=rows["fwhm"][usable]
        )
    return MaskedColumn(score, name="score", mask=~usable)


def _trial(
    frame: Frame, reference: Reference, job: FrameJob, allowed: NDArray[np.bool_], classifier: Classifier
) -> Table:
    """Inject into a copy, so that the night's own candidates stay untouched, and see what comes back."""
    filled, truth = _inject(frame, job, allowed, CALIBRATION_SOURCES)
    stamps, *_ = _candidates(filled, reference, replace(job, best_triptychs=0), classifier)
    _match_truth(stamps.catalogue, truth)
    return truth


def _match_truth(rows: Table, truth: Table) -> None:
    """Say which detection is an injected source, and which injected sources were detected."""
    rows["injected"] = np.zeros(len(rows), dtype=bool)
    rows["injected_snr"] = np.full(len(rows), np.nan)
    truth["detected"] = np.zeros(len(truth), dtype=bool)
    truth["score"] = np.full(len(truth), np.nan)
    if not len(rows) or not len(truth):
        return
    distance = np.hypot(
        np.asarray(truth["x"])[:, None] - np.asarray(rows["x"]),
        np.asarray(truth["y"])[:, None] - np.asarray(rows["y"]),
    )
    distance[:, np.asarray(rows["sign"]) < 0] = np.inf
    # A detection near a star it was drawn to still is that source: reach half a PSF where that is more.
    reach = np.maximum(_MATCH_RADIUS_PX, np.asarray(rows["fwhm"], dtype=float) / 2)
    for source in range(len(truth)):
        near = int(distance[source].argmin())
        if distance[source, near] <= reach[near] and not rows["injected"][near]:
            rows["injected"][near] = True
            rows["injected_snr"][near] = truth["snr"][source]
            truth["detected"][source] = True
            if not np.ma.getmaskarray(rows["score"])[near]:
                truth["score"][source] = rows["score"][near]


def _coordinates(rows: Table, frame: Frame, reference: Reference, transform: Transform) -> None:
    x, y = np.asarray(rows["x"], dtype=float), np.asarray(rows["y"], dtype=float)
    rows["ref_x"], rows["ref_y"] = transform.to_source(x, y)
    ra = dec = np.full(len(rows), np.nan)
    if len(rows) and reference.frame.wcs is not None:
        ra, dec = sky_positions(reference.frame.wcs, np.asarray(rows["ref_x"]), np.asarray(rows["ref_y"]))
    elif len(rows) and frame.wcs is not None:
        ra, dec = sky_positions(frame.wcs, x, y)
    rows["ra"], rows["dec"] = ra, dec
    rows["ra"].unit = rows["dec"].unit = "deg"


def _facts(frame: Frame, job: FrameJob) -> dict[str, Any]:
    measurement = job.measurement
    return {
        "frame": job.name, "mjd": frame.mjd, "band": frame.band, "fwhm": measurement.fwhm, "sky": measurement.sky,
        "noise": measurement.noise, "ellipticity": measurement.ellipticity, "stars": len(measurement.stars),
        "residual_px": job.transform.residual_px, "matched": job.transform.matched, "align": job.transform.method,
        "pixel_scale_arcsec": frame.pixel_scale_arcsec, "notes": {k: str(v) for k, v in frame.notes.items()},
        "saturated_pixels": int((frame.mask & 2 != 0).sum()), "bad_pixels": int((frame.mask & 4 != 0).sum()),
    }  # fmt: skip
