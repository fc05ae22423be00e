"""A folder that a camera writes to, as a source that does not end: each frame through the night's chain as it comes."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ...errors import FrameError, InputError, OutputError
from ...pipeline.chain import FrameResult
from ...pipeline.prepare import prepare_reference
from ...pipeline.settings import NightSettings, model_identity
from ...pipeline.survey import look
from ...pipeline.work import carry_out, own
from ...processes import end_with
from ...runtimes import default_model, load_classifier
from ..arrivals import Arrivals
from ..batch import Batch, Failed
from .stamps import StampSource

__all__ = ["WatchSource"]

_DONE = "done.jsonl"


class WatchSource:
    """Frames as they come, each searched once.

    A frame is searched against one reference, alone: what comes of it does not depend on when it came, nor on how
    often the program was killed meanwhile. Its candidates are called `FRAME#NUMBER`. What every sink has is noted in
    `work`, and not done again.

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
        All choices of a night. Without a reference in it one is made of the first `first` frames.
    first : int
        Frames that are waited for to make it.
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
        No such folder, or numbers that cannot be.
    OutputError
        `work` cannot be written.
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
        if first < 2:
            raise InputError(f"first {first}: a reference is made of 2 frames at least")
        if idle_s is not None and not idle_s > 0:
            raise InputError(f"idle {idle_s:g} s: give the seconds after which a silent folder has ended, above 0")
        self.folder, self.work, self.prefix = Path(folder), Path(work), prefix
        self._arrivals = Arrivals(folder, settle_s=settle_s)
        self.channels, self._first, self._idle_s = channels, first, idle_s
        self._model = str(default_model() if classifier is None else classifier)
        self._identity = ""
        self._settings = settings or NightSettings()
        if channels is not None and tuple(channels) != ("difference",):
            self._settings = replace(self._settings, triptychs=True)
        self._say = say or (lambda text: None)
        self._stop = threading.Event()
        try:
            (self.work / "frames").mkdir(parents=True, exist_ok=True)
            self._done = _noted(self.work / _DONE)
        except OSError as error:
            raise OutputError(f"cannot write to {self.work}: {error}; choose a folder you may write") from error
        self._handed: set[str] = set()
        self._pool: ProcessPoolExecutor | None = None

    def stop(self) -> None:
        """End after the frame at hand; may be called from a signal's handler."""
        self._stop.set()

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Yield the candidates of each frame as it comes; a frame is done with its last batch."""
        self._identity = model_identity(self._model, load_classifier(self._model).card.to_json())
        last = time.monotonic()
        while not self._stop.is_set():
            fresh = [path for path in self._arrivals.look() if path.name not in self._done | self._handed]
            reference = self._reference(fresh)
            if not fresh or reference is None:
                if self._idle_s is not None and time.monotonic() - last > self._idle_s:
                    if fresh:
                        self._say(f"{len(fresh)} frames wait for a reference: {self._first} are needed, or give one")
                    waiting = self._arrivals.waiting()
                    if waiting:
                        self._say(f"{len(waiting)} files are not whole yet and were left: {waiting[0]} ...")
                    return
                self._stop.wait(min(1.0, wait_s or 1.0))
                continue
            for path in fresh:
                if self._stop.is_set():
                    return
                yield from self._of_frame(path, reference, size, wait_s)
                self._handed.add(path.name)
            last = time.monotonic()

    def commit(self, receipt: Any) -> None:
        """Note that a frame is done, and remove what was kept of it."""
        if receipt is None:
            return
        with (self.work / _DONE).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps({"frame": receipt}) + "\n")
            notes.flush()
            os.fsync(notes.fileno())
        self._done.add(receipt)
        shutil.rmtree(self.work / "frames" / receipt, ignore_errors=True)

    def close(self) -> None:
        """End the process that works on frames."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _of_frame(self, path: Path, reference: Path, size: int, wait_s: float) -> Iterator[Batch]:
        chosen = replace(self._settings, reference=str(reference))
        scratch = own(self.work / "frames" / path.name, chosen.fingerprint([path], self._identity))
        reason, parts = self._search(path, chosen, scratch)
        if reason:
            failed = Failed(self.prefix + path.name, reason, where=str(path))
            self._say(f"{path.name}: not used: {reason}")
            yield Batch.of_failed([failed], receipt=path.name)
            return
        held: Batch | None = None
        found = 0
        for part in parts:
            rows = FrameResult.load(part).catalogue
            if not len(rows):
                continue
            for batch in StampSource(part, channels=self.channels, prefix=self.prefix).batches(size, wait_s):
                if held is not None:
                    yield held
                held = replace(batch, receipt=None)
                found += len(batch)
        self._say(f"{path.name}: {found} candidates")
        yield replace(held, receipt=path.name) if held is not None else Batch.of_failed([], receipt=path.name)

    def _search(self, path: Path, chosen: NightSettings, scratch: Path) -> tuple[str, list[Path]]:
        """Search a frame in a process of its own: one that dies costs that frame and nothing else."""
        if self._pool is None:
            # spawn, not fork: numerical libraries hold threads and locks that do not survive a fork
            self._pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=end_with, initargs=(os.getpid(),)
            )
        try:
            return self._pool.submit(_search, path, chosen, self._model, scratch).result()
        except BrokenProcessPool:
            self._pool = None
            return "the process that worked on this frame died, most likely for lack of memory", []

    def _reference(self, fresh: Sequence[Path]) -> Path | None:
        """Return the reference: the given one, the one made before, or one made of the first frames."""
        if self._settings.reference is not None:
            return Path(self._settings.reference)
        path = self.work / "reference.fits"
        if path.is_file() or len(fresh) < self._first:
            return path if path.is_file() else None
        sightings = []
        for frame in fresh[: self._first]:
            try:
                sightings.append(look((frame, self._settings.telescope)))
            except FrameError:
                continue  # its own turn comes, and with it the reason
        part = self.work / "making" / "reference.fits"
        shutil.rmtree(part.parent, ignore_errors=True)
        part.parent.mkdir()
        try:
            prepare_reference(sightings, self._settings, part)
        except FrameError as error:
            what = f"no reference can be made of the first {self._first} frames"
            raise InputError(f"{what} ({error}): give one") from error
        os.replace(part, path)
        shutil.rmtree(part.parent, ignore_errors=True)
        self._say(f"reference made of the first {len(sightings)} frames: {path}")
        return path


def _search(path: Path, chosen: NightSettings, model: str, scratch: Path) -> tuple[str, list[Path]]:
    work = carry_out([path], chosen, model, scratch, 1, lambda stage, done, of: None)
    return work.failed.get(path.name, ""), work.parts


def _noted(path: Path) -> set[str]:
    """Read what is done; a line that was cut off was never acknowledged, and is ended so that the next is its own."""
    done = set()
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text and not text.endswith("\n"):
        with path.open("a", encoding="utf-8") as notes:
            notes.write("\n")
    for line in text.splitlines():
        try:
            done.add(str(json.loads(line)["frame"]))
        except (ValueError, KeyError, TypeError):
            continue
    return done
