"""What bf16 does to a network, worked out where the processor has none.

Processors with bf16 multiply numbers of eight significant bits and add in f32; what a convolution gives goes through
the activation and the sum that follow it in f32, and is kept in bf16. Here the weights are rounded once, and in the
graph every value that is kept, so that a certificate can be measured on a machine that is not the one that will serve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rounded", "rounded_graph"]

#: Operations whose products the processor multiplies in bf16; their weights are rounded.
_PRODUCTS = ("Conv", "Gemm", "MatMul")
#: Operations that the runtime does in f32 on what the one before gave, before that is kept.
_FUSED = ("Add", "BatchNormalization", "Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "Mul", "Relu", "Sigmoid")


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round float32 to the nearest bf16, ties to even.

    Examples
    --------
    >>> rounded(np.array([1.0, 1.001, 1.006, -3.14159], "float32")).tolist()
    [1.0, 1.0, 1.0078125, -3.140625]
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    near = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return near.astype(np.uint32).view(np.float32).reshape(np.shape(values))


def rounded_graph(graph: bytes) -> bytes:
    """Return an ONNX network with its weights and every value that is kept rounded to bf16, but for the logits.

    Parameters
    ----------
    graph : bytes
        An `.onnx` file of float32, opset 13 or later.

    Returns
    -------
    bytes
        The same network with rounding in it; the card in its metadata stays.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(graph)
    inner = model.graph
    weights = {node.input[1] for node in inner.node if node.op_type in _PRODUCTS}
    for tensor in inner.initializer:
        if tensor.name in weights and tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(rounded(numpy_helper.to_array(tensor)), tensor.name))
    floats = _float_values(onnx, model)
    readers: dict[str, list[str]] = {}
    for node in inner.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    # what is read by such operations alone is never kept
    passing = {name for name, kinds in readers.items() if all(kind in _FUSED for kind in kinds)}
    passing |= {output.name for output in inner.output}
    nodes: list[Any] = []

    def cast(name: str) -> str:
        for place, (kind, title) in enumerate(((TensorProto.BFLOAT16, "bf16"), (TensorProto.FLOAT, "f32"))):
            source = name if place == 0 else f"{name}/bf16"
            nodes.append(helper.make_node("Cast", [source], [f"{name}/{title}"], to=kind))
        return f"{name}/f32"

    stands = {entry.name: cast(entry.name) for entry in inner.input if entry.name in floats}
    for node in inner.node:
        for place, name in enumerate(node.input):
            node.input[place] = stands.get(name, name)
        nodes.append(node)
        for name in node.output:
            if name in floats and name not in passing and node.op_type != "Constant":
                stands[name] = cast(name)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]  # those of the graph go with it
    del inner.node[:]
    inner.node.extend(copies)
    return bytes(model.SerializeToString())


def _float_values(onnx: Any, model: Any) -> set[str]:
    """Names of all float32 values that the graph works out or takes in."""
    inner = onnx.shape_inference.infer_shapes(model).graph
    every = [*inner.input, *inner.value_info, *inner.output]
    return {v.name for v in every if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
