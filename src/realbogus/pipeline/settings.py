"""What a night is asked to do, checked before anything starts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import __version__
from ..errors import ConfigError, InputError, OutputError
from ..files import writable_folder
from ..images.detect import DETECTORS
from ..images.detect_sextractor import PROGRAMS
from ..images.subtract import METHODS
from ..images.telescope import telescope
from ..stamps import FILES

__all__ = ["FORMATS", "NightSettings", "model_identity", "prepare_output"]

#: Formats that candidates can be written in beside Parquet.
FORMATS = ("csv", "ecsv", "votable", "reg")


@dataclass(frozen=True)
class NightSettings:
    """Every choice that changes what a night finds.

    Parameters
    ----------
    telescope : str
        Name of a profile, or path of a TOML file.
    method, detector : str
        Subtraction method and detector.
    detection_threshold : float
        In units of the true noise of the difference.
    min_area : int or None
        Connected pixels a detection needs; None goes by the PSF's size.
    members : int
        Frames that a reference is made of, at most.
    reference : str or None
        Path of a reference image; None builds one from the night.
    inject : int
        Synthetic sources put into every frame.
    inject_snr : (float, float)
        Range of their S/N, drawn log-uniformly.
    seed : int
        Of everything random.
    calibrate : bool
        Set the threshold from injections into the night's own frames.
    completeness : float
        Share of detected injections that the calibrated threshold keeps.
    triptychs : bool
        Keep science and reference beside the difference in every stamp of the output.

    Raises
    ------
    ConfigError
        A value is impossible.
    UnknownNameError
        A telescope, method or detector is in no table.
    """

    telescope: str = "generic"
    method: str = "alard-lupton"
    detector: str = "sep"
    detection_threshold: float = 2.5
    min_area: int | None = None
    members: int = 12
    reference: str | None = None
    inject: int = 0
    inject_snr: tuple[float, float] = (5.0, 50.0)
    seed: int = 0
    calibrate: bool = False
    completeness: float = 0.96
    triptychs: bool = False

    def __post_init__(self) -> None:
        telescope(self.telescope)
        METHODS.resolve(self.method)
        DETECTORS.resolve(self.detector)
        _needs_program("method", self.method, "hotpants", ("hotpants",))
        _needs_program("detector", self.detector, "source-extractor", PROGRAMS)
        low, high = self.inject_snr
        if not 0 < low < high:
            raise ConfigError(f"inject-snr {low:g} {high:g}: give two rising numbers above zero")
        if self.inject < 0:
            raise ConfigError(f"inject {self.inject}: give the number of sources a frame, 0 or more")
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed}: give a whole number, 0 or more")
        if not 0 < self.completeness < 1:
            raise ConfigError(f"completeness {self.completeness:g}: give a share between 0 and 1, for example 0.96")
        if self.detection_threshold <= 0 or (self.min_area is not None and self.min_area < 1) or self.members < 1:
            raise ConfigError(
                f"detection threshold {self.detection_threshold:g}, min area {self.min_area} and "
                f"members {self.members} must all be above zero"
            )
        if self.reference is not None and not Path(self.reference).is_file():
            raise InputError(f"reference {self.reference} is no file: give the path of a FITS image")

    def for_channels(self, channels: Sequence[str] | None) -> NightSettings:
        """Return settings that keep what a model needs: science and reference, unless the difference is enough.

        Parameters
        ----------
        channels : sequence of str, optional
            Of the model; without, all are kept.

        Examples
        --------
        >>> NightSettings().for_channels(("difference",)).triptychs, NightSettings().for_channels(None).triptychs
        (False, True)
        """
        return replace(self, triptychs=self.triptychs or channels is None or tuple(channels) != ("difference",))

    def fingerprint(self, frames: Sequence[Path], model: str) -> str:
        """Name of this very job: what must agree for work done before to be used again."""
        files = [*frames, *([Path(self.reference)] if self.reference else [])]
        stats = [(path.name, *_stat(path)) for path in files]
        profile = repr(telescope(self.telescope))
        text = json.dumps([__version__, asdict(self), stats, profile, model], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _needs_program(option: str, chosen: str, name: str, programs: Sequence[str]) -> None:
    """Refuse a choice whose program is not here, before a night's work and not after it."""
    if chosen == name and not any(shutil.which(program) for program in programs):
        raise ConfigError(f"{option} {name} needs one of the programs {', '.join(programs)} on PATH, and none is there")


def _stat(path: Path) -> tuple[int, int]:
    """Size and time of a file; a missing one fails later, as a frame of its own."""
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else (0, 0)


def model_identity(source: object, card: str) -> str:
    """Name of a model: its card and, where it lies in a file or folder, the bytes of its weights and members' cards.

    Of a bundle those of `bundle.json`, which has the hash of every network, and the cut of a gate.
    """
    if not isinstance(source, (str, Path)):
        return card
    from ..runtimes.bundle_files import BUNDLE_FILE, is_bundle

    path = Path(source)
    if path.is_file():
        files = [path]
    elif is_bundle(path):
        files = [path / BUNDLE_FILE]
    else:
        known = ("weights*", "members/**/weights*", "members/**/*.onnx", "members/**/card.json")
        files = sorted({file for pattern in known for file in path.glob(pattern)})
    return card + "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


def prepare_output(folder: Path, frames: Sequence[Path] = ()) -> Path:
    """Make `folder`, and prove that it can be written and holds nothing that a night would overwrite.

    Raises
    ------
    OutputError
        It cannot, it is the folder of the frames, or its `stamps` are of something else.
    """
    # not Path.resolve: before Python 3.13 it has no patience with a link to itself, which is a frame that fails
    if os.path.realpath(folder) in {os.path.dirname(os.path.realpath(path)) for path in frames}:
        raise OutputError(f"{folder} holds the frames, and the results would lie among them; choose another output")
    check_stamps(folder / "stamps")
    return writable_folder(folder)


def check_stamps(stamps: Path) -> None:
    """Refuse to replace stamps that are of no night, or among which somebody's votes lie.

    Raises
    ------
    OutputError
        Something would be lost.
    """
    if not stamps.exists():
        return
    if not _of_a_night(stamps):
        raise OutputError(f"{stamps} is no result of a night and would be overwritten; choose another output with -o")
    others = sorted(path.name for path in stamps.iterdir() if path.name not in FILES and path.name[0] != ".")
    if others:
        raise OutputError(
            f"{stamps} holds {', '.join(others[:3])}, which would be lost: move it away, or choose another output "
            "with -o; a night that was at its end goes on from there"
        )


def _of_a_night(stamps: Path) -> bool:
    try:
        card = json.loads((stamps / "card.json").read_text())
        return bool(card["provenance"]["origin"] == "night")
    except (OSError, ValueError, KeyError, TypeError):
        return False
