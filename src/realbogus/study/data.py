"""The first stage: the benchmark's stamps, or those handed in, as a folder of the study."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, InputError, OutputError
from ..stamps import StampSet
from .artefact import begin, facts_of, finish

__all__ = ["data_sha256", "data_stage"]

_SAMPLED = 512


def data_sha256(stamps: StampSet) -> str:
    """Hash of labels, fields, noise and PSF of all rows and of the pixels of some.

    Every pixel of a few hundred stamps tells two sets apart as well as all would.
    """
    digest = hashlib.sha256()
    for name in ("id", "source", "field"):
        if name in stamps.catalogue.colnames:
            digest.update("\n".join(map(str, stamps.catalogue[name])).encode())
    for column in (stamps.labels.astype("<i8"), stamps.noise.astype("<f4"), stamps.fwhm.astype("<f4")):
        digest.update(np.ascontiguousarray(column).tobytes())
    for row in range(0, len(stamps), max(1, len(stamps) // _SAMPLED)):
        digest.update(np.ascontiguousarray(stamps.pixels[row], dtype="<f4").tobytes())
    return digest.hexdigest()


def data_stage(
    out: Path,
    scale: str,
    stamps: StampSet | None,
    *,
    jobs: int,
    progress: Callable[[int, int], None],
) -> tuple[StampSet, dict[str, Any]]:
    """Make or keep the stamps in `out/data`.

    Parameters
    ----------
    out : Path
        Folder of the study.
    scale : str
        Scale of the benchmark.
    stamps : StampSet or None
        Stamps to use in its place.
    jobs : int
        Processes.
    progress : callable
        Called with (done, of).

    Returns
    -------
    stamps : StampSet
        Memory-mapped.
    facts : dict
        `sha256`, `real`, `bogus`, `fields`, `channels`, `seconds`.

    Raises
    ------
    InputError
        Handed-in stamps without labels or without the columns `source` and `field`.
    ConfigError
        The folder holds other data.
    """
    folder, ready = out / "data", out / "data" / "stamps"
    inputs: dict[str, Any] = {"scale": scale}
    if stamps is not None:
        _check(stamps)
        inputs["sha256"] = data_sha256(stamps)
    else:
        from ..dataset.benchmark import SCALES

        inputs["benchmark"] = asdict(SCALES.resolve(scale))
    before = facts_of(folder, inputs)
    if before is None:
        started = time.perf_counter()
        begin(folder, inputs)
        if stamps is not None:
            _keep(stamps, ready)
        else:
            from ..dataset.benchmark import benchmark_stamps

            made = benchmark_stamps(scale, jobs=jobs, out=ready, progress=progress)
            if not (ready / "card.json").exists():
                _keep(made, ready)
        held = StampSet.load(ready)
        _check(held)
        labels = held.labels
        finish(
            folder,
            inputs,
            {
                "sha256": data_sha256(held),
                "stamps": len(held),
                "real": int((labels == 1).sum()),
                "bogus": int((labels == 0).sum()),
                "sources": len(set(map(str, held.catalogue["source"][labels == 1]))),
                "fields": len(set(map(str, held.catalogue["field"]))),
                "channels": list(held.channels),
                "provenance": dict(held.provenance),
                "seconds": time.perf_counter() - started,
            },
        )
        before = facts_of(folder, inputs)
    if before is None:
        raise ConfigError(f"{folder} was changed while the study worked in it: use a folder of its own for each study")
    return StampSet.load(ready), before


def _check(stamps: StampSet) -> None:
    labels = stamps.labels
    real, bogus = int((labels == 1).sum()), int((labels == 0).sum())
    if real + bogus != len(stamps) or not (real and bogus):
        raise InputError(
            f"a study takes stamps labelled 1 (real) or 0 (bogus), both there; of {len(stamps)}, {real} are real "
            f"and {bogus} bogus: label all, and leave the others out"
        )
    missing = {"source", "field"} - set(stamps.catalogue.colnames)
    if missing:
        raise InputError(
            f"the catalogue lacks the columns {sorted(missing)}, by which the honest split keeps stamps together; "
            f"it has {stamps.catalogue.colnames}"
        )


def _keep(stamps: StampSet, folder: Path) -> None:
    """Save whole or not at all: under another name first."""
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        stamps.save(part)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except OSError as error:
        raise OutputError(f"cannot write stamps to {folder}: {error}; choose a folder with room") from error
