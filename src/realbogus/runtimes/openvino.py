"""A network run by OpenVINO on a CPU: bf16 where the processor has it, int8 where it was quantised."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..classifier import Card
from ..errors import ConfigError, ModelError
from ..scoring import score_stamps
from .onnx import check_whole

__all__ = ["OpenVinoClassifier", "cpu_has_bf16", "load_openvino", "read_graph"]

#: The maps of so many stamps stay in the processor's cache.
_BATCH = 32


def load_openvino() -> Any:
    """Return the module openvino.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise ConfigError(
            f'this model runs in OpenVINO, which is not here ({error}): pip install "realbogus[openvino]"'
        ) from error
    return openvino


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 numbers itself (AVX-512 BF16, AMX)."""
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def read_graph(graph: bytes, weights: bytes = b"", *, name: str = "the model") -> Any:
    """Return OpenVINO's model of an ONNX file's contents, or of an `.xml`'s and its `.bin`'s.

    Raises
    ------
    ModelError
        The contents are damaged or something else, or keep weights in another file.
    ConfigError
        OpenVINO is not installed.
    """
    check_whole(graph, name)
    core = load_openvino().Core()
    try:
        return core.read_model(graph, weights) if weights else core.read_model(graph)
    except RuntimeError as error:
        raise ModelError(f"{name} is no model for OpenVINO or is damaged ({error}): copy or export it again") from error


class OpenVinoClassifier:
    """A network in OpenVINO. A `Classifier`.

    Parameters
    ----------
    card : Card
        What the network is.
    graph : bytes
        Contents of an `.onnx` file or an `.xml`.
    weights : bytes
        Contents of the `.bin` beside an `.xml`; nothing for ONNX.
    precision : {"f32", "bf16"}
        Of the operations that were not quantised. bf16 is used where the processor has it; elsewhere they run
        in f32, which is more exact.
    threads : int
        Processor threads; 0 takes as many as OpenVINO sees.
    name : str
        The file it comes from, for messages.

    Raises
    ------
    ModelError
        The contents are damaged, or the network does not fit the card.
    ConfigError
        OpenVINO is not installed.
    """

    def __init__(
        self,
        card: Card,
        graph: bytes,
        weights: bytes = b"",
        *,
        precision: str = "f32",
        threads: int = 0,
        name: str = "the model",
    ) -> None:
        openvino = load_openvino()
        if precision not in ("f32", "bf16"):
            raise ConfigError(f"precision {precision!r}: choose f32 or bf16; int8 is a property of a quantised graph")
        self._card, self._contents, self._name = card, (graph, weights), name
        self.arithmetic = "bf16" if precision == "bf16" and cpu_has_bf16() else "f32"
        model = read_graph(graph, weights, name=name)
        prepare = card.preprocess
        want = [len(prepare.planes), prepare.size, prepare.size]
        shapes = [[int(d.get_length()) for d in list(p.partial_shape)[1:] if d.is_static] for p in model.inputs]
        if shapes != [want] or len(model.outputs) != 1:
            raise ModelError(f"{name} takes {shapes}, but its card prepares planes of {want}: it is not our export")
        try:
            self._compiled: Any = openvino.Core().compile_model(
                model, "CPU", _settings(openvino, self.arithmetic, threads)
            )
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run {name} on this processor: {error}") from error
        self._queue: Any = openvino.AsyncInferQueue(self._compiled)
        self._queue.set_callback(_take)
        self._lock = threading.Lock()

    @property
    def card(self) -> Card:
        """What the classifier is."""
        return self._card

    @property
    def contents(self) -> tuple[bytes, bytes]:
        """Graph and weights, as they were handed in."""
        return self._contents

    def logits(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on ready planes, (N, P, S, S), and return logits, (N,).

        Raises
        ------
        ModelError
            It fails, or gives more or fewer logits than stamps.
        """
        ready = np.ascontiguousarray(planes, dtype=np.float32)
        logits = np.empty(len(ready), dtype=np.float32)
        wrong: list[str] = []
        with self._lock:  # the queue belongs to one caller at a time
            try:
                for rows in _batches(len(ready), len(self._queue)):
                    self._queue.start_async({0: ready[rows]}, userdata=(logits[rows], wrong), share_inputs=True)
                self._queue.wait_all()
            except RuntimeError as error:
                wrong.append(str(error))
                with contextlib.suppress(RuntimeError):
                    self._queue.wait_all()  # those still at work write to our arrays
        if wrong:
            raise ModelError(f"{self._name} cannot be run as its card says: {wrong[0]}; it is not our export")
        return logits

    def predict(
        self,
        pixels: ArrayLike,
        *,
        noise: ArrayLike | None = None,
        fwhm: ArrayLike | None = None,
        batch: int = 1024,
    ) -> NDArray[np.float32]:
        """Score stamps; see `Classifier` for the arguments.

        Raises
        ------
        InputError
            The stamps do not fit the card, or hold non-finite pixels.
        """
        return score_stamps(self._card, self.logits, pixels, noise=noise, fwhm=fwhm, batch=batch)


def _settings(openvino: Any, arithmetic: str, threads: int) -> dict[Any, Any]:
    properties = openvino.properties
    settings = {
        properties.hint.performance_mode: properties.hint.PerformanceMode.THROUGHPUT,
        properties.hint.inference_precision: getattr(openvino.Type, arithmetic),
    }
    if threads > 0:
        settings[properties.inference_num_threads] = threads
        # one thread a stream: no stream waits for another, and a score does not depend on how many there are
        settings[properties.num_streams] = threads
    return settings


def _take(request: Any, place: tuple[NDArray[np.float32], list[str]]) -> None:
    """Put the logits of a batch where they belong; what this raised would end the process."""
    logits, wrong = place
    try:
        values = request.get_output_tensor(0).data.reshape(-1)
        if values.shape == logits.shape:
            logits[:] = values
        else:
            wrong.append(f"it gives {len(values)} logits for {len(logits)} stamps")
    except Exception as error:  # whatever it is, the caller raises it
        wrong.append(repr(error))


def _batches(count: int, streams: int) -> Iterator[slice]:
    """Full batches, then powers of two: every new size is compiled once (tens of ms), so there must be few.

    What is left is shared out among the streams, or most of them would wait for the one with the last large batch.

    Examples
    --------
    >>> [rows.stop - rows.start for rows in _batches(70, 1)]
    [32, 32, 4, 2]
    >>> [rows.stop - rows.start for rows in _batches(39, 2)]
    [16, 8, 8, 4, 2, 1]
    """
    start = 0
    while start < count:
        share = -(-(count - start) // streams)
        size = min(_BATCH, 1 << (share.bit_length() - 1))
        yield slice(start, start + size)
        start += size
