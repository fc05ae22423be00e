"""The history of a run, one row an epoch, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_whole

__all__ = ["COLUMNS", "read_history", "write_history"]

COLUMNS = (
    "epoch", "lr", "train_loss", "train_accuracy", "train_auc",
    "valid_loss", "valid_accuracy", "valid_auc", "seconds",
)  # fmt: skip


def write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all rows; what was not measured is left empty, and what is no column (the precision) left out.

    Raises
    ------
    OutputError
        The file cannot be written.
    """

    def write(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


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
