"""FITS images out of bytes, plain or gzipped, without trust and without delay.

A survey sends three small images with every alert; opening each with astropy takes longer than all
the rest. Plain images are read here straight from the bytes; what is not plain (compressed tiles, cubes of
one plane) goes to astropy after its promised size was checked.
"""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fits_head import CARD, Head, parse_head
from .packets import Cutout, UnusableError

__all__ = ["LARGEST_BYTES", "LARGEST_HEADER", "LARGEST_SIDE", "Hdu", "cutout_from_bytes", "hdus", "inflate"]

#: A cutout's bytes, unpacked, at most.
LARGEST_BYTES = 32 * 2**20
#: A cutout's side at most, pixels.
LARGEST_SIDE = 2048
#: Bytes of a header at most; headers that were read are kept, and a cutout's has a few dozen cards.
LARGEST_HEADER = 2**20

_BLOCK = 2880
_END = b"END" + b" " * 77
_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def inflate(data: bytes, limit: int = LARGEST_BYTES) -> bytes:
    """Unpack gzip, or return bytes that are not gzipped as they are.

    Parameters
    ----------
    data : bytes
    limit : int
        Bytes that may come out.

    Raises
    ------
    UnusableError
        More comes out, or the stream is cut short or damaged.

    Examples
    --------
    >>> import gzip
    >>> inflate(gzip.compress(b"small")), inflate(b"plain")
    (b'small', b'plain')
    """
    if data[:2] != b"\x1f\x8b":
        return data
    parts: list[bytes] = []
    room = limit
    while data[:2] == b"\x1f\x8b":
        stream = zlib.decompressobj(31)
        try:
            part = stream.decompress(data, room + 1)
        except zlib.error as error:
            raise UnusableError("bad cutout", f"damaged gzip ({error})") from None
        if len(part) > room:
            raise UnusableError("refused", f"gzip that unpacks to more than {limit} bytes: a cutout is smaller")
        if not stream.eof:
            raise UnusableError("bad cutout", "gzip that is cut short")
        parts.append(part)
        room -= len(part)
        data = stream.unused_data
    return b"".join(parts)


@dataclass(frozen=True)
class Hdu:
    """One part of a FITS file: its header, and its image on demand.

    Parameters
    ----------
    index : int
        0 is the primary.
    head : object
        Its header.
    raw : bytes
        The whole file.
    start : int
        Where its data begin.
    """

    index: int
    head: Head
    raw: bytes
    start: int

    @property
    def header(self) -> Mapping[str, Any]:
        """Its cards, names in capitals."""
        return self.head.cards

    @property
    def name(self) -> str:
        """EXTNAME in capitals, or the empty string."""
        return str(self.header.get("EXTNAME", "")).strip().upper()

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes of the image, NumPy's order; of the image inside where it is compressed."""
        return self.head.shape

    @property
    def is_image(self) -> bool:
        """Whether there is a two-dimensional image in it; axes of one pixel in front do not count."""
        return self.head.is_image

    def pixels(self) -> NDArray[np.float32]:
        """Return the image, float32, shape (H, W); blank integers are NaN.

        Raises
        ------
        UnusableError
            No image, too large, or cut short.
        """
        if not self.is_image:
            raise UnusableError("bad cutout", f"FITS without a two-dimensional image (axes {self.shape})")
        height, width = self.shape[-2:]
        if max(height, width) > LARGEST_SIDE:
            raise UnusableError(
                "refused", f"FITS header promises {width} x {height} pixels, at most {LARGEST_SIDE} a side are taken"
            )
        kind = _TYPES.get(self.header.get("BITPIX", 0))
        if kind is None or self.header.get("ZIMAGE") is True:
            return _by_astropy(self)
        count = height * width
        if self.start + count * int(kind[2]) > len(self.raw):
            raise UnusableError(
                "bad cutout",
                f"FITS cut short: {width} x {height} pixels take {count * int(kind[2])} bytes, "
                f"{max(len(self.raw) - self.start, 0)} are there",
            )
        stored = np.frombuffer(self.raw, kind, count, self.start).reshape(height, width)
        return _scaled(stored, self.header)


