"""From packets, FITS cutouts and arrays to one stamp set: rows and reasons together are what was handed in."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from ..errors import InputError
from ..processes import end_with
from .layout import Layout
from .packets import Unusable
from .plan import chunks, find_units
from .rows import check_share
from .store import SetWriter
from .work import Settings, Work, work

if TYPE_CHECKING:
    from ..stamps import StampSet
    from .units import Unit

__all__ = ["Adapted", "adapt"]


@dataclass(frozen=True)
class Adapted:
    """What came of it.

    Parameters
    ----------
    stamps : StampSet
        On disk; pixels are read as they are used.
    unusable : astropy.table.Table
        Columns `file`, `record` (from 0; -1: the whole file), `id`, `cause`, `reason`.
    """

    stamps: StampSet
    unusable: Table = field(default_factory=Table)

    @property
    def read(self) -> int:
        """What was handed in: rows and reasons."""
        return len(self.stamps) + len(self.unusable)

    @property
    def causes(self) -> dict[str, int]:
        """How many could not be used, by cause."""
        return dict(Counter(self.unusable["cause"].tolist()).most_common())


def adapt(
    paths: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
    layout: Layout | None = None,
    min_valid: float = 0.5,
    fwhm: float | None = None,
) -> Adapted:
    """Turn packets, FITS cutouts and arrays into one stamp set.

    Parameters
    ----------
    paths : path or sequence of paths
        Avro files, FITS files, .npy and .npz files, and folders of them.
    out : path
        Folder of the set to write; `unusable.csv` lies beside its files.
    jobs : int
        Processes; it changes nothing but the time.
    progress : callable, optional
        Called with ("adapt", files done, files).
    layout : Layout, optional
        How FITS cutouts and arrays are laid out; packets need none.
    min_valid : float
        Smallest share of what a whole cutout would give that must be there for a stamp to be usable, in [0, 1].
    fwhm : float, optional
        PSF size in pixels of stamps that say nothing of it.

    Returns
    -------
    Adapted
        The set with channels `difference`, `science`, `reference`, 64 x 64 pixels, the source on ``[32, 32]`` in
        every one; and everything that gave no row, with its reason.

    Raises
    ------
    InputError
        A path is not there, the folder holds stamps already, or nothing at all could be used.
    OutputError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> stamps = np.random.default_rng(0).normal(0, 1, (2, 3, 63, 63))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/stamps.npy", stamps)
    ...     facts = Layout(table=Table({"name": ["a", "a"], "rb": [0.9, 0.1]}), columns={"source": "name"})
    ...     done = adapt(f"{folder}/stamps.npy", f"{folder}/S", layout=facts)
    ...     done.stamps.pixels.shape, done.stamps.catalogue["rb"].tolist(), len(done.unusable)
    ((2, 3, 64, 64), [0.9, 0.1], 0)
    """
    if getattr(current_process(), "_inheriting", False):
        raise InputError(
            'a new process reads the script that started it: put the call under `if __name__ == "__main__":`, '
            "or pass jobs=1"
        )
    check_share(min_valid, fwhm)
    if jobs < 1:
        raise InputError(f"jobs {jobs}: give the number of processes, at least 1")
    given = [paths] if isinstance(paths, Path | str) else list(paths)
    out, layout = Path(out), layout or Layout()
    writer = SetWriter(out)
    try:
        units = find_units(given, layout, apart=out, scratch=writer.draft)
        settings = Settings(min_valid, fwhm)
        unusable: list[Unusable] = []
        seen: dict[str, str] = {}
        surveys: Counter[str] = Counter()
        done = 0
        for part in _in_order(list(chunks(units)), jobs, settings):
            unusable += part.unusable
            keep = _fresh(part, seen, unusable)
            rows = part.rows if keep is None else part.rows.filter(keep)
            writer.add(part.pixels if keep is None else part.pixels[keep], rows)
            surveys.update(rows.column("survey").to_pylist() if len(part.pixels) else ())
            done += part.units
            if progress is not None:
                progress("adapt", done, len(units))
        listed = writer.list_unusable(unusable)
        if not writer.count:
            first = "; ".join(f"{entry.file}: {entry.reason}" for entry in unusable[:3])
            raise InputError(f"nothing to use among {len(unusable)} of {len(units)} files ({first or 'empty folder'}); "
                             f"every reason stands in {listed}")  # fmt: skip
        stamps = writer.finish(
            {
                "origin": "broker", "sources": [str(path) for path in given], "rows": dict(surveys),
                "unusable": dict(Counter(entry.cause for entry in unusable)), "min_valid": min_valid, "fwhm": fwhm,
            }
        )  # fmt: skip
    except BaseException:
        writer.discard()
        raise
    return Adapted(stamps, _listing(unusable))


def _fresh(part: Work, seen: dict[str, str], unusable: list[Unusable]) -> Any:
    """Return a mask of the rows whose id was not there before, or None where that is all of them."""
    if not len(part.pixels):
        return None
    keep = np.ones(len(part.pixels), dtype=bool)
    identities, files = part.rows.column("id").to_pylist(), part.rows.column("file").to_pylist()
    for row, (identity, file) in enumerate(zip(identities, files, strict=True)):
        if identity in seen:
            keep[row] = False
            reason = f"{identity} was read before, from {seen[identity]}"
            unusable.append(Unusable(file, part.records[row], "duplicate", reason, identity))
        else:
            seen[identity] = file
    return None if keep.all() else keep


def _listing(unusable: Sequence[Unusable]) -> Table:
    names = ("file", "record", "id", "cause", "reason")
    columns: dict[str, Any] = {name: [getattr(entry, name) for entry in unusable] for name in names}
    return Table({name: np.array(values, dtype=int if name == "record" else str) for name, values in columns.items()})


def _in_order(parts: Sequence[list[Unit]], jobs: int, settings: Settings) -> Iterator[Work]:
    """Do the work of each part, on several processes, and yield what comes of it in their order."""
    jobs = min(jobs, len(parts))
    if jobs <= 1:
        for part in parts:
            yield work(part, settings)
        return
    waiting: deque[tuple[list[Unit], Future[Work]]] = deque()
    pool = _pool(jobs)
    source = iter(parts)
    try:
        while True:
            # a few ahead and no more: memory stays flat however many packets there are
            for part in islice(source, max(jobs + 2 - len(waiting), 0)):
                waiting.append((part, pool.submit(work, part, settings)))
            if not waiting:
                return
            part, future = waiting.popleft()
            try:
                yield future.result()
            except BrokenProcessPool:
                pool.shutdown(cancel_futures=True)
                yield from _one_by_one(part, settings)
                pool = _pool(jobs)
                waiting = deque((later, pool.submit(work, later, settings)) for later, _ in waiting)
    finally:
        # waits: Python 3.11 may raise at its own end where a pool ends at the same moment
        pool.shutdown(cancel_futures=True)


def _one_by_one(part: list[Unit], settings: Settings) -> Iterator[Work]:
    """Do a part that was there when a process died; in halves, each in a process of its own, to find which it was."""
    with _pool(1) as pool:
        try:
            yield pool.submit(work, part, settings).result()
            return
        except BrokenProcessPool:
            pass
    if len(part) == 1:
        reason = "the process that read it died, most likely for lack of memory"
        yield Work.nothing([Unusable(part[0].name, -1, "refused", reason)])
        return
    middle = len(part) // 2
    yield from _one_by_one(part[:middle], settings)
    yield from _one_by_one(part[middle:], settings)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # spawn, not fork: numerical libraries hold threads and locks that do not survive a fork
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=end_with, initargs=(os.getpid(),))
