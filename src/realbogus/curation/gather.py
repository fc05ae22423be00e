"""Several sets as one catalogue: unique ids, one name a place in the sky, common channels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from astropy.table import Table, TableMergeError, vstack
from numpy.typing import NDArray

from ..columns import texts
from ..errors import InputError
from ..groups import groups
from ..scoring import channel_indices
from ..stamps import StampSet
from .match import places_of

__all__ = ["gather"]


def gather(
    sets: Mapping[str, StampSet],
    injected: Mapping[str, StampSet],
    channels: Sequence[str] | None,
    radius_arcsec: float,
) -> tuple[list[StampSet], Table, NDArray[np.bool_], tuple[str, ...]]:
    """Join the catalogues of sets, and of sets of injected sources after them.

    `set` names the set of each row. Ids that would not be unique get it in front. What lies at one place on the
    sky in several sets is one `source`, whatever the sets call it. A row without a position goes by its own name,
    with the set's in front (not of sets that were assembled before: the parts of one share their names).

    Parameters
    ----------
    sets, injected : mapping of str to StampSet
        By name.
    channels : sequence of str, optional
        Wanted of all.
    radius_arcsec : float
        Half of it makes one place.

    Returns
    -------
    parts : list of StampSet
        In the order of the rows.
    table : Table
        All rows.
    extra : ndarray of bool, shape (N,)
        Which rows are of `injected`.
    channels : tuple of str
        Those asked for, or those that all sets have.

    Raises
    ------
    InputError
        No rows, sets that differ in channels or stamp size, or columns that cannot be joined.
    """
    both = [*sets.items(), *injected.items()]
    names, parts = [name for name, _ in both], [part for _, part in both]
    if len(set(names)) < len(names):
        raise InputError(f"a set is named twice in {', '.join(names)}: name each once")
    if not sum(len(part) for part in parts):
        raise InputError(f"{len(parts)} sets with no stamps in them: there is nothing to assemble")
    have = {part.channels for part in parts}
    if channels is None and len(have) > 1:
        common = [name for name in parts[0].channels if all(name in part.channels for part in parts)]
        raise InputError(
            f"the sets differ in channels: {'; '.join(', '.join(c) for c in sorted(have))}. Say which to keep with "
            f"--channels {' '.join(common) or 'NAME'}"
        )
    kept = tuple(channels) if channels else parts[0].channels
    for part in parts:
        channel_indices(part.channels, kept)
    sizes = sorted({part.pixels.shape[2] for part in parts})
    if len(sizes) > 1:
        raise InputError(f"the sets have stamps of {sizes} pixels: cut them alike")
    tables = []
    for name, part in both:
        rows = part.catalogue.copy()
        rows.meta.clear()
        rows["id"] = texts(rows, "id")
        rows["set"] = np.full(len(rows), name)
        tables.append(rows)
    try:
        table = vstack([rows for rows in tables if len(rows)], metadata_conflicts="silent")
    except TableMergeError as error:
        raise InputError(f"the catalogues of {', '.join(names)} cannot be joined: {error}") from error
    if len(set(table["id"].tolist())) < len(table):
        table["id"] = [f"{name}/{own}" for name, own in zip(table["set"], table["id"], strict=True)]
    if len(set(table["id"].tolist())) < len(table):
        raise InputError("ids are not unique within a set: give every row of a set another `id`")
    # what was assembled before has names for the whole sky, if perhaps another's sky
    before = {name for name, part in both if "set" in part.catalogue.colnames}
    table["source"] = _sources(table, before, len(parts), radius_arcsec)
    extra = np.isin(texts(table, "set"), list(injected))
    return parts, table, extra, kept


def _sources(table: Table, before: Collection[str], sets: int, radius_arcsec: float) -> NDArray[np.str_]:
    """Name the source of each row: over several sets one place in the sky is one.

    A row without a place is of the source that it is named after, in its set: where another row of that name has a
    place, there.
    """
    own, set_ = texts(table, "source"), texts(table, "set")
    named = np.where(own != "", own, np.char.add("stamp-", texts(table, "id")))
    if sets == 1:
        return named
    mine = np.where(np.isin(set_, list(before)), "before", set_)
    names = np.char.add(np.char.add(mine, "/"), named).astype(object)
    places = places_of(table, sky=True)
    if places.known.any():
        rows = np.flatnonzero(places.known)
        found = [f"place-{k:06d}" for k in groups(places.points[rows], places.reach(radius_arcsec / 2))]
        of_name = dict(zip(names[rows][own[rows] != ""], np.array(found)[own[rows] != ""], strict=True))
        names = np.array([of_name.get(name, name) for name in names.tolist()], dtype=object)
        names[rows] = found
    return names.astype(str)
