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
    >>> nights_of(Table({"mjd": [60000.4, 60000.6]}), longitude_deg=117.6).tolist()  # 18 h to 22 h at Xinglong
    ['60000', '60000']
    >>> nights_of(Table({"night": ["a", ""], "mjd": [60000.4, 60000.6]})).tolist()
    ['a', '60000']
    """
    names = texts(rows, "night")
    if "mjd" not in rows.colnames or (names != "").all():
        return names
    noon = np.floor(numbers(rows, "mjd") + longitude_deg / 360.0 - 0.5)
    dates = ["" if value != value else f"{value:.0f}" for value in noon.tolist()]
    return np.where(names != "", names, np.array(dates, dtype=str))
