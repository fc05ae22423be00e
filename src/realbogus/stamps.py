"""The noun `StampSet`: N stamps and the catalogue of their N rows.

On disk it is a folder: `pixels.npy` (memory-mapped when read), `catalogue.parquet`
and `card.json`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from astropy.table.operations import TableMergeError
from numpy.typing import ArrayLike, NDArray

from .columns import numbers, texts
from .errors import InputError, OutputError
from .tables import read_parquet, write_parquet

__all__ = ["FILES", "IGNORE", "STAMP_SIZE", "UNLABELLED", "StampSet", "labels_of", "refuse_model", "refuse_stamps"]

#: What a set is on disk; the card is written last.
FILES = ("pixels.npy", "catalogue.parquet", "card.json")
#: Side of a stamp in pixels (paper, section 2.2.1).
STAMP_SIZE = 64
#: Label of a stamp nobody has judged.
UNLABELLED = -2
#: Label of a stamp that is neither clearly real nor clearly bogus; never trained or scored against.
IGNORE = -1

_FORMAT = 1


def labels_of(table: Table) -> NDArray[np.int64]:
    """Return the column `label`: 1 real, 0 bogus, `IGNORE` or `UNLABELLED`, shape (N,).

    Where it is masked, NaN or absent there is no label.

    Raises
    ------
    InputError
        It holds anything else.

    Examples
    --------
    >>> labels_of(Table({"label": [1.0, 0.0, float("nan")]})).tolist()
    [1, 0, -2]
    """
    text = "label" in table.colnames and table["label"].dtype.kind not in "biuf"
    word = next((str(word) for word in texts(table, "label") if word), "") if text else ""
    if word:
        raise InputError(f"the column label holds {word!r}, expected 1, 0, {IGNORE} or {UNLABELLED}")
    values = numbers(table, "label")
    found = np.where(np.isfinite(values), values, UNLABELLED)
    strange = ~np.isin(found, (1, 0, IGNORE, UNLABELLED))
    if strange.any():
        raise InputError(f"the column label holds {found[strange][0]:g}, expected 1, 0, {IGNORE} or {UNLABELLED}")
    return np.asarray(found.astype(np.int64))


@dataclass(frozen=True)
class StampSet:
    """Stamps with the facts that belong to each.

    Parameters
    ----------
    pixels : ndarray of float32, shape (N, C, S, S)
        Pixel values in ADU, the detection on pixel [S // 2, S // 2].
    catalogue : astropy.table.Table, N rows
        At least `id`, `noise` (the frame's one robust sigma, ADU) and `fwhm` (FWHM_NEA of
        the difference, pixels); commonly also `source`, `frame`, `x`, `y`, `ra`, `dec`,
        `snr`, `label` (1 real, 0 bogus, `IGNORE`, `UNLABELLED`), `origin`, `flags`.
    channels : tuple of str
        Name of each of the C planes, in order.
    provenance : mapping
        How the set came to be; goes into `card.json`.

    Raises
    ------
    InputError
        Shapes disagree, the stamps are not square, or a needed column is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> rows = Table({"id": ["a", "b"], "noise": [3.0, 3.0], "fwhm": [2.5, 2.5]})
    >>> stamps = StampSet(np.zeros((2, 1, 64, 64), "float32"), rows)
    >>> len(stamps), stamps.channels
    (2, ('difference',))
    """

    pixels: NDArray[np.float32]
    catalogue: Table
    channels: tuple[str, ...] = ("difference",)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 4 or shape[2] != shape[3]:
            raise InputError(f"stamps must be (N, C, S, S) with square sides, got shape {shape}")
        if shape[1] != len(self.channels):
            raise InputError(f"{shape[1]} planes a stamp but {len(self.channels)} channel names {self.channels}")
        if shape[0] != len(self.catalogue):
            raise InputError(
                f"{shape[0]} stamps but {len(self.catalogue)} catalogue rows: there must be one row a stamp"
            )
        missing = {"id", "noise", "fwhm"} - set(self.catalogue.colnames)
        if missing:
            raise InputError(f"catalogue lacks the columns {sorted(missing)}; it has {self.catalogue.colnames}")

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def noise(self) -> NDArray[np.float32]:
        """Robust sigma of each stamp's frame, ADU, shape (N,); NaN where it is masked."""
        return np.ma.filled(np.ma.asarray(self.catalogue["noise"], dtype=np.float32), np.float32(np.nan))

    @property
    def fwhm(self) -> NDArray[np.float32]:
        """PSF size of each stamp's difference frame, pixels, shape (N,); NaN where it is masked."""
        return np.ma.filled(np.ma.asarray(self.catalogue["fwhm"], dtype=np.float32), np.float32(np.nan))

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 real, 0 bogus, `IGNORE` or `UNLABELLED`, shape (N,); what is masked or NaN has no label.

        Raises
        ------
        InputError
            The column `label` holds something else.
        """
        return labels_of(self.catalogue)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which stamps may be scored; all may where the catalogue has no column `usable`."""
        if "usable" not in self.catalogue.colnames:
            return np.ones(len(self), dtype=bool)
        return np.ma.filled(np.ma.asarray(self.catalogue["usable"]), False).astype(bool)

    def select(self, rows: ArrayLike) -> StampSet:
        """Return the rows that an index array or boolean mask names, in that order."""
        index = np.asarray(rows)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        return StampSet(
            np.asarray(self.pixels[index], dtype=np.float32),
            self.catalogue[index],
            self.channels,
            self.provenance,
        )

    def save(self, folder: Path | str) -> Path:
        """Write the set as a folder and return it; an earlier set there is replaced once this one is on disk.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds a model.
        """
        folder = Path(folder)
        refuse_model(folder)
        draft = folder / ".saving"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            np.save(draft / "pixels.npy", np.ascontiguousarray(self.pixels, dtype=np.float32), allow_pickle=False)
            write_parquet(self.catalogue, draft / "catalogue.parquet")
            self.write_card(draft, self.channels, self.pixels.shape, self.provenance)
            (folder / "card.json").unlink(missing_ok=True)
            for name in FILES:  # the card last: where it is, all is
                os.replace(draft / name, folder / name)
        except OSError as error:
            raise OutputError(f"cannot write stamps to {folder}: {error}; choose a folder you may write") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return folder

    @staticmethod
    def write_card(
        folder: Path, channels: Sequence[str], shape: tuple[int, ...], provenance: Mapping[str, Any]
    ) -> None:
        """Write `card.json` beside pixels of `shape` (N, C, S, S) that were written already."""
        card: dict[str, Any] = {"format": _FORMAT, "stamps": shape[0], "size": shape[-1]}
        card |= {"channels": list(channels), "provenance": dict(provenance)}
        (folder / "card.json").write_text(json.dumps(card, indent=1, default=str) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> StampSet:
        """Read a folder written by `save`; pixels stay on disk until used.

        Raises
        ------
        InputError
            The folder is missing, incomplete, damaged or of another format.
        """
        folder = Path(folder)
        try:
            card = json.loads((folder / "card.json").read_text())
            pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
            catalogue = read_parquet(folder / "catalogue.parquet")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{folder} is no readable stamp set ({error}); expected a folder with pixels.npy, "
                "catalogue.parquet and card.json as `realbogus cut` writes it"
            ) from error
        card = card if isinstance(card, dict) else {}
        if card.get("format") != _FORMAT:
            raise InputError(f"{folder} has stamp format {card.get('format')!r}, this version reads {_FORMAT}")
        channels, provenance = card.get("channels"), card.get("provenance", {})
        if not isinstance(channels, list) or not isinstance(provenance, dict):
            raise InputError(f"{folder / 'card.json'} lacks its channels, or its provenance is none: it is damaged")
        return cls(pixels, catalogue, tuple(map(str, channels)), provenance)

    @classmethod
    def concatenate(cls, sets: Sequence[StampSet]) -> StampSet:
        """Join sets that have the same channels and stamp size, in order.

        Raises
        ------
        InputError
            Nothing to join, or the sets differ in channels, size or the kind of a column.
        """
        if not sets:
            raise InputError("no stamp sets to join")
        first = sets[0]
        for other in sets[1:]:
            if other.channels != first.channels or other.pixels.shape[1:] != first.pixels.shape[1:]:
                raise InputError(
                    f"stamp sets differ: {first.channels} {first.pixels.shape[1:]} and "
                    f"{other.channels} {other.pixels.shape[1:]}"
                )
        try:
            catalogue = vstack([part.catalogue for part in sets], metadata_conflicts="silent")
        except TableMergeError as error:  # ids that are numbers here and text there
            raise InputError(f"stamp sets differ in the kind of a column ({error}): make them one kind") from error
        pixels = np.concatenate([part.pixels for part in sets])
        return cls(pixels, catalogue, first.channels, first.provenance)


def refuse_model(folder: Path | str) -> None:
    """Refuse the folder of a model, an ensemble or a bundle as the place of stamps, whose card would replace its own.

    Raises
    ------
    OutputError
        It holds one.
    """
    here = Path(folder)
    there = [name for name in ("weights.safetensors", "members", "bundle.json") if (here / name).exists()]
    if (here / "card.json").exists() and not (here / "pixels.npy").exists():
        there.append("card.json")
    if there:
        raise OutputError(f"{folder} holds a model ({', '.join(there)}): choose another folder for the stamps")


def refuse_stamps(folder: Path | str) -> None:
    """Refuse the folder of a stamp set as the place of a model, whose card would replace that of the set.

    Raises
    ------
    OutputError
        It holds one, or a part of one.
    """
    there = [name for name in ("pixels.npy", "catalogue.parquet") if (Path(folder) / name).exists()]
    if there:
        raise OutputError(f"{folder} holds a stamp set ({', '.join(there)}): choose another folder for the model")
