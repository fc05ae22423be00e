"""Other ways to run a model, and the one way to open any."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..classifier import Classifier
from ..ensemble import open_folder
from ..errors import ModelError

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


def load_classifier(
    path: Path | str, *, threads: int = 0, hint: Literal["throughput", "latency"] = "throughput"
) -> Classifier:
    """Open a model: a `.onnx` file or a bundle (neither needs torch), or a folder of `Model.save` or `Ensemble.save`.

    Parameters
    ----------
    path : path
        File or folder.
    threads : int
        Threads of the ONNX runtime or OpenVINO; 0 leaves the choice to it.
    hint : {"throughput", "latency"}
        Whether many stamps a second or one stamp soon is asked of a bundle that runs in OpenVINO.

    Raises
    ------
    ModelError
        Nothing there, damaged, of another version, or a network in torch where that is not installed.
    ConfigError
        A bundle whose runtime is not installed.
    """
    from .bundle_files import is_bundle, read_bundle
    from .onnx import OnnxClassifier

    path = Path(path)
    if is_bundle(path):
        return read_bundle(path, threads=threads, hint=hint)
    if not path.is_dir():
        return OnnxClassifier(path, threads=threads)
    return open_folder(path, open_file=lambda member: OnnxClassifier(member, threads=threads))
