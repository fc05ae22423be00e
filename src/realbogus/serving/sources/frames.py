"""A folder of frames as a source: the whole chain of a night, then its stamps."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...classifier import Classifier
from ...errors import FrameError, InputError
from ...images.read import find_frames
from ...pipeline.night import night
from ...pipeline.settings import NightSettings
from ..batch import Batch, Failed
from .source import SOURCES, SourceKind
from .stamps import StampSource

__all__ = ["FrameSource"]


class FrameSource:
    """What `realbogus night` finds in a folder of frames, best first.

    The same frames and settings give the same candidates under the same ids, `FRAME#NUMBER`. Frames of another night
    with the same names would have the same ids: give each night a `prefix`.

    Parameters
    ----------
    folder : path
        Of FITS frames.
    classifier : path or Classifier, optional
        What the night's chain ranks by; the shipped model by default.
    channels : sequence of str, optional
        Which the scorer needs; science and reference are kept where it needs them, and by default.
    settings : NightSettings, optional
        All choices of the night.
    work : path, optional
        Folder for the night's results, which are kept and carry on; a temporary one by default.
    jobs : int, optional
        Processes; one for each processor by default.
    prefix : str
        Put before every id.
    progress : callable, optional
        Called with (stage, done, all).
    """

    #: How many there are is not known before the night is done.
    count: int | None = None

    def __init__(
        self,
        folder: Path | str,
        *,
        classifier: str | Path | Classifier | None = None,
        channels: Sequence[str] | None = None,
        settings: NightSettings | None = None,
        work: Path | str | None = None,
        jobs: int | None = None,
        prefix: str = "",
        progress: Callable[[str, int, int], None] | None = None,
        **_: Any,
    ) -> None:
        self.folder, self.prefix, self.channels = Path(folder), prefix, channels
        self._classifier, self._jobs, self._progress = classifier, jobs, progress
        self._settings = (settings or NightSettings()).for_channels(channels)
        self._scratch = None if work is not None else tempfile.TemporaryDirectory(prefix="realbogus-night-")
        self._work = Path(self._scratch.name if self._scratch is not None else str(work))

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        """Do the night, then yield its candidates; frames that could not be used are in the first batch's `failed`."""
        frames = find_frames(self.folder)
        try:
            done = night(
                frames, self._work, settings=self._settings, model=self._classifier, jobs=self._jobs,
                progress=self._progress,
            )  # fmt: skip
        except FrameError:
            # every frame failed: each with its reason, as when one does
            summary: dict[str, Any] = json.loads((self._work / "summary.json").read_text())
        else:
            summary = done.summary
        failed = [
            Failed(self.prefix + name, reason, where=str(self.folder / name))
            for name, reason in summary["frames"]["failed"].items()
        ]
        if failed:
            yield Batch.of_failed(failed)
        if (self._work / "stamps" / "card.json").is_file():
            stamps = StampSource(self._work / "stamps", channels=self.channels, prefix=self.prefix)
            yield from stamps.batches(size, wait_s)

    def commit(self, receipt: Any) -> None:
        """Nothing to remember: the frames stay as they are."""

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._scratch is not None:
            self._scratch.cleanup()


def _holds_frames(path: Path) -> bool:
    try:
        return bool(find_frames(path))
    except InputError:
        return False


SOURCES.register("frames")(
    SourceKind("a folder of FITS frames, which goes through `night`", _holds_frames, FrameSource, turn=2)
)
