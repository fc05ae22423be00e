"""Rows made ready: what a batch is made of, in memory or in a mapped file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config import TrainingConfig
from ..preprocess import Preprocess
from ..stamps import StampSet
from .planes import open_planes, prepare_planes

__all__ = ["Part", "cuts", "make_part"]


@dataclass(frozen=True)
class Part:
    """Rows that are trained on or validated against.

    Where the planes lie in a file, a part that is sent to another process takes its name along,
    not the planes.

    Parameters
    ----------
    planes : Tensor of float16, shape (V, M, P, S, S)
        V versions of the M stamps that occur.
    position : Tensor of int64, shape (N,)
        Which of the M stamps each row is.
    labels, weights : Tensor of float32, shape (N,)
        One entry a row.
    path : Path or None
        The file of the planes, where they are mapped.
    targets : Tensor of float32, shape (N,), or None
        What the loss compares with where that is not the labels: soft scores of a teacher, in [0, 1].
    """

    planes: Tensor
    position: Tensor
    labels: Tensor
    weights: Tensor
    path: Path | None = None
    targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({} if self.path is None else {"planes": None})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.path is not None:
            self.__dict__["planes"] = open_planes(self.path)

    def on(self, device: torch.device) -> Part:
        """Return the part for training on a device; the planes too, where they take up less than half of it."""
        planes = self.planes
        if device.type == "cuda" and planes.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
            planes = planes.to(device)
        position, labels, weights = (value.to(device) for value in (self.position, self.labels, self.weights))
        targets = None if self.targets is None else self.targets.to(device)
        return replace(self, planes=planes, position=position, labels=labels, weights=weights, targets=targets)

    def wanted(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return what the loss compares rows with: the targets, or the labels where there are none."""
        return (self.labels if self.targets is None else self.targets)[rows]

    def batch(self, rows: Tensor, variants: Tensor) -> Tensor:
        """Return planes (B, P, S, S), float32, of rows and versions, on the device of the labels."""
        where = self.planes.device
        planes = self.planes[variants.to(where), self.position[rows].to(where)]
        return planes.to(self.labels.device, torch.float32)


def make_part(
    stamps: StampSet,
    rows: NDArray[np.int64],
    weights: NDArray[np.float32],
    preprocess: Preprocess,
    config: TrainingConfig,
    rng: np.random.Generator | None,
    path: Path | None = None,
    targets: NDArray[np.float32] | None = None,
) -> Part:
    """Preprocess the rows that occur, once each, and lay out what a batch is made of.

    Parameters
    ----------
    stamps : StampSet
        The stamps.
    rows : ndarray of int, shape (N,)
        Rows; repetitions count.
    weights : ndarray of float32, shape (len(stamps),)
        Weight of each stamp in the loss.
    preprocess : Preprocess
        From stamps to planes.
    config : TrainingConfig
        Versions and jitter.
    rng : numpy.random.Generator or None
        Source of the jitter; None prepares one version without.
    path : path, optional
        File for the planes; they stay in memory where absent.
    targets : ndarray of float32, shape (len(stamps),), optional
        Soft targets of each stamp; the labels where absent.
    """
    unique, position = np.unique(rows, return_inverse=True)
    planes = prepare_planes(stamps, unique, preprocess, config, rng, path)
    labels = torch.from_numpy(stamps.labels[rows].astype(np.float32))
    soft = None if targets is None else torch.from_numpy(targets[rows])
    return Part(planes, torch.from_numpy(position), labels, torch.from_numpy(weights[rows]), path, soft)


def cuts(count: int, batch: int, least: int = 2) -> Iterator[tuple[int, int]]:
    """Where batches start and stop; a last one of fewer than `least` rows joins the one before.

    A batch of one has no variance to normalise by.

    Examples
    --------
    >>> list(cuts(7, 3)), list(cuts(8, 3))
    ([(0, 3), (3, 7)], [(0, 3), (3, 6), (6, 8)])
    """
    edges = [*range(0, count, batch), count]
    while len(edges) > 2 and edges[-1] - edges[-2] < least:
        del edges[-2]
    return itertools.pairwise(edges)
