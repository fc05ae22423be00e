"""Where a label comes from, and how much it counts for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from ..columns import texts
from ..columns import weights as known_weights
from ..errors import ConfigError, InputError
from ..stamps import IGNORE

__all__ = ["ORIGINS", "parse_weights", "weigh"]

#: What gives a label, by the word in the column `origin`.
ORIGINS: dict[str, str] = {
    "catalogue": "a known variable lies there, or no known object is near",
    "solar-system": "a solar-system object is predicted there at that time",
    "injection": "a synthetic source was put there",
    "detection": "detected, and no catalogue was asked",
    "given": "the set came with the label and did not say from where",
    "vote": "people looked",
    "screen": "the screening network gave a candidate without a label a low score",
}


def parse_weights(words: Sequence[str]) -> dict[str, float]:
    """Read `origin=0.5` words of a command line.

    Raises
    ------
    ConfigError
        No such word, or a weight that is no number of 0 or more.

    Examples
    --------
    >>> parse_weights(["vote=2", "catalogue=0.5"])
    {'vote': 2.0, 'catalogue': 0.5}
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip() or not 0 <= found[name.strip()] < np.inf:
            raise ConfigError(f"weight {word!r}: write ORIGIN=NUMBER with a number of 0 or more, as vote=2")
    return found


def weigh(catalogue: Table, weights: Mapping[str, float], leave_out: Sequence[str] = ()) -> None:
    """Multiply the column `weight` by origin, and label what is left out `IGNORE`; changes the table.

    Parameters
    ----------
    catalogue : Table
        With `label` and `origin`; `weight` is made where it is missing, `why` says what was left out.
    weights : mapping of str to float
        By origin; others keep their weight.
    leave_out : sequence of str
        Origins that are not learned from.

    Raises
    ------
    InputError
        No label has such an origin, or a weight is negative or no number.

    Examples
    --------
    >>> rows = Table({"id": list("abc"), "label": [1, 0, 1], "origin": ["vote", "catalogue", "injection"]})
    >>> weigh(rows, {"vote": 2.0}, ["injection"])
    >>> rows["label"].tolist(), rows["weight"].tolist()
    ([1, 0, -1], [2.0, 1.0, 1.0])
    """
    origin = texts(catalogue, "origin")
    known = sorted(set(origin) - {""})
    strangers = [name for name in (*weights, *leave_out) if name not in known]
    if strangers:
        raise InputError(
            f"no label comes from {', '.join(map(repr, strangers))}: the origins here are {', '.join(known) or 'none'}"
        )
    weight = known_weights(catalogue)
    for name, factor in weights.items():
        if not 0 <= factor < np.inf:
            raise InputError(f"weight {factor:g} of {name}: give a number of 0 or more")
        weight[origin == name] *= factor
    catalogue["weight"] = weight
    gone = np.isin(origin, list(leave_out)) & (np.asarray(catalogue["label"]) >= 0)
    if gone.any():
        label = np.array(catalogue["label"], dtype=np.int64)
        label[gone] = IGNORE
        catalogue["label"] = label
        if "why" in catalogue.colnames:
            why = texts(catalogue, "why").astype(object)
            why[gone] = [f"left out: origin {name}" for name in origin[gone]]
            catalogue["why"] = why.astype(str)
