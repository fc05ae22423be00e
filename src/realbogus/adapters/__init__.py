"""Other people's stamps: alert packets, folders of FITS cutouts, arrays with a table, to one `StampSet`.

Examples
--------
>>> from realbogus.adapters import KINDS
>>> [name for name in KINDS if KINDS.resolve(name).marks]  # alert packets that are known by their schema
['rubin', 'ztf']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Names resolved on first use: a worker that reads packets needs no tables.
_WHERE = {
    "Adapted": ".collect",
    "Cutout": ".packets",
    "KINDS": ".kinds",
    "Layout": ".layout",
    "Packet": ".packets",
    "PacketKind": ".kinds",
    "Unusable": ".packets",
    "adapt": ".collect",
    "packet_schema": ".schemas",
    "read_packets": ".reading",
    "stamps_of": ".rows",
}

__all__ = [
    "KINDS",
    "Adapted",
    "Cutout",
    "Layout",
    "Packet",
    "PacketKind",
    "Unusable",
    "adapt",
    "packet_schema",
    "read_packets",
    "stamps_of",
]

if TYPE_CHECKING:
    from .collect import Adapted, adapt
    from .kinds import KINDS, PacketKind
    from .layout import Layout
    from .packets import Cutout, Packet, Unusable
    from .reading import read_packets
    from .rows import stamps_of
    from .schemas import packet_schema


def __getattr__(name: str) -> Any:
    try:
        module = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module 'realbogus.adapters' has no attribute {name!r}") from None
    return getattr(import_module(module, __name__), name)
