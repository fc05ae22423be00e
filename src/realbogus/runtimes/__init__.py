"""Other ways to run a model, and the one way to open any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..classifier import Classifier
from ..ensemble import open_folder
from ..ensemble_files import CARD
from ..errors import ModelError

if TYPE_CHECKING:
    from .onnx import Device

__all__ = ["default_model", "load_classifier"]


def default_model() -> Path:
    """Return the path of the model that comes with realbogus.

    Raises
    ------
    ModelError
        This copy of realbogus was installed without it.

    Examples
    --------
    >>> default_model().suffix  # doctest: +SKIP
    '.onnx'
    """
    path = Path(__file__).resolve().parents[1] / "models" / "default.onnx"
    if not path.is_file():
        raise ModelError(f"the default model {path} is missing: install realbogus again, or name a model of your own")
    return path


def load_classifier(path: Path | str, *, threads: int = 0, device: Device = "cpu") -> Classifier:
    """Open a model: a `.onnx` file or a bundle (neither needs torch), or a folder of `Model.save` or `Ensemble.save`.

    Parameters
    ----------
    path : path
        File or folder.
    threads : int
        Threads of the ONNX runtime or OpenVINO; 0 leaves the choice to it.
    device : {"cpu", "cuda"}
        Where it runs; `cuda` is for torch and, with the package onnxruntime-gpu, for ONNX.

    Raises
    ------
    ModelError
        Nothing there, damaged, of another version, two things in one folder, or a network in torch where that is
        not installed.
    ConfigError
        A bundle whose runtime is not installed, or the device is not there.
    """
    from .bundle_files import is_bundle, read_bundle
    from .onnx import OnnxClassifier, check_device_name

    check_device_name(device)
    path = Path(path)
    if is_bundle(path):
        if (path / CARD).exists():
            raise ModelError(
                f"{path} holds a bundle and another model ({CARD}), and which is meant nobody knows: "
                "export or train one of them into a folder of its own"
            )
        return read_bundle(path, threads=threads, device=device)
    if not path.is_dir():
        return OnnxClassifier(path, threads=threads, device=device)
    return open_folder(path, device=device, open_file=lambda file: OnnxClassifier(file, threads=threads, device=device))
