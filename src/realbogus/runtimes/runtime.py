"""The table of runtimes: what opens the networks of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..classifier import Card
from ..errors import ConfigError
from ..registry import Registry
from .onnx import Device, OnnxClassifier
from .openvino import OpenVinoClassifier, load_openvino
from .quantise import load_nncf

__all__ = ["RUNTIMES", "Network", "Runtime", "resolve_runtime"]


class Network(Protocol):
    """One network of a bundle."""

    @property
    def card(self) -> Card:
        """What it is."""
        ...

    @property
    def arithmetic(self) -> str:
        """What it works in on this processor, where it is not quantised: f32 or bf16."""
        ...

    @property
    def contents(self) -> tuple[bytes, bytes]:
        """Graph and weights as files have them; no weights where the graph holds them."""
        ...

    def logits(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ready planes, (N, P, S, S), to logits, (N,)."""
        ...


@dataclass(frozen=True)
class Runtime:
    """One way to run a bundle's networks.

    Parameters
    ----------
    open : callable
        From card, graph, weights, precision of what is not quantised, threads, device and name to the network.
    precisions : tuple of str
        Those it can be exported in.
    devices : tuple of str
        Those it runs on.
    require : callable
        From a precision to nothing; a `ConfigError` where what exports it is not installed.
    """

    open: Callable[[Card, bytes, bytes, str, int, Device, str], Network]
    precisions: tuple[str, ...]
    devices: tuple[str, ...]
    require: Callable[[str], None]


def _onnx(
    card: Card, graph: bytes, weights: bytes, precision: str, threads: int, device: Device, name: str
) -> OnnxClassifier:
    return OnnxClassifier(graph, threads=threads, device=device)


def _openvino(
    card: Card, graph: bytes, weights: bytes, precision: str, threads: int, device: Device, name: str
) -> OpenVinoClassifier:
    return OpenVinoClassifier(card, graph, weights, precision=precision, threads=threads, name=name)


def _require_openvino(precision: str) -> None:
    load_openvino()
    if precision == "int8":
        load_nncf()


#: The runtimes, by name.
RUNTIMES: Registry[Runtime] = Registry("runtime")
RUNTIMES.register("onnx")(Runtime(_onnx, ("f32",), ("cpu", "cuda"), lambda precision: None))
RUNTIMES.register("openvino")(Runtime(_openvino, ("f32", "bf16", "int8"), ("cpu",), _require_openvino))


def resolve_runtime(name: str, precision: str) -> Runtime:
    """Return a runtime that can export in a precision.

    Raises
    ------
    UnknownNameError, ConfigError
        An unknown runtime, a precision that it has not, or it is not installed.
    """
    way = RUNTIMES.resolve(name)
    if precision not in way.precisions:
        others = [other for other in RUNTIMES if precision in RUNTIMES.resolve(other).precisions]
        raise ConfigError(
            f"{name} bundles come in {', '.join(way.precisions)}, not in {precision!r}: choose one of these"
            + (f", or the runtime {others[0]}" if others else "")
        )
    way.require(precision)
    return way
