"""From a trained model to a bundle: exported, made quicker, certified on held-out stamps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classifier import Classifier
from ..ensemble import Ensemble
from ..errors import InputError, ModelError, ParityError
from ..model import Model
from ..scoring import channel_indices, score_rows, sigmoid, verdicts
from ..stamps import StampSet
from .bf16 import rounded_graph
from .bundle import Bundle
from .bundle_files import check_bundle_place, write_bundle
from .certificate import Certificate, certify, data_hash, held_out_rows, pixel_hashes
from .export import to_onnx
from .gate import Gate, choose_cut
from .node import Node
from .onnx import OnnxClassifier
from .openvino import cpu_has_bf16
from .quantise import SAMPLE, calibration_sample, quantise
from .runtime import Runtime, resolve_runtime
from .tolerance import GATED, Tolerance

__all__ = ["export_bundle"]


def export_bundle(
    model: Classifier,
    folder: Path | str,
    *,
    held_out: StampSet,
    runtime: str = "openvino",
    precision: str = "f32",
    stamps: StampSet | None = None,
    sample: int = SAMPLE,
    most: float = 0.01,
    tolerance: Tolerance | None = None,
    gate: Classifier | None = None,
    gate_stamps: StampSet | None = None,
) -> Bundle:
    """Export a model or an ensemble as a bundle, if it scores as the model does.

    Parameters
    ----------
    model : Classifier
        A `Model`, an `OnnxClassifier`, or an `Ensemble` of such.
    folder : path
        The bundle to write.
    held_out : StampSet
        Labelled stamps that the model was not trained on, for the certificate.
    runtime : str
        A name in `RUNTIMES`.
    precision : {"f32", "bf16", "int8"}
        One that the runtime has.
    stamps : StampSet, optional
        Stamps of the survey to calibrate int8 on; labels are of use but not needed.
    sample : int
        How many of them at most.
    most : float
        Mean change of a score on those above which a network of an ensemble is left in bf16, not int8:
        some (EfficientNets) bear int8 badly, and gain least by it.
    tolerance : Tolerance, optional
        What may change; that of the precision where absent, and `GATED` once they are behind a gate.
    gate : Classifier, optional
        A quick one, as `distil` makes it of the model: what it takes for surely bogus the model need not see.
    gate_stamps : StampSet, optional
        Stamps of the survey that neither was trained on, nor among those held out, with real ones among them: the
        gate's cut is chosen on these (`choose_cut`). Needed with a gate.

    Returns
    -------
    Bundle
        As it was written, with its certificate.

    Raises
    ------
    ParityError
        It changes more than the tolerance allows; nothing was written.
    UnknownNameError, ConfigError
        An unknown runtime, a precision that it has not, or it is not installed.
    InputError
        Stamps that do not fit the model, or without labels of both classes.
    OutputError
        The folder cannot be written or holds other things.
    """
    way = resolve_runtime(runtime, precision)
    if (gate is None) != (gate_stamps is None):
        raise InputError("a gate needs stamps to choose its cut on, and such stamps a gate: hand in both or neither")
    if precision == "int8" and stamps is None:
        raise InputError("int8 needs calibration stamps of the survey: hand in some hundred (`--stamps`)")
    check_bundle_place(folder)
    rows = held_out_rows(held_out)
    before = score_rows(model, held_out, rows)  # stamps that do not fit are found here, before any work
    first = None
    if gate is not None and gate_stamps is not None:
        _check_gate(gate, model, held_out, gate_stamps, stamps)
        first = _exported(gate)
    chosen = None if precision != "int8" or stamps is None else stamps.select(_sample(stamps, sample))
    arithmetic = "bf16" if precision == "bf16" else "f32"
    root = _node(_exported(model), way, arithmetic, chosen, most)
    if precision == "int8" and not any(leaf.quantised for leaf in root.leaves()):
        raise ParityError(
            f"no network of {model.card.name} bears int8: on the calibration stamps scores change by more than "
            f"{most:g} on the mean. Nothing was written: take bf16"
        )

    def certified(bundle: Bundle, nodes: list[Node], limit: Tolerance | None) -> Certificate:
        certificate = certify(
            before,
            score_rows(bundle, held_out, rows),
            held_out.labels[rows],
            threshold=model.card.threshold,
            precision=precision,
            arithmetic=_told(nodes, precision),
            tolerance=limit,
            data=data_hash(held_out, rows),
        )
        certificate.check(model.card.name)
        return certificate

    bundle = Bundle(root, runtime=runtime, precision=precision)
    judged = bundle.with_root(_emulated(root))
    certificate = certified(judged, [root], tolerance)
    if first is not None and gate_stamps is not None:  # the networks behind it have proved themselves
        node = _node(first, way, arithmetic, chosen, most)
        looks = bundle.with_root(_emulated(node))
        cut = _cut(looks, model, gate_stamps)
        passed = float(verdicts(score_rows(looks, held_out, rows), cut).mean())
        bundle = bundle.with_gate(Gate(node, cut, passed))
        judged = judged.with_gate(Gate(looks.root, cut, passed))
        certificate = certified(judged, [root, node], tolerance or GATED)
    return _written(bundle, certificate, folder)


def _check_gate(
    gate: Classifier, model: Classifier, held_out: StampSet, gate_stamps: StampSet, stamps: StampSet | None
) -> None:
    """Refuse stamps without what the gate or the model looks at, and to be judged by the stamps that chose the cut."""
    for each in (held_out, gate_stamps, *([] if stamps is None else [stamps])):
        channel_indices(each.channels, gate.card.channels)
    channel_indices(gate_stamps.channels, model.card.channels)
    both = len(pixel_hashes(gate_stamps) & pixel_hashes(held_out))
    if both:
        raise InputError(
            f"{both} of the stamps to choose the gate's cut on are among those held out, and the certificate would say "
            "nothing: hand in others (`--gate-stamps`)"
        )


def _cut(gate: Classifier, model: Classifier, stamps: StampSet) -> float:
    """Choose the cut of a gate, as it will be deployed, by what it and the model say of the same stamps."""
    rows = np.flatnonzero(stamps.usable)
    said, heard = (score_rows(each, stamps, rows) for each in (gate, model))
    return choose_cut(said, heard, stamps.labels[rows], threshold=model.card.threshold)


def _written(bundle: Bundle, certificate: Certificate, folder: Path | str) -> Bundle:
    bundle.certificate = certificate
    write_bundle(bundle, folder)
    return bundle


def _sample(stamps: StampSet, count: int) -> NDArray[np.int64]:
    return calibration_sample(np.flatnonzero(stamps.usable), stamps.labels, count)


def _exported(model: Classifier) -> OnnxClassifier | Ensemble:
    """Turn every network into ONNX, each checked against itself."""
    if isinstance(model, OnnxClassifier):
        return model
    if isinstance(model, Model):
        return to_onnx(model)
    if isinstance(model, Ensemble):
        return Ensemble([_exported(member) for member in model.members], model.card)
    raise ModelError(f"{model.card.name!r} is a {type(model).__name__}: export the model or ensemble that it came from")


def _node(model: Classifier, way: Runtime, arithmetic: str, stamps: StampSet | None, most: float) -> Node:
    """Open every network as it will be deployed; quantised where there are stamps and it bears that."""
    if isinstance(model, Ensemble):
        members = tuple(_node(member, way, arithmetic, stamps, most) for member in model.members)
        return Node(model.card, members=members)
    if not isinstance(model, OnnxClassifier):
        raise ModelError(f"{model.card.name!r} is a {type(model).__name__}, no network in ONNX")
    card, graph = model.card, model.contents[0]
    if stamps is None:
        return Node(card, way.open(card, graph, b"", arithmetic, 0, "cpu", card.name), arithmetic=arithmetic)
    channels = channel_indices(stamps.channels, card.channels)
    planes = card.preprocess(stamps.pixels[:, channels], noise=stamps.noise, fwhm=stamps.fwhm)
    network = way.open(card, *quantise(graph, planes, name=card.name), "f32", 0, "cpu", card.name)
    if float(np.abs(sigmoid(network.logits(planes)) - sigmoid(model.logits(planes))).mean()) <= most:
        return Node(card, network)
    return Node(card, way.open(card, graph, b"", "bf16", 0, "cpu", card.name), arithmetic="bf16")


def _told(nodes: list[Node], precision: str) -> str:
    """Say in what a certificate was measured."""
    leaves = [leaf for node in nodes for leaf in node.leaves()]
    left = [leaf.card.name for leaf in leaves if leaf.arithmetic == "bf16"]
    if not left:
        return "int8" if precision == "int8" else "f32"
    how = "bf16" if cpu_has_bf16() else "bf16, worked out in f32 as this processor has none"
    return f"int8, but {', '.join(left)} in {how}" if precision == "int8" else how


def _emulated(node: Node) -> Node:
    """Put networks that work bf16 out in f32 in the place of those that would run in bf16, where there is none."""
    if node.network is None:
        return Node(node.card, members=tuple(_emulated(member) for member in node.members))
    if node.arithmetic != "bf16" or cpu_has_bf16():
        return node
    return Node(node.card, OnnxClassifier(rounded_graph(node.network.contents[0])))
