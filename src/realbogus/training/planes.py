"""Stamps made ready once: the network's planes of all rows, in memory or in a mapped file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..config import TrainingConfig
from ..errors import InputError, OutputError
from ..preprocess import Preprocess
from ..scoring import channel_indices
from ..stamps import StampSet

__all__ = ["check_stamps", "chosen_rows", "fingerprint", "labelled_rows", "open_planes", "prepare_planes"]

_BATCH = 2048
_HALF_MAX = 65504.0


def chosen_rows(rows: ArrayLike | None, count: int, what: str) -> NDArray[np.int64]:
    """Return row numbers from numbers, or from a mask of as many rows as there are; None is all.

    Raises
    ------
    InputError
        A row does not exist, the mask has another length, or the rows are no whole numbers.

    Examples
    --------
    >>> chosen_rows([True, False, True], 3, "training").tolist()
    [0, 2]
    """
    if rows is None:
        return np.arange(count)
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        if chosen.shape != (count,):
            raise InputError(f"the mask of {what} rows has shape {chosen.shape}, but there are {count} stamps")
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and not np.issubdtype(chosen.dtype, np.integer)):
        raise InputError(
            f"{what} rows are {chosen.dtype} of shape {chosen.shape}: hand in a list of row numbers, or a mask"
        )
    if chosen.size and not 0 <= int(chosen.min()) <= int(chosen.max()) < count:
        raise InputError(f"{what} rows run from {chosen.min()} to {chosen.max()}, but there are {count} stamps")
    return chosen.astype(np.int64)


def labelled_rows(stamps: StampSet, rows: ArrayLike | None, what: str) -> NDArray[np.int64]:
    """Return the rows that are labelled real or bogus and usable; all others are left out.

    A stamp is not usable where the catalogue's column `usable` says so: too little of it is on the frame.

    Parameters
    ----------
    stamps : StampSet
        The stamps.
    rows : array_like of int or bool, or None
        Rows to choose from, repetitions kept, or a mask of all; None is all.
    what : str
        Name of the part, for messages.

    Raises
    ------
    InputError
        A row does not exist, or one of the two classes is missing.
    """
    chosen = chosen_rows(rows, len(stamps), what)
    judged = np.isin(stamps.labels, (0, 1)) & stamps.usable
    kept: NDArray[np.int64] = chosen[judged[chosen]]
    real = int((stamps.labels[kept] == 1).sum())
    bogus = len(kept) - real
    if not (real and bogus):
        raise InputError(
            f"the {what} stamps hold {real} real and {bogus} bogus of {len(chosen)}: "
            "both classes are needed; label more stamps (column `label`) or split them otherwise"
        )
    return kept


def prepare_planes(
    stamps: StampSet,
    rows: NDArray[np.int64],
    preprocess: Preprocess,
    config: TrainingConfig,
    rng: np.random.Generator | None,
    path: Path | None = None,
) -> Tensor:
    """Preprocess rows once, or `variants` times with jittered PSF size and noise.

    Parameters
    ----------
    stamps : StampSet
        The stamps; memory-mapped pixels are read in parts.
    rows : ndarray of int, shape (N,)
        Which of them.
    preprocess : Preprocess
        From stamps to planes.
    config : TrainingConfig
        `variants`, `fwhm_jitter`, `noise_jitter`.
    rng : numpy.random.Generator or None
        Source of the jitter; None prepares one version without jitter.
    path : path, optional
        File (`.npy`) to write the planes to and to map them from; memory where absent.

    Returns
    -------
    Tensor of float16, shape (V, N, P, S, S)
        Half precision: asinh-stretched pixels stay below 20 and far above its smallest step.

    Raises
    ------
    InputError
        The stamps lack a channel, or pixels, noise or FWHM are none; the message names the stamps.
    OutputError
        The file cannot be written.
    """
    channels = channel_indices(stamps.channels, preprocess.channels)
    jitter = rng is not None and (config.fwhm_jitter > 0 or config.noise_jitter > 0)
    variants = config.variants if jitter else 1
    shape = (variants, len(rows), len(preprocess.planes), preprocess.size, preprocess.size)
    _refuse_values(stamps, rows, preprocess)
    noise, fwhm = stamps.noise[rows], stamps.fwhm[rows]
    sizes = np.tile(fwhm, (variants, 1))
    sigmas = np.tile(noise, (variants, 1))
    if jitter and rng is not None:
        sizes *= np.exp(config.fwhm_jitter * rng.standard_normal(sizes.shape, dtype=np.float32))
        sigmas *= np.exp(config.noise_jitter * rng.standard_normal(sigmas.shape, dtype=np.float32))
    part_file = None if path is None else path.with_name(path.name + ".part")
    planes = _empty(part_file, shape)
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        pixels = stamps.pixels[rows[part]][:, channels]
        _refuse_nan(stamps, rows[part], pixels)
        for variant in range(variants):
            ready = preprocess(pixels, noise=sigmas[variant, part], fwhm=sizes[variant, part])
            planes[variant, part] = np.clip(ready, -_HALF_MAX, _HALF_MAX)
    if path is None or part_file is None:
        return torch.from_numpy(planes)
    os.replace(part_file, path)
    return open_planes(path)


def open_planes(path: Path) -> Tensor:
    """Map the planes that `prepare_planes` wrote to a file."""
    # copy on write: torch knows no arrays that may only be read, and nobody writes here
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


def _empty(path: Path | None, shape: tuple[int, ...]) -> NDArray[np.float16]:
    if path is None:
        return np.empty(shape, dtype=np.float16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mapped: NDArray[np.float16] = np.lib.format.open_memmap(path, "w+", np.float16, shape)
        with path.open("r+b") as file:  # a full disk is an error here, and a killed process later
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        raise OutputError(f"cannot write the prepared planes {path}: {error}; choose a folder you may write") from error
    return mapped


def check_stamps(stamps: StampSet, rows: ArrayLike | None, preprocess: Preprocess) -> None:
    """Refuse rows that a network cannot see, before hours are spent on others.

    Raises
    ------
    InputError
        A channel is missing, or pixels, a noise or an FWHM are none; the message names the stamps.
    """
    chosen = chosen_rows(rows, len(stamps), "checked")
    channels = channel_indices(stamps.channels, preprocess.channels)
    _refuse_values(stamps, chosen, preprocess)
    for start in range(0, len(chosen), _BATCH):
        part = chosen[start : start + _BATCH]
        _refuse_nan(stamps, part, stamps.pixels[part][:, channels])


def _refuse_values(stamps: StampSet, rows: NDArray[np.int64], preprocess: Preprocess) -> None:
    used = {"noise": preprocess.scale != "stamp", "fwhm": preprocess.needs_fwhm or preprocess.orient}
    for name in (name for name, asked in used.items() if asked):
        values = np.asarray(getattr(stamps, name)[rows])
        bad: NDArray[np.bool_] = np.asarray(~(np.isfinite(values) & (values > 0)))
        _refuse(stamps, rows, bad, f"no {name} that is finite and above zero",
                f"give it in the column {name}")  # fmt: skip


def _refuse_nan(stamps: StampSet, rows: NDArray[np.int64], pixels: NDArray[np.float32]) -> None:
    bad: NDArray[np.bool_] = np.asarray(~np.isfinite(pixels).all(axis=(1, 2, 3)))
    _refuse(stamps, rows, bad, "NaN or infinite pixels", "cut them with `realbogus cut`, which fills such pixels")


def _refuse(stamps: StampSet, rows: NDArray[np.int64], bad: NDArray[np.bool_], what: str, remedy: str) -> None:
    if bad.any():
        names = ", ".join(str(name) for name in stamps.catalogue["id"][rows[bad][:5]])
        more = ", ..." if bad.sum() > 5 else ""
        raise InputError(f"stamps hold {what}: {names}{more}; {remedy}, or leave them out (column `usable` False)")


def fingerprint(stamps: StampSet, rows: NDArray[np.int64], weights: NDArray[np.float32]) -> dict[str, Any]:
    """Say which data a model was trained on: counts, and a hash of rows, labels, weights and sampled pixels.

    Returns
    -------
    dict
        `stamps`, `real`, `bogus`, `sha256` and the set's `provenance`.
    """
    digest = hashlib.sha256()
    labels = stamps.labels[rows]
    for column in (rows.astype("<i8"), labels.astype("<i8"), weights[rows], stamps.noise[rows], stamps.fwhm[rows]):
        digest.update(np.ascontiguousarray(column).tobytes())
    # every pixel of a few hundred stamps tells two sets apart as well as all would
    for row in rows[:: max(1, len(rows) // 256)]:
        digest.update(np.ascontiguousarray(stamps.pixels[row], dtype="<f4").tobytes())
    return {
        "stamps": len(rows),
        "real": int((labels == 1).sum()),
        "bogus": int((labels == 0).sum()),
        "sha256": digest.hexdigest(),
        "provenance": json.loads(json.dumps(dict(stamps.provenance), default=str)),
    }
