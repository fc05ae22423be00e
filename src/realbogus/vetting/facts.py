"""What is said beside a stamp: the facts of the candidate, and links out by its coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from astropy import units as u
from astropy.coordinates import Angle
from astropy.table import Table

from ..columns import JD_OF_MJD, numbers, texts
from ..errors import ConfigError

__all__ = ["JUDGEMENTS", "LINKS", "check_facts", "facts", "links"]

#: Columns that are shown where they are there: name on the page, unit or kind.
_FACTS = {
    "snr": ("S/N", ".1f"), "mag": ("magnitude", ".2f"), "magpsf": ("magnitude", ".2f"), "flux": ("flux", ".4g"),
    "sign": ("sign", "+.0f"), "mjd": ("time (UTC)", "mjd"), "jd": ("time (UTC)", "jd"), "band": ("band", ""),
    "filter": ("band", ""), "frame": ("frame", ""), "field": ("field", ""), "night": ("night", ""),
    "x": ("x (px)", ".1f"), "y": ("y (px)", ".1f"), "fwhm": ("FWHM (px)", ".2f"), "noise": ("noise", ".4g"),
    "missing": ("missing", ".0%"), "epochs": ("epochs", ".0f"), "flag_names": ("flags", ""),
}  # fmt: skip
#: Columns that say what others, or a network, think of a stamp: hidden unless they are asked for.
JUDGEMENTS = {
    "score": ("score", ".3f"), "rb": ("rb", ".3f"), "drb": ("drb", ".3f"), "known": ("known", ""),
    "label": ("label", ".0f"), "origin": ("origin", ""), "weight": ("weight", ".2f"), "kind": ("kind", ""),
    "injected": ("injected", ""),
}  # fmt: skip

#: Places to look a position up, by name; `{ra}` and `{dec}` are degrees, `{sdec}` with its sign.
LINKS = {
    "SIMBAD": "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={ra}%20{sdec}&CooFrame=ICRS&Radius=30&Radius.unit=arcsec",
    "NED": "https://ned.ipac.caltech.edu/conesearch?search_type=Near%20Position%20Search&in_csys=Equatorial"
    "&in_equinox=J2000&ra={ra}d&dec={dec}d&radius=0.5",
    "Legacy Survey": "https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&zoom=15&mark={ra},{dec}",
    "Pan-STARRS": "https://ps1images.stsci.edu/cgi-bin/ps1cutouts?pos={ra}%20{sdec}&filter=color",
    "Aladin Lite": "https://aladin.cds.unistra.fr/AladinLite/?target={ra}%20{sdec}&fov=0.05",
    "VSX": "https://www.aavso.org/vsx/index.php?view=results.get&coords={ra}%20{sdec}&format=d&size=10&unit=3",
    "TNS": "https://www.wis-tns.org/search?ra={ra}&decl={dec}&radius=10&coords_unit=arcsec",
}


def check_facts(catalogue: Table, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns that were asked for.

    Raises
    ------
    ConfigError
        One of them is not there.
    """
    missing = [name for name in names if name not in catalogue.colnames]
    if missing:
        raise ConfigError(f"no column {', '.join(missing)} to show: the set has {', '.join(catalogue.colnames)}")
    return tuple(names)


def facts(catalogue: Table, *, judgements: bool = False, also: Sequence[str] = ()) -> list[list[tuple[str, str]]]:
    """Return name and value of all that is known of each row, as text.

    Parameters
    ----------
    catalogue : Table, N rows
        The rows to speak of.
    judgements : bool
        Scores, labels and origins too, which tell a vetter what to think.
    also : sequence of str
        Further columns.

    Examples
    --------
    >>> rows = Table({"id": ["a"], "snr": [7.31], "ra": [10.0], "dec": [-5.0], "score": [0.9]})
    >>> facts(rows)
    [[('id', 'a'), ('S/N', '7.3'), ('position', '00:40:00.00 -05:00:00.0')]]
    """
    shown = {"id": ("id", "")} | _FACTS | (JUDGEMENTS if judgements else {}) | {name: (name, "") for name in also}
    found: list[list[tuple[str, str]]] = [[] for _ in range(len(catalogue))]
    places = zip(numbers(catalogue, "ra"), numbers(catalogue, "dec"), strict=True)
    positions = [sexagesimal(ra, dec) for ra, dec in places]
    for column, (name, form) in shown.items():
        if column == "mjd":
            for row, position in zip(found, positions, strict=True):
                row += [("position", position)] if position else []
        if column in catalogue.colnames:
            for row, value in zip(found, _written(catalogue, column, form), strict=True):
                row += [(name, value)] if value else []
    return found


def _written(catalogue: Table, column: str, form: str) -> list[str]:
    values = numbers(catalogue, column)
    if not form or catalogue[column].dtype.kind not in "biuf":
        return [str(word) for word in texts(catalogue, column)]
    return [_number(float(value), form) if math.isfinite(value) else "" for value in values]


def _number(value: float, form: str) -> str:
    if form not in ("mjd", "jd"):
        return format(value, form)
    day = value - JD_OF_MJD if form == "jd" else value
    if not 15020 < day < 88069:  # the years 1900 to 2100
        return ""
    return f"{datetime(1858, 11, 17) + timedelta(days=day):%Y-%m-%d %H:%M:%S}"


def sexagesimal(ra: float, dec: float) -> str:
    """Return a position as hours and degrees, empty where it is not known."""
    if not (math.isfinite(ra) and abs(dec) <= 90):
        return ""
    hours = Angle(ra % 360.0, u.deg).to_string(unit=u.hourangle, sep=":", precision=2, pad=True)
    return f"{hours} {Angle(dec, u.deg).to_string(sep=':', precision=1, pad=True, alwayssign=True)}"


def links(ra: float, dec: float) -> list[tuple[str, str]]:
    """Return names and addresses where a position can be looked up; none where it is not known.

    Parameters
    ----------
    ra, dec : float
        Degrees.

    Examples
    --------
    >>> links(10.68471, 41.26875)[2]
    ('Legacy Survey', 'https://www.legacysurvey.org/viewer?ra=10.684710&dec=41.268750&zoom=15&mark=10.684710,41.268750')
    >>> links(float("nan"), 0.0)
    []
    """
    if not (math.isfinite(ra) and abs(dec) <= 90):
        return []
    signed = f"{dec:+.6f}".replace("+", "%2B")
    return [(name, url.format(ra=f"{ra % 360:.6f}", dec=f"{dec:.6f}", sdec=signed)) for name, url in LINKS.items()]
