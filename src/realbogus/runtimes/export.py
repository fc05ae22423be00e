"""From a `Model` to one ONNX file that is the whole model, checked against it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from ..architectures import reparameterise
from ..errors import ParityError
from ..model import Model
from ..scoring import score_rows
from ..stamps import STAMP_SIZE, StampSet
from .onnx import CARD_KEY, OnnxClassifier

__all__ = ["export_onnx", "parity", "to_onnx"]

_OPSET = 17


def export_onnx(model: Model, path: Path | str, *, stamps: StampSet | None = None, tolerance: float = 1e-4) -> Path:
    """Write a model as one ONNX file: planes in, logits out, the card in the metadata.

    The file is read back and has to score random stamps, and those handed in, as the model
    does; only then it is put in its place.

    Parameters
    ----------
    model : Model
        The trained model.
    path : path
        The `.onnx` file to write.
    stamps : StampSet, optional
        Stamps to compare on besides random ones.
    tolerance : float
        Largest difference of two scores that is let pass.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParityError
        The export does not reproduce the model.
    OutputError
        The file cannot be written.
    """
    return to_onnx(model, stamps=stamps, tolerance=tolerance).save(path)


def to_onnx(model: Model, *, stamps: StampSet | None = None, tolerance: float = 1e-4) -> OnnxClassifier:
    """Export a model as `export_onnx` does, but write nothing: the file's contents are held in memory.

    Raises
    ------
    ParityError
        The export does not reproduce the model.
    """
    exported = OnnxClassifier(_to_bytes(model), threads=1)
    worst = parity(model, exported, stamps)
    if not worst <= tolerance:
        raise ParityError(
            f"the exported {model.card.name} differs from its model by {worst:.2e} in score, more than "
            f"{tolerance:.0e}: nothing was written; the network uses an operation that ONNX renders otherwise"
        )
    return exported


def parity(model: Model, other: OnnxClassifier, stamps: StampSet | None = None) -> float:
    """Return the largest difference between the scores of a model and of its export.

    Parameters
    ----------
    model : Model
        The one.
    other : OnnxClassifier
        The other.
    stamps : StampSet, optional
        Compared on besides 48 random stamps, those that are usable.
    """
    prepare = model.card.preprocess
    pixels, noise, fwhm = _random_stamps(len(prepare.channels), max(STAMP_SIZE, prepare.size))
    # two batch sizes, because the file must not have remembered the one it was traced with
    worst = _difference(model, other, pixels, noise, fwhm, batch=len(pixels))
    worst = max(worst, _difference(model, other, pixels[:5], noise[:5], fwhm[:5], batch=1))
    if stamps is not None and stamps.usable.any():
        one, two = (score_rows(each, stamps, np.flatnonzero(stamps.usable)) for each in (model, other))
        worst = max(worst, float(np.abs(one - two).max()))
    return worst


def _to_bytes(model: Model) -> bytes:
    prepare = model.card.preprocess
    # the branches that only training has are summed into one: the file holds the plain network
    network = reparameterise(model.network.eval())
    example = torch.zeros(2, len(prepare.planes), prepare.size, prepare.size, device=model.device)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter torch calls legacy folds batch normalisation and takes a second, the new one ten.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            cast(Any, buffer),  # the annotation forgets file objects
            dynamo=False,
            input_names=["planes"],
            output_names=["logits"],
            dynamic_axes={"planes": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=_OPSET,
        )
    graph = onnx.load_model_from_string(buffer.getvalue())
    for node in graph.graph.node:
        node.ClearField("doc_string")  # it names files of the machine that exported
    onnx.helper.set_model_props(graph, {CARD_KEY: model.card.to_json()})
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def _random_stamps(channels: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Noise with sources of all strengths in it: what a network might see, and more."""
    rng = np.random.default_rng(0)
    count = 48
    noise = rng.uniform(1, 30, count).astype(np.float32)
    fwhm = rng.uniform(1.8, 7, count).astype(np.float32)
    offset = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offset / (fwhm[:, None] / 2.355)) ** 2)
    source = profile[:, :, None] * profile[:, None, :] * 10 ** rng.uniform(0, 3, count)[:, None, None]
    pixels = rng.standard_normal((count, channels, side, side)) + source[:, None]
    return (pixels * noise[:, None, None, None]).astype(np.float32), noise, fwhm


def _difference(
    model: Model,
    other: OnnxClassifier,
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32],
    fwhm: NDArray[np.float32],
    batch: int,
) -> float:
    one = model.predict(pixels, noise=noise, fwhm=fwhm, batch=batch)
    two = other.predict(pixels, noise=noise, fwhm=fwhm, batch=batch)
    return float(np.abs(one - two).max())
