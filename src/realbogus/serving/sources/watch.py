"""A folder that a camera writes to, as a source that does not end: each frame through the night's chain as it comes."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

from ...errors import InputError, OutputError
from ...files import FolderLock
from ...pipeline.chain import FrameResult
from ...pipeline.settings import NightSettings, model_identity
from ...pipeline.work import carry_out, own
from ...pipeline.workers import worker_pool
from ...runtimes import default_model, load_classifier
from ..arrivals import Arrival, Arrivals
from ..batch import Batch, Failed
from .folder_reference import FolderReference
from .searched import Searched
from .stamps import StampSource

__all__ = ["WatchSource"]

_DIED = "the process that worked on this frame died twice, most likely for lack of memory"


@dataclass(frozen=True)
class _Outcome:
    """What became of a frame; `passing`: it was not at fault, and is searched again when the program starts again."""

    reason: str = ""
    parts: Sequence[Path] = ()
    passing: bool = False


@dataclass(frozen=True)
class _Receipt:
    file: Arrival
    reason: str = ""


class WatchSource:
    """Frames as they come, each searched once.

    A frame is searched against one reference, alone: what comes of it does not depend on when it came, nor on how
    often the program was killed meanwhile. Its candidates are called `FRAME#NUMBER`. What every sink has is noted in
    `work`, and not done again under the same prefix, as long as the file is the same. A frame that memory, a disk or
    a process failed goes to the sinks with that reason, but is not noted: it is searched again at the next start.

    Parameters
    ----------
    folder : path
        That the camera writes to.
    work : path
        Folder for the reference, the frame at hand, and the list of what is done.
    classifier : path, optional
        What the chain ranks by; the shipped model by default.
    channels : sequence of str, optional
        Which the scorer needs.
    settings : NightSettings, optional
        All choices of a night. Without a reference in it one is made of the first `first` frames that can be used.
    first : int
        Usable frames that are waited for to make it.
    prefix : str
        Put before every id.
    settle_s : float
        How long a file must not have changed.
    idle_s : float, optional
        End when nothing came for so long; without, it never ends by itself.
    say : callable, optional
        Told what is done.

    Raises
    ------
    InputError
        No such folder, numbers that cannot be, or (when frames are asked for) a reference that is none.
    OutputError
        `work` cannot be written, or another run is at work there.
    """

    #: Nobody knows how many there will be.
    count: int | None = None

    def __init__(
        self,
        folder: Path | str,
        work: Path | str,
        *,
        classifier: str | Path | None = None,
        channels: Sequence[str] | None = None,
        settings: NightSettings | None = None,
        first: int = 8,
        prefix: str = "",
        settle_s: float = 2.0,
        idle_s: float | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        if idle_s is not None and not idle_s > 0:
            raise InputError(f"idle {idle_s:g} s: give the seconds after which a silent folder has ended, above 0")
        self.folder, self.work, self.prefix = Path(folder), Path(work), prefix
        self._arrivals = Arrivals(folder, settle_s=settle_s)
        self.channels, self._idle_s = channels, idle_s
        self._model = str(default_model() if classifier is None else classifier)
        self._identity = ""
        self._settings = (settings or NightSettings()).for_channels(channels)
        self._say = say or (lambda text: None)
        self._stop = threading.Event()
        self._reference = FolderReference(self.folder, self.work, self._settings, first, self._stop, self._say)
        try:
            (self.work / "frames").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write to {self.work}: {error}; choose a folder you may write") from error
        self._done = Searched(self.work / "done.jsonl", prefix)
        self._pool: ProcessPoolExecutor | None = None
        self._child: int | None = None
        self._lock = FolderLock(self.work)

    def stop(self) -> None:
        """End after the frame at hand; may be called from a signal's handler."""
        self._stop.set()

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield the candidates of each frame as it comes; a frame is done with its last batch."""
        self._identity = model_identity(self._model, load_classifier(self._model).card.to_json())
        self._reference.check()
        last, before = time.monotonic(), set[Arrival]()
        while not self._stop.is_set():
            fresh = self._arrivals.look(skip=self._done)
            if not before.issuperset(fresh):  # frames that wait for a reference have come all the same
                last = time.monotonic()
            before = set(fresh)
            reference = self._reference.find(fresh)
            if not fresh or reference is None:
                if self._idle_s is not None and time.monotonic() - last > self._idle_s:
                    self._leave(fresh)
                    return
                self._stop.wait(min(1.0, wait_s or 1.0))
                continue
            for file in fresh:
                if self._stop.is_set():
                    return
                yield from self._of_frame(file, reference, size, wait_s)
                self._done.pass_over(file)
            last = time.monotonic()

    def commit(self, receipt: Any) -> None:
        """Note that a frame is done, and remove what was kept of it."""
        if receipt is not None:
            self._done.note(receipt.file, receipt.reason)
            shutil.rmtree(self._scratch(receipt.file), ignore_errors=True)

    def close(self) -> None:
        """End, and the process that works on frames with it: what it has in hand nobody waits for any more."""
        self._stop.set()
        pool, self._pool = self._pool, None
        if pool is not None:
            for child in active_children():
                if child.pid == self._child:
                    child.kill()  # it passes over SIGTERM
            pool.shutdown(cancel_futures=True)  # waits, as `adapters.collect` does
        self._lock.close()

    def _scratch(self, file: Arrival) -> Path:
        # another file of that name may be searched while this one is committed
        return self.work / "frames" / f"{file.name}-{file.written_ns}"

    def _leave(self, fresh: Sequence[Arrival]) -> None:
        if fresh:
            need = self._reference.first
            self._say(f"{len(fresh)} frames wait for a reference: {need} usable ones are needed, or give one")
        waiting = self._arrivals.waiting(skip=self._done)
        if waiting:
            self._say(f"{len(waiting)} files are not whole yet and were left: {waiting[0]} ...")

    def _of_frame(self, file: Arrival, reference: Path, size: int, wait_s: float) -> Iterator[Batch]:
        name = file.name
        if self._done.had(name):
            self._say(f"{name}: another file than before under this name: its candidates get the same ids and stand in "
                      "place of the others; give an --id-prefix to keep both")  # fmt: skip
        done = self._search(file, replace(self._settings, reference=str(reference)))
        if done is None:
            return  # not done: it is searched when the program starts again
        if done.reason:
            failed = Failed(self.prefix + name, done.reason, where=str(self.folder / name))
            self._say(f"{name}: not used: {done.reason}" + "; it is tried again at the next start" * done.passing)
            yield Batch.of_failed([failed], receipt=None if done.passing else _Receipt(file, done.reason))
            return
        held: Batch | None = None
        found = 0
        for part in done.parts:
            rows = FrameResult.load(part).catalogue
            if not len(rows):
                continue
            for batch in StampSource(part, channels=self.channels, prefix=self.prefix).batches(size, wait_s):
                if held is not None:
                    yield held
                held = replace(batch, receipt=None)
                found += len(batch)
        self._say(f"{name}: {found} candidates")
        receipt = _Receipt(file)
        yield replace(held, receipt=receipt) if held is not None else Batch.of_failed([], receipt=receipt)

    def _search(self, file: Arrival, chosen: NightSettings) -> _Outcome | None:
        """Search a frame in a process of its own: one that dies costs that frame and nothing else.

        It passes over what a terminal or systemd sends to all; one that was killed is tried once more, unless the
        program itself is to end: then there is no outcome.
        """
        path = self.folder / file.name
        try:
            scratch = own(self._scratch(file), chosen.fingerprint([path], self._identity))
        except OSError as error:
            return _Outcome(f"cannot write to {self.work}: {error}", passing=True)
        for _ in range(2):
            try:
                if self._pool is None:
                    self._pool = worker_pool(1, deaf=True)
                    self._child = self._pool.submit(os.getpid).result()
                return self._pool.submit(_search, path, chosen, self._model, scratch).result()
            except BrokenProcessPool:
                pool, self._pool, self._child = self._pool, None, None
                if pool is not None:  # else `close` has it
                    pool.shutdown(cancel_futures=True)
            if self._stop.wait(0.5):  # the signal that ended the process may be on its way to this one
                return None
        return _Outcome(_DIED, passing=True)


def _search(path: Path, chosen: NightSettings, model: str, scratch: Path) -> _Outcome:
    try:
        work = carry_out([path], chosen, model, scratch, 1, lambda stage, done, of: None)
    except (OSError, MemoryError) as error:
        return _Outcome(f"{type(error).__name__}: {error}", passing=True)
    return _Outcome(work.failed.get(path.name, ""), work.parts, path.name in work.passing)
