"""The one `Preprocess`: from stamps in ADU to what a network sees.

Written once, stored in the card, used in training and in serving. Two things make a
score carry over to a telescope the network has never seen: pixels in units of the
frame's own noise, and stamps resampled so that the frame's PSF always has one size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ConfigError, InputError

__all__ = ["Preprocess", "resampling_matrix"]

_VIEWS = ("psf", "wide", "native")
_SIGMA_PER_FWHM = 1.0 / 2.354820045
#: So many pixels, and what is worked out of them, stay in the processor's cache.
_CACHED = 16384
_LOG_2 = math.log(2.0)


@lru_cache(maxsize=4096)
def resampling_matrix(size_in: int, size_out: int, step: float) -> NDArray[np.float32]:
    """Weights that resample a row of pixels about its centre pixel.

    Output pixel j samples the input at `size_in // 2 + (j - size_out // 2) * step` with a
    Catmull-Rom cubic, stretched by `step` where the output is coarser than the input so
    that nothing aliases. Samples outside the input count as zero.

    Parameters
    ----------
    size_in, size_out : int
        Number of pixels of a row before and after.
    step : float
        Input pixels an output pixel.

    Returns
    -------
    ndarray of float32, shape (size_out, size_in)

    Examples
    --------
    >>> bool(np.allclose(resampling_matrix(5, 5, 1.0), np.eye(5)))
    True
    """
    centre = size_in // 2 + (np.arange(size_out) - size_out // 2) * step
    width = max(step, 1.0)
    t = np.abs(np.arange(size_in)[None, :] - centre[:, None]) / width
    near = 1.5 * t**3 - 2.5 * t**2 + 1.0
    far = -0.5 * t**3 + 2.5 * t**2 - 4.0 * t + 2.0
    weights = np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0)) / width
    # Normalise over an unbounded row, so that pixels off the edge dim a sample instead of stretching it.
    matrix: NDArray[np.float32] = weights.astype(np.float32)
    matrix.setflags(write=False)
    return matrix


@dataclass(frozen=True)
class Preprocess:
    """What is done to stamps before a network sees them.

    Parameters
    ----------
    planes : tuple of str
        One "view:channel" an input plane of the network. Views: `psf`, the stamp resampled
        so that the frame's PSF has FWHM `fwhm_px`; `wide`, the whole stamp averaged down to
        `size`; `native`, the central `size` x `size` pixels as they are.
    channels : tuple of str
        Channels of the stamps it takes, in order.
    size : int
        Side of the planes, pixels.
    fwhm_px : float
        FWHM of a point source in the `psf` view, pixels.
    scale : {"noise", "stamp"}
        Unit of the pixels: the frame's robust sigma, or each stamp's own (median removed).
    orient : bool
        Turn fading sources into brightening ones: where the PSF-weighted flux at the centre
        of the difference is negative its sign changes, and science and reference swap.

    Examples
    --------
    >>> import numpy as np
    >>> prepare = Preprocess()
    >>> prepare(np.ones((3, 1, 64, 64), "float32"), noise=np.ones(3), fwhm=np.full(3, 2.8)).shape
    (3, 2, 32, 32)
    """

    planes: tuple[str, ...] = ("psf:difference", "wide:difference")
    channels: tuple[str, ...] = ("difference",)
    size: int = 32
    fwhm_px: float = 3.5
    scale: str = "noise"
    orient: bool = True

    def __post_init__(self) -> None:
        for name in ("planes", "channels"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        if len(set(self.channels)) < len(self.channels):
            raise ConfigError(f"preprocess.channels is {list(self.channels)}: name each channel once")
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ConfigError(f"preprocess.size is {self.size!r}, expected a whole number of pixels, 1 or more")
        if not isinstance(self.fwhm_px, (int, float)) or isinstance(self.fwhm_px, bool):
            raise ConfigError(f"preprocess.fwhm_px is {self.fwhm_px!r}, expected a number of pixels")
        if not 0 < self.fwhm_px < math.inf:
            raise ConfigError(f"preprocess.fwhm_px is {self.fwhm_px}: it must be above 0 pixels, and finite")
        if not isinstance(self.orient, bool):
            raise ConfigError(f"preprocess.orient is {self.orient!r}, expected true or false")
        if self.scale not in ("noise", "stamp"):
            raise ConfigError(f"preprocess scale {self.scale!r}: choose 'noise' or 'stamp'")
        for plane in self.planes:
            view, _, channel = plane.partition(":")
            if view not in _VIEWS or channel not in self.channels:
                raise ConfigError(
                    f"preprocess plane {plane!r}: write VIEW:CHANNEL with a view of {_VIEWS} "
                    f"and a channel of {self.channels}"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Build from the JSON of a card; an unknown key or a value that cannot be is a `ConfigError`."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"preprocess is {values!r}, expected a table of keys")
        known = set(cls.__dataclass_fields__)
        unknown = set(values) - known
        if unknown:
            raise ConfigError(f"preprocess has unknown keys {sorted(unknown)}: known are {sorted(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @property
    def needs_fwhm(self) -> bool:
        """Whether a PSF size must come with every stamp."""
        return any(plane.startswith("psf:") for plane in self.planes)

    def __call__(
        self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Turn stamps into planes.

        Parameters
        ----------
        pixels : array_like, shape (N, C, S, S)
            Stamps, ADU, finite.
        noise : array_like, shape (N,), optional
            Robust sigma of each stamp's frame, ADU; the stamp's own sigma where absent.
        fwhm : array_like, shape (N,), optional
            PSF size of each stamp's difference (FWHM_NEA), pixels; needed by `psf` planes.

        Returns
        -------
        ndarray of float32, shape (N, len(planes), size, size)

        Raises
        ------
        InputError
            Wrong shape or channels, non-finite pixels, or no FWHM where one is needed.
        """
        stamps = np.asarray(pixels, dtype=np.float32)
        if stamps.ndim != 4 or stamps.shape[1] != len(self.channels) or stamps.shape[2] != stamps.shape[3]:
            raise InputError(
                f"stamps have shape {stamps.shape}, expected (N, {len(self.channels)}, S, S) "
                f"for the channels {self.channels}"
            )
        self.check(stamps, fwhm)
        count = len(stamps)
        size = _per_stamp("fwhm", fwhm, count)
        if size is None:
            size = np.full(count, self.fwhm_px, dtype=np.float32)
        sigma = _per_stamp("noise", noise, count)
        side = stamps.shape[-1]
        middle = self.scale == "noise" and sigma is not None and not self.orient and self.size <= side
        if middle and all(plane.startswith("native:") for plane in self.planes):
            start = side // 2 - self.size // 2
            stamps = stamps[..., start : start + self.size, start : start + self.size]  # the rest is not looked at
        # from here on the pixels are our own copy, and new ones are worked out in their place: memory that is
        # taken anew for every step costs as much as the steps
        if self.scale == "stamp" or sigma is None:
            stamps = _by_own_spread(stamps)
        else:
            stamps = stamps / sigma[:, None, None, None]
        if self.orient and "difference" in self.channels:
            stamps = self._orient(np.ascontiguousarray(stamps), size)
        stretched = _arcsinh(stamps)
        out = np.empty((count, len(self.planes), self.size, self.size), dtype=np.float32)
        for k, plane in enumerate(self.planes):
            view, _, channel = plane.partition(":")
            out[:, k] = self._view(view, stretched[:, self.channels.index(channel)], size)
        return out

    def check(self, stamps: NDArray[np.float32], fwhm: ArrayLike | None) -> None:
        """Refuse pixels that are not finite, and stamps without a PSF size where one is needed.

        Raises
        ------
        InputError
            They are so.
        """
        if not np.isfinite(stamps).all():
            raise InputError(
                "stamps hold NaN or infinite pixels: cut them with `realbogus cut`, which fills such pixels"
            )
        if fwhm is None and self.needs_fwhm:
            raise InputError("this model resamples stamps to one PSF size: hand in `fwhm`, pixels, one a stamp")

    def _orient(self, stamps: NDArray[np.float32], fwhm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn fading sources into brightening ones, in place."""
        index = self.channels.index("difference")
        side = stamps.shape[-1]
        offset = np.arange(side, dtype=np.float32) - side // 2
        profile = np.exp(-0.5 * (offset[None, :] / (fwhm[:, None] * _SIGMA_PER_FWHM)) ** 2)
        centre = np.einsum("nyx,ny,nx->n", stamps[:, index], profile, profile, optimize=True)
        fading = np.flatnonzero(centre < 0)
        stamps[fading, index] *= -1.0
        if {"science", "reference"} <= set(self.channels):
            pair = [self.channels.index("science"), self.channels.index("reference")]
            swapped = stamps[fading][:, pair[::-1]]
            for slot, target in enumerate(pair):
                stamps[fading, target] = swapped[:, slot]
        return stamps

    def _view(self, view: str, planes: NDArray[np.float32], fwhm: NDArray[np.float32]) -> NDArray[np.float32]:
        side = planes.shape[-1]
        if view == "native":
            start = side // 2 - self.size // 2
            if start < 0:
                raise InputError(f"stamps of {side} px are smaller than the network's {self.size} px")
            return planes[:, start : start + self.size, start : start + self.size]
        if view == "wide":
            factor = side // self.size
            if factor * self.size != side:
                raise InputError(f"a wide view of {self.size} px does not divide stamps of {side} px")
            # what the mean below gives to the last bit of pixels that lie row by row, in a tenth of its time
            if factor == 2 and planes.strides[-1] == planes.itemsize:
                upper, lower = planes[:, 0::2], planes[:, 1::2]
                total = (upper[..., 0::2] + upper[..., 1::2]) + (lower[..., 0::2] + lower[..., 1::2])
                return np.divide(total, np.float32(4.0), out=total)
            blocks = planes.reshape(-1, self.size, factor, self.size, factor)
            averaged: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
            return averaged
        out = np.empty((len(planes), self.size, self.size), dtype=np.float32)
        # One matrix serves all stamps of a frame; two decimals of a pixel are far below its error.
        steps = np.round(np.clip(fwhm, 1.0, 20.0), 2)
        for value in np.unique(steps):
            rows = steps == value
            matrix = resampling_matrix(side, self.size, float(value) / self.fwhm_px)
            out[rows] = matrix @ planes[rows] @ matrix.T
        return out


def _names(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"preprocess.{key} is {value!r}, expected a list of names")
    if not value or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"preprocess.{key} is {list(value)}, expected one name at least, and nothing but names")
    return tuple(value)


def _arcsinh(stamps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stretch in place, to 2e-7 (absolute below 1, relative above): NumPy's own takes 4 times as long with AVX2.

    Examples
    --------
    >>> bool(np.allclose(_arcsinh(np.float32([-3e38, -0.5, 0.0, 1e6])), np.arcsinh([-3e38, -0.5, 0.0, 1e6])))
    True
    """
    each = max(1, _CACHED // max(1, stamps[:1].size))
    for start in range(0, len(stamps), each):
        part = stamps[start : start + each]
        size = np.abs(part)
        with np.errstate(over="ignore"):
            root = size * size
        root += np.float32(1.0)
        np.sqrt(root, out=root)
        root += size
        np.copysign(np.log(root, out=root), part, out=part)
        huge = np.isinf(root)  # their squares are beyond float32
        if huge.any():
            part[huge] = np.copysign(np.log(size[huge]) + np.float32(_LOG_2), part[huge])
    return stamps


def _by_own_spread(stamps: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(stamps):
        return stamps.copy()
    level = np.median(stamps, axis=(2, 3), keepdims=True)
    spread = 1.4826 * np.median(np.abs(stamps - level), axis=(2, 3), keepdims=True)
    scaled: NDArray[np.float32] = ((stamps - level) / np.maximum(spread, 1e-6)).astype(np.float32)
    return scaled


def _per_stamp(name: str, values: ArrayLike | None, count: int) -> NDArray[np.float32] | None:
    if values is None:
        return None
    array = np.broadcast_to(np.asarray(values, dtype=np.float32), (count,))
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise InputError(f"{name} must be finite and above zero for every stamp")
    return array
