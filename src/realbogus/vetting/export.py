"""Votes leave: as labels of a stamp set, and as subjects for Zooniverse."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image

from ..columns import texts, weights
from ..errors import InputError, OutputError
from ..files import write_text
from ..stamps import UNLABELLED, StampSet
from .facts import facts
from .names import stamp_ids
from .pictures import sheet

__all__ = ["with_votes", "write_zooniverse"]

#: Side of a picture for Zooniverse, pixels, at least.
_SIDE = 256
_CHUNK = 64


def with_votes(stamps: StampSet, table: Table, *, voted_only: bool = False) -> StampSet:
    """Return the set with the labels that people gave it.

    A stamp with votes gets `label` by the consensus, `origin` "vote" and `weight` = the confidence in that
    label; stamps without votes stay as they are. What a label was before stands in `label_before`, the votes
    in `votes_real`, `votes_bogus`, `votes_unsure` and `vote_probability` (that it is real).

    Parameters
    ----------
    stamps : StampSet
        The set that was voted on.
    table : Table
        Of `realbogus.vetting.consensus.consensus` on the set's names.
    voted_only : bool
        Leave out the stamps without votes.

    Raises
    ------
    InputError
        The table is of another set.
    """
    if [str(name) for name in table["id"]] != stamp_ids(stamps):
        raise InputError("the consensus is of other stamps: make it with the ids of this set")
    label = np.asarray(table["label"], dtype=np.int64)
    voted = label != UNLABELLED
    rows = stamps.catalogue.copy()
    if "label" in rows.colnames:
        rows["label_before"] = stamps.labels
    confidence = np.asarray(table["confidence"], dtype=np.float64)
    rows["label"] = np.where(voted, label, stamps.labels)
    rows["origin"] = np.where(voted, "vote", texts(rows, "origin"))
    # a stamp that nobody could decide has no confidence, and is trained on by nobody
    rows["weight"] = np.where(voted, np.nan_to_num(confidence, nan=0.0), weights(rows)).astype(np.float32)
    for name in ("votes_real", "votes_bogus", "votes_unsure"):
        rows[name] = np.asarray(table[name], dtype=np.int32)
    rows["vote_probability"] = np.asarray(table["probability"], dtype=np.float64)
    provenance = dict(stamps.provenance) | {"votes": {"stamps": int(voted.sum())}}
    vetted = StampSet(stamps.pixels, rows, stamps.channels, provenance)
    return vetted.select(voted) if voted_only else vetted


def write_zooniverse(
    stamps: StampSet,
    folder: Path | str,
    *,
    stretch: str = "asinh",
    judgements: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write pictures and a manifest as Zooniverse's project builder takes them.

    One subject a stamp, one picture a plane (`image1`, `image2`, ...: the builder shows them side by side, or
    in turn), 256 pixels or more on a side. Facts are hidden from volunteers (`#`), who are to judge
    the picture alone.

    Parameters
    ----------
    stamps : StampSet
        What is to be shown.
    folder : path
        For `manifest.csv` and the pictures.
    stretch : str
        One of `realbogus.vetting.pictures.STRETCHES`.
    judgements : bool
        Write scores and labels into the hidden facts too.
    progress : callable, optional
        Called with stamps done and all.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    InputError
        The set is empty, or its names are not unique.
    OutputError
        The folder cannot be written.
    """
    folder, ids = Path(folder), stamp_ids(stamps)
    known = facts(stamps.catalogue, judgements=judgements)
    names = list(dict.fromkeys(name for row in known for name, _ in row if name != "id"))
    images = [f"image{k + 1}" for k in range(len(stamps.channels))]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*images, "#id", *(f"#{name}" for name in names)])
    size = stamps.pixels.shape[-1]
    times = -(-_SIDE // size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(stamps), _CHUNK):
            part = np.asarray(stamps.pixels[start : start + _CHUNK])
            whole = sheet(part, stamps.channels, stamps.noise[start : start + _CHUNK], stretch)
            for k in range(len(part)):
                row = start + k
                files = [f"{row:06d}-{_safe(ids[row])}-{_safe(channel)}.png" for channel in stamps.channels]
                for place, file in enumerate(files):
                    tile = whole.crop((place * size, k * size, (place + 1) * size, (k + 1) * size))
                    enlarged = tile.resize((size * times, size * times), Image.Resampling.NEAREST)
                    enlarged.save(folder / file, format="PNG", optimize=True)
                said = dict(known[row])
                writer.writerow([*files, _cell(ids[row]), *(_cell(said.get(name, "")) for name in names)])
            if progress is not None:
                progress(min(start + _CHUNK, len(stamps)), len(stamps))
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}; choose another folder") from error
    return write_text(folder / "manifest.csv", out.getvalue())


def _safe(name: str) -> str:
    """Return a name that any file system and any web address takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip(".")[:60] or "stamp"


def _cell(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula; numbers stay numbers."""
    if text[:1] in ("=", "@", "\t", "\r") or (text[:1] in ("+", "-") and not re.fullmatch(r"[+-][\d.:e %+-]*", text)):
        return f"'{text}"
    return text
