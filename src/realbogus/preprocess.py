"""The one `Preprocess`: from stamps in ADU to what a network sees.

Written once, stored in the card, used in training and in serving. Two things make a
score carry over to a telescope the network has never seen: pixels in units of the
frame's own noise, and stamps resampled so that the frame's PSF always has one size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ConfigError, InputError
from .resample import resampling_window
from .stretch import arcsinh, by_own_spread

__all__ = ["Preprocess"]

_VIEWS = ("psf", "wide", "native")
_SIGMA_PER_FWHM = 1.0 / 2.354820045
_PAIR = {"science": "reference", "reference": "science"}


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
        count, side = len(stamps), stamps.shape[-1]
        size = _per_stamp("fwhm", fwhm, count) if self.needs_fwhm or self.orient else None
        if size is None:
            size = np.full(count, self.fwhm_px, dtype=np.float32)
        sigma = None if self.scale == "stamp" else _per_stamp("noise", noise, count)
        if sigma is None:
            stamps, sigma = by_own_spread(stamps), np.ones(count, dtype=np.float32)
        turned = self._fading(stamps, size)
        groups = self._groups(size, side)
        near = min((low for _, low, _, _ in groups), default=0), max((high for _, _, high, _ in groups), default=side)
        out = np.empty((count, len(self.planes), self.size, self.size), dtype=np.float32)
        resampled = [k for k, plane in enumerate(self.planes) if plane.startswith("psf:")]
        block = np.empty((count, len(resampled), near[1] - near[0], near[1] - near[0]), dtype=np.float32)
        for channel in self.channels:
            views = {k: plane.partition(":")[0] for k, plane in enumerate(self.planes) if plane.endswith(f":{channel}")}
            if not views:
                continue
            first, last = self._window(set(views.values()), side, near)
            stretched = arcsinh(self._pixels(stamps, channel, sigma, turned, slice(first, last)))
            for k, view in views.items():
                if view == "psf":
                    seen = slice(near[0] - first, near[1] - first)
                    block[:, resampled.index(k)] = stretched[:, seen, seen]
                elif view == "wide":
                    out[:, k] = self._wide(stretched)
                else:
                    start = side // 2 - self.size // 2 - first
                    out[:, k] = stretched[:, start : start + self.size, start : start + self.size]
        for rows, low, high, matrix in groups:
            seen = slice(low - near[0], high - near[0])
            out[rows[:, None], resampled] = matrix @ block[rows, :, seen, seen] @ matrix.T
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

    def _fading(self, stamps: NDArray[np.float32], fwhm: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the rows of fading sources, which are to look like brightening ones."""
        if not self.orient or "difference" not in self.channels:
            return np.zeros(0, dtype=np.int64)
        side = stamps.shape[-1]
        offset = np.arange(side, dtype=np.float32) - side // 2
        profile = np.exp(-0.5 * (offset[None, :] / (fwhm[:, None] * _SIGMA_PER_FWHM)) ** 2)
        difference = stamps[:, self.channels.index("difference")]
        return np.flatnonzero(np.einsum("nyx,ny,nx->n", difference, profile, profile, optimize=True) < 0)

    def _groups(
        self, fwhm: NDArray[np.float32], side: int
    ) -> list[tuple[NDArray[np.int64], int, int, NDArray[np.float32]]]:
        """Return the rows of one PSF size, and what resamples them: a window's ends and a matrix for it."""
        if not (self.needs_fwhm and len(fwhm)):
            return []
        # Two decimals of a pixel are far below the error of a PSF size: one matrix serves all stamps of a frame.
        values, which = np.unique(np.round(np.clip(fwhm, 1.0, 20.0), 2), return_inverse=True)
        order = np.argsort(which, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(which, minlength=len(values)))[:-1])
        return [
            (rows, *resampling_window(side, self.size, float(value) / self.fwhm_px))
            for value, rows in zip(values, parts, strict=True)
        ]

    def _window(self, views: set[str], side: int, near: tuple[int, int]) -> tuple[int, int]:
        """Return the pixels, along either axis, that any of the views looks at: the rest need not be stretched."""
        start = side // 2 - self.size // 2
        if "native" in views and start < 0:
            raise InputError(f"stamps of {side} px are smaller than the network's {self.size} px")
        ends = {"wide": (0, side), "native": (start, start + self.size), "psf": near}
        return min(ends[view][0] for view in views), max(ends[view][1] for view in views)

    def _pixels(
        self,
        stamps: NDArray[np.float32],
        channel: str,
        sigma: NDArray[np.float32],
        turned: NDArray[np.int64],
        window: slice,
    ) -> NDArray[np.float32]:
        """Return a copy of a channel's pixels in units of the noise, those of fading sources turned."""
        part = stamps[:, self.channels.index(channel), window, window]
        unit = sigma[:, None, None]
        pixels = np.divide(part, unit, out=np.empty(part.shape, dtype=np.float32))
        if channel == "difference":
            pixels[turned] *= -1.0
        elif len(turned) and _PAIR.get(channel) in self.channels:
            pixels[turned] = stamps[turned, self.channels.index(_PAIR[channel]), window, window] / unit[turned]
        return pixels

    def _wide(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        side = planes.shape[-1]
        factor = side // self.size
        if factor * self.size != side:
            raise InputError(f"a wide view of {self.size} px does not divide stamps of {side} px")
        if factor == 2:  # what the mean below gives to the last bit, in a tenth of its time
            upper, lower = planes[:, 0::2], planes[:, 1::2]
            total = (upper[..., 0::2] + upper[..., 1::2]) + (lower[..., 0::2] + lower[..., 1::2])
            return np.divide(total, np.float32(4.0), out=total)
        blocks = planes.reshape(-1, self.size, factor, self.size, factor)
        averaged: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
        return averaged


def _names(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"preprocess.{key} is {value!r}, expected a list of names")
    if not value or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"preprocess.{key} is {list(value)}, expected one name at least, and nothing but names")
    return tuple(value)


def _per_stamp(name: str, values: ArrayLike | None, count: int) -> NDArray[np.float32] | None:
    if values is None:
        return None
    array = np.broadcast_to(np.asarray(values, dtype=np.float32), (count,))
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(bad):
        raise InputError(
            f"{name} must be finite and above zero for every stamp: {len(bad)} of {count} are not, "
            f"the first is {array[bad[0]]:g} of stamp {bad[0]} (from 0)"
        )
    return array
