"""The curves of a run for TensorBoard, where its package is installed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

__all__ = ["curves"]

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def curves(folder: Path | None, epoch: int = 0) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give a function that draws one row of the history.

    The event files lie in `folder / "tensorboard"`. Curves are a convenience: without the
    package, or where they cannot be written, the log says so and `history.csv` has the numbers.

    Parameters
    ----------
    folder : path or None
        Folder of the run; None draws nothing.
    epoch : int
        Whole epochs done; what an earlier start drew after them is dropped.
    """
    where, writer = folder, cast(Any, None)

    def draw(row: Mapping[str, Any]) -> None:
        nonlocal where, writer
        if where is not None and writer is None:  # not before there is something to draw
            try:
                from torch.utils.tensorboard import SummaryWriter

                writer = SummaryWriter(where / "tensorboard", purge_step=epoch + 1 if epoch else None)
            except (ImportError, OSError) as error:
                _LOG.info("no curves for TensorBoard (%s): history.csv has the numbers", error)
                where = None
        if writer is not None:
            for name, value in row.items():
                if name not in ("epoch", "seconds", "precision"):
                    part, _, what = name.rpartition("_")
                    writer.add_scalar(f"{what}/{part}" if part else what, value, row["epoch"])
            writer.flush()

    try:
        yield draw
    finally:
        if writer is not None:
            writer.close()
