"""Stamps made ready once: the network's planes of all rows, held in memory."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import TrainingConfig
from ..errors import InputError
from ..preprocess import Preprocess
from ..scoring import channel_indices
from ..stamps import StampSet

__all__ = ["fingerprint", "labelled_rows", "prepare_planes"]

_BATCH = 2048
_HALF_MAX = 65504.0


def labelled_rows(stamps: StampSet, rows: NDArray[np.int64] | None, what: str) -> NDArray[np.int64]:
    """Return the rows that are labelled real or bogus; those to ignore or unlabelled are left out.

    Parameters
    ----------
    stamps : StampSet
        The stamps.
    rows : ndarray of int or None
        Rows to choose from, repetitions kept; None is all.
    what : str
        Name of the part, for messages.

    Raises
    ------
    InputError
        A row does not exist, or one of the two classes is missing.
    """
    chosen = np.arange(len(stamps)) if rows is None else np.asarray(rows, dtype=np.int64)
    if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(stamps):
        raise InputError(f"{what} rows run from {chosen.min()} to {chosen.max()}, but there are {len(stamps)} stamps")
    labels = stamps.labels[chosen]
    real, bogus = int((labels == 1).sum()), int((labels == 0).sum())
    if not (real and bogus):
        raise InputError(
            f"the {what} stamps hold {real} real and {bogus} bogus of {len(chosen)}: "
            "both classes are needed; label more stamps (column `label`) or split them otherwise"
        )
    usable: NDArray[np.int64] = chosen[(labels == 0) | (labels == 1)]
    return usable


def prepare_planes(
    stamps: StampSet,
    rows: NDArray[np.int64],
    preprocess: Preprocess,
    config: TrainingConfig,
    rng: np.random.Generator | None,
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

    Returns
    -------
    Tensor of float16, shape (V, N, P, S, S)
        Half precision: asinh-stretched pixels stay below 20 and far above its smallest step.
    """
    channels = channel_indices(stamps.channels, preprocess.channels)
    jitter = rng is not None and (config.fwhm_jitter > 0 or config.noise_jitter > 0)
    variants = config.variants if jitter else 1
    shape = (variants, len(rows), len(preprocess.planes), preprocess.size, preprocess.size)
    planes = torch.empty(shape, dtype=torch.float16)
    noise, fwhm = stamps.noise[rows], stamps.fwhm[rows]
    sizes = np.tile(fwhm, (variants, 1))
    sigmas = np.tile(noise, (variants, 1))
    if jitter and rng is not None:
        sizes *= np.exp(config.fwhm_jitter * rng.standard_normal(sizes.shape, dtype=np.float32))
        sigmas *= np.exp(config.noise_jitter * rng.standard_normal(sigmas.shape, dtype=np.float32))
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        pixels = stamps.pixels[rows[part]][:, channels]
        for variant in range(variants):
            ready = preprocess(pixels, noise=sigmas[variant, part], fwhm=sizes[variant, part])
            planes[variant, part] = torch.from_numpy(np.clip(ready, -_HALF_MAX, _HALF_MAX))
    return planes


def fingerprint(stamps: StampSet, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Say which data a model was trained on: counts, and a hash of rows, labels and sampled pixels.

    Returns
    -------
    dict
        `stamps`, `real`, `bogus`, `sha256` and the set's `provenance`.
    """
    digest = hashlib.sha256()
    labels = stamps.labels[rows]
    for column in (rows.astype("<i8"), labels.astype("<i8"), stamps.noise[rows], stamps.fwhm[rows]):
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
