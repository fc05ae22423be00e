"""Which night a candidate belongs to."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..columns import numbers, texts

__all__ = ["nights_of"]


def nights_of(rows: Table, longitude_deg: float = 0.0) -> NDArray[np.str_]:
    """Return the name of each candidate's night: its `night`, else its local noon by `mjd`, else empty.

    Parameters
    ----------
    rows : Table
        N candidates.
    longitude_deg : float
        Of the telescope, east positive: a night lasts from local noon to noon.

    Examples
    --------
    >>> nights_of(Table({"mjd": [60000.4, 60000.6, np.nan]})).tolist()
    ['59999', '60000', '']
    >>> nights_of(Table({"night": ["a"], "mjd": [60000.4]})).tolist()
    ['a']
    """
    if "night" in rows.colnames:
        return texts(rows, "night")
    if "mjd" not in rows.colnames:
        return np.zeros(len(rows), dtype="U1")
    noon = np.floor(numbers(rows, "mjd") + longitude_deg / 360.0 - 0.5)
    return np.array(["" if value != value else f"{value:.0f}" for value in noon.tolist()] or [], dtype=str)
