"""What goes through the loop: a `Batch` from a source, a `Scored` to the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import InputError

__all__ = ["Batch", "Failed", "Scored"]


@dataclass(frozen=True)
class Failed:
    """Something that a source was handed and that gives no candidate.

    Parameters
    ----------
    id : str
        The candidate's own number, where it could still be read; else empty.
    reason : str
        What was found, what was expected.
    payload : bytes, optional
        What came, where the source holds it anyway (a message of a stream).
    where : str
        Its place in the source, the same whenever it is read again: with `id` it tells failures apart.
    """

    id: str
    reason: str
    payload: bytes | None = None
    where: str = ""


@dataclass(frozen=True)
class Batch:
    """Candidates in the order of their source, and what could not be read.

    Parameters
    ----------
    rows : astropy.table.Table, N rows
        At least `id` (text, one of its own for every candidate), `noise` and `fwhm`; `usable` where it was judged.
    pixels : ndarray of float32, shape (N, C, S, S)
        Stamps, ADU.
    channels : tuple of str
        Name of each of the C planes.
    packets : sequence, optional
        The `Original` of each row, where a sink wants them.
    failed : sequence of Failed
        Rows and failed together are what came in.
    receipt : object
        Handed back to the source once all sinks have the batch; None where it need not know.

    Raises
    ------
    InputError
        Numbers of rows, stamps or packets disagree, or a column is missing.

    Examples
    --------
    >>> rows = Table({"id": ["a", "b"], "noise": [3.0, 3.0], "fwhm": [2.5, 2.5]})
    >>> batch = Batch(rows, np.zeros((2, 1, 64, 64), "float32"), failed=[Failed("", "no Avro file")])
    >>> len(batch), batch.read
    (2, 3)
    """

    rows: Table
    pixels: NDArray[np.float32]
    channels: tuple[str, ...] = ("difference",)
    packets: Sequence[Any] | None = None
    failed: Sequence[Failed] = ()
    receipt: Any = None

    def __post_init__(self) -> None:
        count = len(self.rows)
        if len(self.pixels) != count or (self.packets is not None and len(self.packets) != count):
            packets = "" if self.packets is None else f" and {len(self.packets)} packets"
            raise InputError(
                f"a batch of {count} rows with {len(self.pixels)} stamps{packets}: there must be one a row"
            )
        missing = {"id", "noise", "fwhm"} - set(self.rows.colnames)
        if count and missing:
            raise InputError(f"rows lack the columns {sorted(missing)}; they have {self.rows.colnames}")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def read(self) -> int:
        """How many came in: rows and failed."""
        return len(self.rows) + len(self.failed)

    @classmethod
    def of_failed(cls, failed: Sequence[Failed], receipt: Any = None) -> Batch:
        """Return a batch without a row."""
        return cls(Table(), np.empty((0, 1, 64, 64), np.float32), failed=failed, receipt=receipt)


@dataclass(frozen=True)
class Scored:
    """A batch with its scores.

    Parameters
    ----------
    rows : astropy.table.Table, N rows
        Those of the batch with `score` and `probability` (masked where there is none), `real`, `threshold`, `policy`,
        `model`, `model_version` and `reason` (why there is no score; empty where there is one).
    batch : Batch
        What was scored.
    """

    rows: Table
    batch: Batch

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def real(self) -> NDArray[np.bool_]:
        """Which rows are real, shape (N,)."""
        return np.asarray(self.rows["real"], dtype=bool) if len(self.rows) else np.zeros(0, dtype=bool)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which rows have a score, shape (N,)."""
        return ~np.ma.getmaskarray(self.rows["score"]) if len(self.rows) else np.zeros(0, dtype=bool)
