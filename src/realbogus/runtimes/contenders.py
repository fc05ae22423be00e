"""The same model in the runtimes that a benchmark holds side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classifier import Card, Classifier
from ..ensemble import Ensemble
from ..errors import ConfigError
from ..registry import Registry
from ..stamps import STAMP_SIZE
from . import load_classifier
from .bundle import Bundle, Node
from .onnx import OnnxClassifier

__all__ = ["CONTENDERS", "Contender", "label_of", "random_stamps"]

#: From the path of a model and a number of threads to the classifier that is timed.
Contender = Callable[[Path, int], Classifier]

#: What is timed, by name.
CONTENDERS: Registry[Contender] = Registry("contender")


@CONTENDERS.register("itself")
def itself(path: Path, threads: int) -> Classifier:
    """Open what was named."""
    model = load_classifier(path, threads=threads)
    if _in_torch(model):
        _set_torch_threads(threads)
    return model


@CONTENDERS.register("pytorch")
def pytorch(path: Path, threads: int) -> Classifier:
    """Run the networks in eager PyTorch, f32; with random weights where the weights lie in another format."""
    _set_torch_threads(threads)
    return _in_pytorch(load_classifier(path))


@CONTENDERS.register("onnxruntime")
def onnxruntime(path: Path, threads: int) -> Classifier:
    """Run the networks in ONNX Runtime, f32; with random weights where the weights are not those of f32."""
    return _in_onnxruntime(load_classifier(path), threads)


def label_of(model: Classifier) -> str:
    """Return what a model runs in, for tables.

    Examples
    --------
    >>> from realbogus.model import Model
    >>> label_of(Model.create(Card(name="toy", architecture="compact")))
    'pytorch f32'
    """
    if isinstance(model, Bundle):
        return f"{'onnxruntime' if model.runtime == 'onnx' else model.runtime} {model.precision}"
    if isinstance(model, OnnxClassifier):
        return "onnxruntime f32"
    if isinstance(model, Ensemble):
        return " + ".join(sorted({label_of(member) for member in model.members}))
    return "pytorch f32"


def random_stamps(card: Card, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return stamps, noise and PSF sizes as ten frames might give them: how quick a network is does not depend on more.

    Returns
    -------
    tuple of ndarray
        Pixels (count, C, S, S), noise (count,), fwhm (count,).
    """
    rng = np.random.default_rng(0)
    side = max(STAMP_SIZE, card.preprocess.size)
    frame = np.arange(count) % 10
    noise, fwhm = rng.uniform(3, 10, 10).astype(np.float32)[frame], rng.uniform(2, 4, 10).astype(np.float32)[frame]
    pixels = rng.standard_normal((count, len(card.channels), side, side), dtype=np.float32)
    pixels[:, :, side // 2 - 1 : side // 2 + 2, side // 2 - 1 : side // 2 + 2] += 10.0
    return pixels * noise[:, None, None, None], noise, fwhm


def _in_pytorch(model: Classifier | Node) -> Classifier:
    if isinstance(model, Bundle):
        return _in_pytorch(model.root)
    members = getattr(model, "members", ())
    if members:
        return Ensemble([_in_pytorch(member) for member in members], model.card)
    try:
        from ..model import Model
    except ImportError as error:
        raise ConfigError(f"torch is not installed ({error})") from error
    return model if isinstance(model, Model) else Model.create(model.card)


def _in_onnxruntime(model: Classifier | Node, threads: int) -> Classifier:
    if isinstance(model, Bundle):
        return _in_onnxruntime(model.root, threads)
    members = getattr(model, "members", ())
    if members:
        return Ensemble([_in_onnxruntime(member, threads) for member in members], model.card)
    network = model.network if isinstance(model, Node) else model
    graph, weights = getattr(network, "contents", (b"", b""))
    if not graph or weights:  # torch, or quantised
        try:
            from .export import to_onnx
        except ImportError as error:
            raise ConfigError(f"torch is not installed ({error}), and the weights are not in ONNX") from error
        exported = _in_pytorch(model)
        graph = to_onnx(exported).contents[0]  # type: ignore[arg-type]
    return OnnxClassifier(graph, threads=threads)


def _in_torch(model: Classifier) -> bool:
    return "pytorch" in label_of(model)


def _set_torch_threads(threads: int) -> None:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(f"torch is not installed ({error})") from error
    if threads > 0:
        torch.set_num_threads(threads)
