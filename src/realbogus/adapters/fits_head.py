"""Headers of FITS files, and what they promise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from .packets import UnusableError

__all__ = ["CARD", "Head", "parse_head"]

#: Bytes of a card.
CARD = 80


class Head:
    """A header and what follows from it; cutouts of one survey share a few.

    Parameters
    ----------
    cards : mapping
        Values by name; names in capitals.
    """

    def __init__(self, cards: Mapping[str, Any]) -> None:
        self.cards = cards

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Axes of the image, NumPy's order; of the image inside where it is compressed."""
        prefix = "ZNAXIS" if self.cards.get("ZIMAGE") is True else "NAXIS"
        count = self.cards.get(prefix, 0)
        if not isinstance(count, int) or not 0 <= count <= 9:
            raise UnusableError("bad cutout", f"FITS header with {prefix} = {count!r}")
        sides = [self.cards.get(f"{prefix}{axis}") for axis in range(count, 0, -1)]
        if not all(isinstance(side, int) and side >= 0 for side in sides):
            raise UnusableError("bad cutout", f"FITS header with axes {sides}")
        return tuple(int(side) for side in sides if side is not None)

    @cached_property
    def is_image(self) -> bool:
        """Whether there is a two-dimensional image in it; axes of one pixel in front do not count."""
        kind = str(self.cards.get("XTENSION", "IMAGE")).strip()
        if kind not in ("IMAGE", "IUEIMAGE") and self.cards.get("ZIMAGE") is not True:
            return False
        shape = self.shape
        return len(shape) >= 2 and all(side == 1 for side in shape[:-2]) and min(shape[-2:]) > 0

    @cached_property
    def data_bytes(self) -> int:
        """Bytes of its data, without the padding; as many as the header says, be they there or not."""
        axes = self.cards.get("NAXIS", 0)
        names = [f"NAXIS{axis + 1}" for axis in range(axes if isinstance(axes, int) and axes < 10 else 0)]
        values = [self.cards.get("BITPIX"), self.cards.get("PCOUNT", 0), self.cards.get("GCOUNT", 1)]
        values += [self.cards.get(name) for name in names]
        if not all(isinstance(value, int) for value in values) or min([1, *values[1:]]) < 0:
            raise UnusableError("bad cutout", f"FITS header with sizes {values}")
        count = math.prod(values[3:]) if names else 0
        return int(abs(values[0]) // 8 * values[2] * (values[1] + count))


@lru_cache(maxsize=256)
def parse_head(block: bytes) -> Head:
    """Read the cards of a header, without the one that ends it.

    Parameters
    ----------
    block : bytes
        80 for each card; what is no value (comments, long names) is left out.

    Examples
    --------
    >>> parse_head(b"BITPIX  =                  -32".ljust(80) + b"OBJECT  = 'a ''b'' ' / c".ljust(80)).cards
    mappingproxy({'BITPIX': -32, 'OBJECT': "a 'b'"})
    """
    cards: dict[str, Any] = {}
    text = block.decode("ascii", "replace")
    for start in range(0, len(text), CARD):
        card = text[start : start + CARD]
        if card[8:9] == "=":
            value = _value(card[9:].strip())
            if value is not None:
                cards.setdefault(card[:8].rstrip(), value)
    return Head(MappingProxyType(cards))


def _value(text: str) -> bool | int | float | str | None:
    if text.startswith("'"):
        end = text.find("'", 1)
        while end >= 0 and text[end + 1 : end + 2] == "'":
            end = text.find("'", end + 2)
        return text[1:end].replace("''", "'").rstrip() if end > 0 else None
    word = text.split("/")[0].strip()
    if word in ("T", "F"):
        return word == "T"
    for number in (int, float):
        try:
            return number(word.replace("D", "E") if number is float else word)
        except ValueError:
            continue
    return None
