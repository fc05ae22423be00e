"""A stamp set that is made part by part, each on disk when it is done, and joined at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import vstack

from ..errors import InputError, OutputError
from ..stamps import StampSet
from ..tables import write_parquet

__all__ = ["PartStore"]

_BLOCK = 1024  # stamps copied at a time


class PartStore:
    """Parts of one set in `folder`/parts; killed at any moment, what is there is whole.

    Parameters
    ----------
    folder : Path
        Of the set.
    provenance : mapping
        Says what set it is; a folder begun for another one is refused.

    Raises
    ------
    InputError
        The folder holds another set.
    OutputError
        The folder cannot be written.
    """

    def __init__(self, folder: Path, provenance: Mapping[str, Any]) -> None:
        self.folder, self.parts = folder, folder / "parts"
        self.provenance = json.loads(json.dumps(dict(provenance), default=str))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            plan = self.folder / "plan.json"
            if plan.exists():
                self._check(json.loads(plan.read_text()))
            elif (self.folder / "card.json").exists():
                raise InputError(f"{folder} holds other stamps: choose a new folder")
            else:
                _write(plan, json.dumps(self.provenance, indent=1) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write to {folder}: {error}; choose a folder you may write") from error
        except ValueError as error:
            raise InputError(f"{folder} holds something else ({error}): choose a new folder") from error

    def _check(self, before: Any) -> None:
        if before != self.provenance:
            raise InputError(
                f"{self.folder} was begun as another set ({json.dumps(before)[:200]}), now it would be "
                f"{json.dumps(self.provenance)[:200]}: choose a new folder"
            )

    def whole(self) -> StampSet | None:
        """Return the joined set, if it is there."""
        if not (self.folder / "card.json").exists():
            return None
        return StampSet.load(self.folder)

    def has(self, name: str) -> bool:
        """Say whether a part is there."""
        return (self.parts / name).is_dir()

    def put(self, name: str, part: StampSet) -> None:
        """Keep a part, whole or not at all."""
        draft = self.parts / f"{name}.part"
        shutil.rmtree(draft, ignore_errors=True)
        part.save(draft)
        try:
            os.replace(draft, self.parts / name)
        except OSError as error:
            raise OutputError(f"cannot keep {name} in {self.parts}: {error}") from error

    def join(self, names: Sequence[str]) -> StampSet:
        """Join the named parts in order, pixels straight from disk to disk, and drop them."""
        sets = [StampSet.load(self.parts / name) for name in names]
        first = sets[0]
        total = sum(len(part) for part in sets)
        draft = self.folder / "pixels.npy.part"
        try:
            pixels = np.lib.format.open_memmap(
                draft, mode="w+", dtype=np.float32, shape=(total, *first.pixels.shape[1:])
            )
            row = 0
            for part in sets:
                for start in range(0, len(part), _BLOCK):
                    block = part.pixels[start : start + _BLOCK]
                    pixels[row : row + len(block)] = block
                    row += len(block)
            pixels.flush()
            shape = pixels.shape
            del pixels
            os.replace(draft, self.folder / "pixels.npy")
            catalogue = vstack([part.catalogue for part in sets], metadata_conflicts="silent")
            write_parquet(catalogue, self.folder / "catalogue.parquet.part")
            os.replace(self.folder / "catalogue.parquet.part", self.folder / "catalogue.parquet")
            # the card comes last: where it is, all is
            cards = self.folder / "card.part"
            cards.mkdir(exist_ok=True)
            StampSet.write_card(cards, first.channels, shape, self.provenance)
            os.replace(cards / "card.json", self.folder / "card.json")
            cards.rmdir()
        except OSError as error:
            raise OutputError(f"cannot write the set to {self.folder}: {error}") from error
        shutil.rmtree(self.parts, ignore_errors=True)
        return StampSet.load(self.folder)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".part")
    draft.write_text(text)
    os.replace(draft, path)
