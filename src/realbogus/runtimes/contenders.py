"""The same model in the runtimes that a benchmark holds side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..classifier import Classifier
from ..ensemble import Ensemble
from ..errors import ConfigError
from ..registry import Registry
from . import load_classifier
from .bundle import Bundle
from .node import Node
from .onnx import Device, OnnxClassifier

__all__ = ["CONTENDERS", "Contender", "label_of"]

#: From the path of a model, a number of threads and a device to the classifier that is timed.
Contender = Callable[[Path, int, Device], Classifier]

#: What is timed, by name.
CONTENDERS: Registry[Contender] = Registry("contender")


@CONTENDERS.register("itself")
def itself(path: Path, threads: int, device: Device = "cpu") -> Classifier:
    """Open what was named."""
    model = load_classifier(path, threads=threads, device=device)
    if _in_torch(model):
        _set_torch_threads(threads)
    return model


@CONTENDERS.register("pytorch")
def pytorch(path: Path, threads: int, device: Device = "cpu") -> Classifier:
    """Run the networks in eager PyTorch, f32; with random weights where the weights lie in another format."""
    _set_torch_threads(threads)
    return _in_pytorch(load_classifier(path), device)


@CONTENDERS.register("onnxruntime")
def onnxruntime(path: Path, threads: int, device: Device = "cpu") -> Classifier:
    """Run the networks in ONNX Runtime, f32; with random weights where the weights are not those of f32."""
    return _in_onnxruntime(load_classifier(path), threads, device)


@CONTENDERS.register("ungated")
def ungated(path: Path, threads: int, device: Device = "cpu") -> Classifier:
    """Open a bundle without its gate: every stamp goes through its networks."""
    model = load_classifier(path, threads=threads, device=device)
    if not isinstance(model, Bundle) or model.gate is None:
        raise ConfigError(f"{path} has no gate that could be left out")
    return model.with_gate(None)


def label_of(model: Classifier) -> str:
    """Return what a model runs in, for tables, with the arithmetic that is really used on this processor.

    Examples
    --------
    >>> from realbogus.classifier import Card
    >>> from realbogus.model import Model
    >>> label_of(Model.create(Card(name="toy", architecture="compact")))
    'pytorch f32'
    """
    if isinstance(model, Bundle):
        used = "+".join(sorted({leaf.used for leaf in model.root.leaves()}))
        where = "".join(sorted({_where(network) for network in model.root.networks()}))
        gated = "" if model.gate is None else " gated"
        return f"{'onnxruntime' if model.runtime == 'onnx' else model.runtime} {used}{where}{gated}"
    if isinstance(model, OnnxClassifier):
        return f"onnxruntime f32{_where(model)}"
    if isinstance(model, Ensemble):
        return " + ".join(sorted({label_of(member) for member in model.members}))
    return f"pytorch f32{_where(model)}"


def _where(model: object) -> str:
    device = str(getattr(model, "device", "cpu"))
    return "" if device == "cpu" else f" {device}"


def _in_pytorch(model: Classifier | Node, device: Device = "cpu") -> Classifier:
    if isinstance(model, Bundle):
        return _in_pytorch(model.root, device)
    members = getattr(model, "members", ())
    if members:
        return Ensemble([_in_pytorch(member, device) for member in members], model.card)
    try:
        from ..model import Model
    except ImportError as error:
        raise ConfigError(f"torch is not installed ({error})") from error
    return (
        Model(model.network, model.card, device=device)
        if isinstance(model, Model)
        else Model.create(model.card, device=device)
    )


def _in_onnxruntime(model: Classifier | Node, threads: int, device: Device) -> Classifier:
    if isinstance(model, Bundle):
        return _in_onnxruntime(model.root, threads, device)
    members = getattr(model, "members", ())
    if members:
        return Ensemble([_in_onnxruntime(member, threads, device) for member in members], model.card)
    network = model.network if isinstance(model, Node) else model
    graph, weights = getattr(network, "contents", (b"", b""))
    if not graph or weights:  # torch, or quantised
        try:
            from .export import to_onnx
        except ImportError as error:
            raise ConfigError(f"torch is not installed ({error}), and the weights are not in ONNX") from error
        exported = _in_pytorch(model)
        graph = to_onnx(exported).contents[0]  # type: ignore[arg-type]
    return OnnxClassifier(graph, threads=threads, device=device)


def _in_torch(model: Classifier) -> bool:
    return "pytorch" in label_of(model)


def _set_torch_threads(threads: int) -> None:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(f"torch is not installed ({error})") from error
    if threads > 0:
        torch.set_num_threads(threads)
