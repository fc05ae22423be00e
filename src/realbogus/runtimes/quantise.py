"""From a network in ONNX to one in int8: post-training quantisation by NNCF on calibration stamps."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError
from .openvino import load_openvino, read_graph

__all__ = ["SAMPLE", "calibration_sample", "load_nncf", "quantise"]

#: Stamps that NNCF looks at; its own choice is as many, more change little.
SAMPLE = 300
#: NNCF is handed so many at a time; fewer that are left over are not looked at.
_BATCH = 10
#: The fewest that are taken; the least that were tried.
_LEAST = 2 * _BATCH


def quantise(graph: bytes, planes: NDArray[np.float32], *, name: str = "the model") -> tuple[bytes, bytes]:
    """Quantise a network to int8: weights by channel, activations by the range they have on calibration stamps.

    Weights keep to half the range of int8. Without VNNI a processor adds two products in 16 bits, where full
    ones overflow; so a bundle scores alike on processors of all kinds, and what its certificate says holds there.

    Parameters
    ----------
    graph : bytes
        An `.onnx` file: planes in, logits out.
    planes : ndarray of float32, shape (N, P, S, S)
        Stamps made ready as the network wants them; see `calibration_sample`. Whole tens of them are used.
    name : str
        For messages.

    Returns
    -------
    tuple of bytes
        The contents of an `.xml` and its `.bin`.

    Raises
    ------
    ConfigError
        OpenVINO or NNCF is not installed.
    InputError
        Too few stamps.
    """
    openvino = load_openvino()
    nncf = load_nncf()
    if len(planes) < _LEAST:
        raise InputError(f"{len(planes)} calibration stamps: int8 needs {_LEAST} at least, {SAMPLE} are better")
    batches = [planes[start : start + _BATCH] for start in range(0, len(planes) - len(planes) % _BATCH, _BATCH)]
    model = read_graph(graph, name=name)
    with _quiet():
        quantised = nncf.quantize(
            model,
            nncf.Dataset(batches, lambda batch: batch),
            subset_size=len(batches),
            preset=nncf.QuantizationPreset.MIXED,  # activations of SiLU are not symmetric
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )
    _forget(quantised)
    with tempfile.TemporaryDirectory(prefix="realbogus-") as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(quantised, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def calibration_sample(rows: NDArray[np.int64], labels: NDArray[np.int64], count: int = SAMPLE) -> NDArray[np.int64]:
    """Choose calibration rows evenly; where labels are known the real, which are few, make up half where they can.

    Parameters
    ----------
    rows : ndarray of int, shape (M,)
        Usable rows.
    labels : ndarray of int, shape (N,)
        Of all rows; 1 is real.
    count : int
        How many at most.

    Examples
    --------
    >>> labels = np.array([0] * 95 + [1] * 5)
    >>> chosen = calibration_sample(np.arange(100), labels, 20)
    >>> len(chosen), int(labels[chosen].sum())
    (20, 5)
    """
    real, rest = rows[labels[rows] == 1], rows[labels[rows] != 1]
    many = min(len(real), max(count // 2, count - len(rest)))
    return np.sort(np.concatenate([_evenly(real, many), _evenly(rest, min(len(rest), count - many))]))


def _evenly(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return rows[np.linspace(0, len(rows), count, endpoint=False).astype(np.int64)]


def load_nncf() -> Any:
    """Return the module nncf.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            import nncf
    except ImportError as error:
        raise ConfigError(
            f'int8 is made by NNCF, which is not here ({error}): pip install "realbogus[quantise]"'
        ) from error
    return nncf


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF from the terminal: its progress bars go to standard output, where our tables go."""
    logger = logging.getLogger("nncf")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with Path("/dev/null").open("w") as sink, contextlib.redirect_stdout(sink), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _forget(model: Any) -> None:
    """Remove what NNCF and the converter note of the machine and the run; the network is the same without."""
    for key in ("nncf", "conversion_parameters"):
        if model.has_rt_info([key]):
            model.set_rt_info("", [key])
