"""FITS stamps out of bytes: one image a channel, or one cube a stamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...adapters.fits_bytes import LARGEST_SIDE, Hdu, hdus
from ...adapters.fits_head import Head
from ...adapters.kind import number
from ...adapters.packets import CHANNELS, UnusableError
from .limits import Limits, Refusal
from .posted import Plane

__all__ = ["planes_of_fits"]

#: Bytes of all headers before the first image, at most; read heads are kept, and those of stamps are small.
_LONGEST_HEAD = 2**20
_BITS = (8, 16, 32, 64, -32, -64)
_DATES = ("MJD", "MJD-OBS", "MJD_OBS")


def planes_of_fits(data: bytes, limits: Limits, channels: Sequence[str] = ()) -> tuple[list[Plane], tuple[str, ...]]:
    """Read stamps, and the channels that the file itself names.

    An image of H x W pixels is a plane: several make one stamp, each under its channel's name (EXTNAME), or in the
    order of `channels`. A cube of C x H x W is a stamp: several are several stamps. Cards `NOISE`, `FWHM`, `MJD` and
    `ID` of a header go before those of the first.

    Parameters
    ----------
    data : bytes
        Unpacked.
    limits : Limits
    channels : sequence of str
        What the request says of the planes.

    Raises
    ------
    Refusal
        It is no FITS, is damaged or cut short, or holds no images, or too many.
    """
    try:
        if data.find(b"END" + b" " * 77, 0, _LONGEST_HEAD) < 0:
            raise UnusableError("bad cutout", "FITS cut short: its header has no end")
        parts = []
        for part in hdus(data):
            parts.append(part)
            if len(parts) > limits.stamps + 1:
                raise Refusal(413, f"more than {limits.stamps} parts in one FITS file: send them in parts")
        images = [part for part in parts if _is_image(part)]
        first = parts[0].header
        if not images:
            raise Refusal(
                422, f"FITS without an image of H x W or C x H x W (axes {[part.shape for part in parts][:9]})"
            )
        if len({len(part.shape) for part in images}) > 1:
            raise Refusal(422, "FITS with images and cubes: send one image a channel, or one cube a stamp")
        if len(images[0].shape) == 3:
            return [_plane(_cube(part), [part.header, first]) for part in images], ()
        names = _channels(images, channels)
        pixels = [part.pixels() for part in images]
    except UnusableError as error:
        raise Refusal(413 if error.cause == "refused" else 422, error.reason) from None
    shapes = {plane.shape for plane in pixels}
    if len(shapes) > 1:
        raise Refusal(422, f"FITS images of several sizes, {sorted(shapes)}, in one stamp")
    return [_plane(np.stack(pixels), [part.header for part in images] + [first])], names


def _is_image(part: Hdu) -> bool:
    if part.header.get("ZIMAGE") is True:
        raise Refusal(422, "a FITS image in compressed tiles: send it plain, or the whole file gzipped")
    kind = str(part.header.get("XTENSION", "IMAGE")).strip()
    if kind not in ("IMAGE", "IUEIMAGE") or not 2 <= len(part.shape) <= 3:
        return False
    if part.header.get("BITPIX") not in _BITS:
        raise Refusal(422, f"FITS header with BITPIX = {part.header.get('BITPIX')!r}")
    return min(part.shape) > 0


def _cube(part: Hdu) -> NDArray[np.float32]:
    """Read a cube plane by plane, each as an image of its own."""
    depth, height, width = part.shape
    size = height * width * abs(int(part.header["BITPIX"])) // 8
    if max(height, width) > LARGEST_SIDE or part.start + depth * size > len(part.raw):
        raise UnusableError(
            "bad cutout",
            f"FITS cut short: {depth} x {height} x {width} pixels take {depth * size} bytes, "
            f"{max(len(part.raw) - part.start, 0)} are there",
        )
    head = Head({**part.header, "NAXIS": 2})
    return np.stack([Hdu(part.index, head, part.raw, part.start + k * size).pixels() for k in range(depth)])


def _channels(images: Sequence[Hdu], given: Sequence[str]) -> tuple[str, ...]:
    names = tuple(part.name.lower() for part in images)
    if given or len(images) == 1:
        return ()
    if set(names) <= set(CHANNELS) and len(set(names)) == len(names):
        return names
    raise Refusal(
        422,
        f"{len(images)} FITS images called {list(names)[:9]}: name them {', '.join(CHANNELS)} (EXTNAME), or say "
        "?channels= in their order; for several stamps send one cube each",
    )


def _plane(pixels: NDArray[np.float32], headers: Sequence[Mapping[str, Any]]) -> Plane:
    cards: dict[str, Any] = {}
    for header in reversed(headers):
        cards |= header
    date = next((value for name in _DATES if (value := number(cards.get(name))) == value), float("nan"))
    noise, fwhm = number(cards.get("NOISE")), number(cards.get("FWHM"))
    for name, value in (("NOISE", noise), ("FWHM", fwhm)):
        if value <= 0:
            raise Refusal(422, f"FITS header with {name} = {value:g}: it must be above zero, or absent")
    return Plane(pixels, str(cards.get("ID", "")).strip()[:200], noise, fwhm, date)
