"""The history of a run, one row an epoch, as CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError

__all__ = ["COLUMNS", "read_history", "write_history"]

COLUMNS = (
    "epoch", "lr", "train_loss", "train_accuracy", "train_auc",
    "valid_loss", "valid_accuracy", "valid_auc", "seconds",
)  # fmt: skip


def write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all rows; what was not measured is left empty.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; choose a folder you may write") from error


def read_history(path: Path) -> list[dict[str, float | None]]:
    """Read what `write_history` wrote; empty entries are None.

    Raises
    ------
    InputError
        The file is missing or is no history.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path} is no training history: expected the columns {', '.join(COLUMNS)}")
            return [{key: float(value) if value else None for key, value in row.items()} for row in reader]
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read the training history {path}: {error}") from error
