"""NumPy's `.npy` out of bytes: the header is looked at first, and nothing is ever unpickled."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .limits import Limits, Refusal
from .posted import Plane

__all__ = ["MAGIC", "planes_of_npy"]

#: How a `.npy` begins.
MAGIC = b"\x93NUMPY"
_HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


def planes_of_npy(data: bytes, limits: Limits) -> list[Plane]:
    """Read stamps of shape (H, W), (C, H, W) or (N, C, H, W).

    Raises
    ------
    Refusal
        It is no `.npy` of numbers, has another shape, is cut short, or holds too many stamps.

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> np.save(stream, np.ones((2, 1, 64, 64), "float32"))
    >>> len(planes_of_npy(stream.getvalue(), Limits()))
    2
    """
    array = _array(data)
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise Refusal(422, f"an array of shape {array.shape}: send (H, W), (C, H, W) or (N, C, H, W)")
    stamps = array.reshape((1,) * (4 - array.ndim) + array.shape)
    if len(stamps) > limits.stamps:
        raise Refusal(413, f"{len(stamps)} stamps in one body, at most {limits.stamps} are taken: send them in parts")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as not finite
        return [Plane(stamp) for stamp in np.ascontiguousarray(stamps, dtype=np.float32)]


def _array(data: bytes) -> NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        version = npy_format.read_magic(stream)
        if version not in _HEADERS:
            raise Refusal(422, f".npy of version {version}: send version 1.0 or 2.0, as np.save writes for numbers")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = _HEADERS[version](stream)
    except Refusal:
        raise
    except Exception as error:  # SyntaxError, ValueError, TypeError: whatever a damaged header trips over
        raise Refusal(
            422, f"the header of the .npy cannot be read ({_short(error)}): it is damaged or cut short"
        ) from None
    if dtype.kind not in "iuf":
        raise Refusal(422, f"an array of {_short(dtype)}: send numbers, integer or floating; objects are never read")
    size, here = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if min(shape, default=0) < 0 or size != here:
        verb = "cut short" if here < size else "damaged"
        raise Refusal(422, f"the .npy is {verb}: {shape} of {dtype} take {size} bytes, {here} are there")
    array = np.frombuffer(data, dtype, math.prod(shape), stream.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def _short(thing: object) -> str:
    text = " ".join(str(thing).split())
    return text if len(text) <= 120 else text[:117] + "..."
