"""The table of packet kinds, one line each."""

from __future__ import annotations

from collections.abc import Iterable

from ..registry import Registry
from .kind import PacketKind
from .packets import UnusableError
from .plain import ARRAY, FITS
from .rubin import RUBIN
from .ztf import ZTF

__all__ = ["KINDS", "PacketKind", "recognise"]

#: What packets can be; `marks` tell alerts apart by the fields of their schema.
KINDS: Registry[PacketKind] = Registry("packet kind")
for _kind in (ZTF, RUBIN, FITS, ARRAY):
    KINDS.register(_kind.name)(_kind)


def recognise(name: str, fields: Iterable[str]) -> PacketKind:
    """Return the kind of alert whose schema has these top-level fields.

    Parameters
    ----------
    name : str
        Of the schema, for the message.
    fields : iterable of str

    Raises
    ------
    UnusableError
        No kind is like that; the reason lists those that are known.

    Examples
    --------
    >>> recognise("lsst.v9_0.alert", ["diaSource", "cutoutDifference", "cutoutScience", "cutoutTemplate"]).name
    'rubin'
    """
    there = list(fields)
    for key in KINDS:
        kind = KINDS.resolve(key)
        if kind.marks and kind.marks <= set(there):
            return kind
    alerts = {key: sorted(KINDS.resolve(key).marks) for key in KINDS}
    known = "; ".join(f"{key} has {', '.join(marks)}" for key, marks in alerts.items() if marks)
    shown = ", ".join(there[:12]) + (" ..." if len(there) > 12 else "")
    raise UnusableError("foreign", f"schema {name!r} with the fields {shown} is no known alert: {known}")
