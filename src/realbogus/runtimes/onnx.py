"""A model in one `.onnx` file, run by onnxruntime: no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray

from ..classifier import Card
from ..errors import ConfigError, ModelError
from ..files import write_whole
from ..scoring import score_stamps

__all__ = ["CARD_KEY", "Device", "OnnxClassifier", "check_device_name", "check_whole"]

#: Where a network runs.
Device = Literal["cpu", "cuda"]

#: Key of the card in the file's metadata.
CARD_KEY = "realbogus.card"
#: The maps of so many stamps stay in the processor's cache; those of a thousand take gigabytes.
_BATCH = 128
#: What onnxruntime calls the devices.
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
#: How the key `location` of a weight kept in another file lies in the bytes of an ONNX graph (protobuf, field 1).
_OUTSIDE = b"\n\x08location"


class OnnxClassifier:
    """A network in ONNX with its card in the file's metadata. A `Classifier`.

    Parameters
    ----------
    source : path or bytes
        A file written by `export_onnx`, or its contents.
    threads : int
        Threads within one operation; 0 leaves the choice to onnxruntime.
    device : {"cpu", "cuda"}
        Where it runs; `cuda` takes the package onnxruntime-gpu.

    Raises
    ------
    ModelError
        The file is missing or damaged, carries no card of ours, or its network does not fit
        the card.
    ConfigError
        The device is not there.
    """

    #: An ensemble saves it as one file that ends so.
    suffix = ".onnx"
    #: What it works in.
    arithmetic = "f32"

    def __init__(self, source: Path | str | bytes, *, threads: int = 0, device: Device = "cpu") -> None:
        _check_device(device)
        self.device = device
        name = "the ONNX model" if isinstance(source, bytes) else str(source)
        try:
            contents = source if isinstance(source, bytes) else Path(source).read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read the model {name}: {error}") from error
        check_whole(contents, name)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        try:
            providers = dict.fromkeys((_PROVIDERS[device], _PROVIDERS["cpu"]))
            self._session: Any = ort.InferenceSession(contents, options, providers=list(providers))
        # onnxruntime's exceptions share no base class of their own
        except Exception as error:
            raise ModelError(f"{name} is no ONNX model or is damaged ({error}): copy or export it again") from error
        if self._session.get_providers()[0] != _PROVIDERS[device]:
            raise ConfigError(
                f"onnxruntime cannot use {device} here, though it was built for it: see that its driver and CUDA fit"
            )
        metadata = self._session.get_modelmeta().custom_metadata_map
        if CARD_KEY not in metadata:
            raise ModelError(f"{name} carries no card ({CARD_KEY!r}): export it with realbogus's export_onnx")
        self._card = Card.from_json(metadata[CARD_KEY], source=name)
        inputs = self._session.get_inputs()
        prepare = self._card.preprocess
        want = [len(prepare.planes), prepare.size, prepare.size]
        if len(inputs) != 1 or list(inputs[0].shape[1:]) != want:
            shapes = [list(entry.shape) for entry in inputs]
            raise ModelError(f"{name} takes {shapes}, but its card prepares planes of {want}: it is not our export")
        self._input, self._name = inputs[0].name, name
        self._contents = contents

    @property
    def card(self) -> Card:
        """What the classifier is."""
        return self._card

    @property
    def contents(self) -> tuple[bytes, bytes]:
        """The file as it was read, and no weights beside it."""
        return self._contents, b""

    def logits(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on ready planes, (N, P, S, S), and return logits, (N,).

        Raises
        ------
        ModelError
            It gives more or fewer logits than stamps.
        """
        ready = np.ascontiguousarray(planes, dtype=np.float32)
        logits = np.empty(len(ready), dtype=np.float32)
        for start in range(0, len(ready), _BATCH):
            part = ready[start : start + _BATCH]
            out = np.asarray(self._session.run(None, {self._input: part})[0], dtype=np.float32)
            if out.size != len(part):
                raise ModelError(f"{self._name} gives {out.size} logits for {len(part)} stamps: it is not our export")
            logits[start : start + _BATCH] = out.reshape(-1)
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

    def save(self, path: Path | str) -> Path:
        """Write the file as it was read, and return its path.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        return write_whole(path, lambda part: part.write_bytes(self._contents))


def check_device_name(device: str) -> None:
    """Refuse the name of a device that nobody knows.

    Raises
    ------
    ConfigError
        It is none of `Device`.
    """
    if device not in _PROVIDERS:
        raise ConfigError(f"device {device!r}: choose one of {', '.join(_PROVIDERS)}")


def _check_device(device: str) -> None:
    check_device_name(device)
    if _PROVIDERS[device] not in ort.get_available_providers():
        raise ConfigError(
            f"device {device!r}: this onnxruntime has none of it; put onnxruntime-gpu in its place "
            "(pip uninstall onnxruntime; pip install onnxruntime-gpu)"
        )


def check_whole(graph: bytes, name: str) -> None:
    """Refuse an ONNX graph that keeps weights in another file: what was checked would not be what is run.

    Raises
    ------
    ModelError
        It does.
    """
    if _OUTSIDE in graph:
        raise ModelError(f"{name} keeps weights in another file, which is not opened: export it again as one file")