def _scaled(stored: NDArray[Any], header: Mapping[str, Any]) -> NDArray[np.float32]:
    factor, offset = header.get("BSCALE", 1), header.get("BZERO", 0)
    if not all(isinstance(value, int | float) for value in (factor, offset)):
        raise UnusableError("bad cutout", f"FITS header with BSCALE {factor!r} and BZERO {offset!r}")
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is a sentinel
        if factor == 1 and offset == 0:
            pixels = stored.astype(np.float32)
        else:
            pixels = (stored * float(factor) + float(offset)).astype(np.float32)
    blank = header.get("BLANK")
    if stored.dtype.kind in "iu" and isinstance(blank, int):
        pixels[stored == blank] = np.nan
    return pixels


def _by_astropy(hdu: Hdu) -> NDArray[np.float32]:
    from astropy.io import fits

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(hdu.raw), memmap=False) as opened:
                data = np.asarray(opened[hdu.index].data)
            return np.array(data.reshape(data.shape[-2:]), dtype=np.float32)
        except Exception as error:  # a dozen kinds on damaged files
            raise UnusableError("bad cutout", f"damaged FITS ({type(error).__name__}: {error})") from None


def hdus(raw: bytes) -> Iterator[Hdu]:
    """Walk over the parts of a FITS file, header by header.

    Parameters
    ----------
    raw : bytes
        Unpacked.

    Raises
    ------
    UnusableError
        Empty, no FITS, or a header that does not end.

    Examples
    --------
    >>> import io
    >>> from astropy.io import fits
    >>> stream = io.BytesIO()
    >>> fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 5)), name="sci")]).writeto(stream)
    >>> [(hdu.name, hdu.shape, hdu.is_image) for hdu in hdus(stream.getvalue())]
    [('', (), False), ('SCI', (4, 5), True)]
    """
    if not raw:
        raise UnusableError("bad cutout", "no bytes at all, expected a FITS image")
    if raw[:6] != b"SIMPLE":
        raise UnusableError("bad cutout", f"no FITS: it begins with {raw[:12]!r}")
    start, index = 0, 0
    while start < len(raw) and (index == 0 or raw[start : start + 8] == b"XTENSION"):
        head, data = _header(raw, start)
        yield Hdu(index, head, raw, data)
        start = data + _padded(head.data_bytes)
        index += 1


def _header(raw: bytes, start: int) -> tuple[Head, int]:
    end = raw.find(_END, start)
    while end >= 0 and (end - start) % CARD:
        end = raw.find(_END, end + 1)
    if end < 0:
        raise UnusableError("bad cutout", "FITS cut short: its header has no end")
    if end - start > LARGEST_HEADER:
        raise UnusableError("refused", f"FITS header of {end - start} bytes, at most {LARGEST_HEADER} are taken")
    return parse_head(raw[start:end]), start + _padded(end + CARD - start)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def cutout_from_bytes(data: bytes) -> Cutout:
    """Read one cutout: the first image, and the PSF where an extension PSFIMAGE has one.

    Parameters
    ----------
    data : bytes
        A FITS file, plain or gzipped.

    Returns
    -------
    Cutout

    Raises
    ------
    UnusableError
        It is empty, damaged, no FITS image, or larger than a cutout can be.

    Examples
    --------
    >>> import gzip, io
    >>> from astropy.io import fits
    >>> stream = io.BytesIO()
    >>> fits.PrimaryHDU(np.arange(6.0).reshape(2, 3)).writeto(stream)
    >>> cutout = cutout_from_bytes(gzip.compress(stream.getvalue()))
    >>> cutout.pixels.tolist(), cutout.header["BITPIX"]
    ([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], -64)
    """
    if len(data) > LARGEST_BYTES:
        raise UnusableError("refused", f"cutout of {len(data)} bytes, at most {LARGEST_BYTES} are taken")
    image: Hdu | None = None
    psf: NDArray[np.float32] | None = None
    shapes = []
    for hdu in hdus(inflate(data)):
        shapes.append(hdu.shape)
        if hdu.name == "PSFIMAGE":
            with suppress(UnusableError):  # a bad PSF is no reason to lose the cutout
                psf = hdu.pixels()
        elif image is None and hdu.is_image:
            image = hdu
    if image is None:
        raise UnusableError("bad cutout", f"FITS without a two-dimensional image (axes {shapes})")
    return Cutout(image.pixels(), image.header, psf)
