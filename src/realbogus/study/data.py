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

from ..columns import texts
from ..errors import ConfigError, InputError, OutputError
from ..stamps import StampSet
from .artefact import begin, facts_of, finish

__all__ = ["EXAMPLES", "check_labels", "data_sha256", "data_stage"]

#: Reals that were set aside, kept in `out/data/excluded` for figure 1.
EXAMPLES = 8

#: Stamps read at a time.
_PART = 1024


def data_sha256(stamps: StampSet) -> str:
    """Hash of everything that a study can depend on: channels, all columns of all rows, every pixel."""
    digest = hashlib.sha256("\n".join(stamps.channels).encode())
    for name in sorted(stamps.catalogue.colnames):
        column = np.ma.asarray(stamps.catalogue[name])
        values, hidden = np.ma.getdata(column), np.ma.getmaskarray(column)
        if values.dtype.kind not in "biuf":
            values = np.char.encode(values.astype(str), "utf-8")
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(np.where(hidden, np.zeros((), values.dtype), values)).tobytes())
        digest.update(hidden.tobytes())
    for start in range(0, len(stamps), _PART):
        digest.update(np.ascontiguousarray(stamps.pixels[start : start + _PART], dtype="<f4").tobytes())
    return digest.hexdigest()


def data_stage(
    out: Path,
    scale: str,
    stamps: StampSet | None,
    *,
    jobs: int,
    progress: Callable[[int, int], None],
) -> tuple[StampSet, dict[str, Any]]:
    """Make or keep the stamps in `out/data`; those of the benchmark with examples of reals that were set aside.

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
        The stamps are such as `check_labels` refuses.
    ConfigError
        The folder holds other data.
    """
    folder, ready = out / "data", out / "data" / "stamps"
    inputs: dict[str, Any] = {"scale": scale}
    if stamps is not None:
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
            from ..dataset.benchmark import benchmark_stamps, excluded_stamps

            made = benchmark_stamps(scale, jobs=jobs, out=ready, progress=progress)
            if not (ready / "card.json").exists():
                _keep(made, ready)
            _keep(excluded_stamps(scale, EXAMPLES), folder / "excluded")
        held = StampSet.load(ready)
        check_labels(held)
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


def check_labels(stamps: StampSet) -> None:
    """Refuse stamps that a study cannot learn from and split: labels, columns, usable stamps.

    Raises
    ------
    InputError
        A stamp without a label or not usable, one class alone, a missing column, or a source in two fields.
    """
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
    unusable = int((~stamps.usable).sum())
    if unusable:
        raise InputError(f"{unusable} of {len(stamps)} stamps are not usable: leave them out, a study scores all")
    where: dict[str, str] = {}
    pairs = (texts(stamps.catalogue, name).tolist() for name in ("source", "field"))
    for source, field in zip(*pairs, strict=True):
        if source and where.setdefault(source, field) != field:
            raise InputError(
                f"the source {source!r} is in the fields {where[source]!r} and {field!r}: the honest split parts the "
                "fields, so give each source one name a field, or its fields one name"
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
