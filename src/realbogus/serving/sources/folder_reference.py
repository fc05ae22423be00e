"""The reference that a watched folder is searched against, found or made."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import FrameError, InputError, OutputError
from ...pipeline.prepare import check_reference, prepare_reference
from ...pipeline.settings import NightSettings
from ...pipeline.survey import Sighting, look, of_one_filter
from ..arrivals import Arrival

__all__ = ["FolderReference"]


class FolderReference:
    """The given reference, the one made before, or one made of the first usable frames of one filter.

    Parameters
    ----------
    folder, work : Path
        Where the frames are; where a reference that is made is kept.
    settings : NightSettings
        All choices of a night, a reference among them or none.
    first : int
        Usable frames that are waited for to make it.
    stop : threading.Event
        Set when no more frames need to be looked at.
    say : callable
        Told what is done.

    Raises
    ------
    InputError
        Less than two frames.
    """

    def __init__(
        self,
        folder: Path,
        work: Path,
        settings: NightSettings,
        first: int,
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        if first < 2:
            raise InputError(f"first {first}: a reference is made of 2 frames at least")
        self.first = first
        self._folder, self._work, self._settings, self._stop, self._say = folder, work, settings, stop, say
        self._sightings: dict[Arrival, Sighting | None] = {}
        self._tried = 0  # usable frames of which no reference could be made

    def check(self) -> None:
        """Refuse a given reference that is none (InputError): every frame would fail by it, and be noted as done."""
        check_reference(self._settings)

    def find(self, fresh: Sequence[Arrival]) -> Path | None:
        """Return the reference's path, or None where it waits for more frames than these; may raise OutputError."""
        if self._settings.reference is not None:
            return Path(self._settings.reference)
        path = self._work / "reference.fits"
        if path.is_file():
            return path
        need = max(self.first, self._tried + 1)
        sightings = self._usable(fresh, need)
        if len(sightings) < need:  # frames of another filter have their turn when there is a reference
            return None
        part = self._work / "making" / "reference.fits"
        shutil.rmtree(part.parent, ignore_errors=True)
        try:
            part.parent.mkdir()
            os.replace(prepare_reference(sightings, self._settings, part).path, path)
        except FrameError as error:
            self._tried = len(sightings)
            self._say(f"no reference can be made of {len(sightings)} frames ({error}): waiting for more, or give one")
            return None
        except OSError as error:
            raise OutputError(f"cannot write to {self._work}: {error}; make room, it goes on where it was") from error
        shutil.rmtree(part.parent, ignore_errors=True)
        self._sightings.clear()
        self._say(f"reference made of the first {len(sightings)} frames: {path}")
        return path

    def _usable(self, fresh: Sequence[Arrival], need: int) -> list[Sighting]:
        """Look at frames until so many of one filter can be used; each is looked at once."""
        found: list[Sighting] = []
        for file in fresh:
            if len(of_one_filter(found)[0]) == need or self._stop.is_set():
                break
            if file not in self._sightings:
                try:
                    self._sightings[file] = look((self._folder / file.name, self._settings.telescope))
                except FrameError:  # its own turn comes, and with it the reason
                    self._sightings[file] = None
                except OSError:  # the drive is away for a moment: it is looked at again
                    continue
            sighting = self._sightings[file]
            if sighting is not None:
                found.append(sighting)
        return of_one_filter(found)[0]
