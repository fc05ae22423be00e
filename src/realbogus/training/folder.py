"""The folder of a training: what it may hold before, and what goes where a run starts afresh."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..ensemble import ENSEMBLE
from ..errors import ConfigError, OutputError
from ..model import CARD_FILE, WEIGHTS_FILE
from ..stamps import refuse_stamps

__all__ = ["AFRESH", "check_folder", "clear_folder"]

#: What to do about the work of another run.
AFRESH = "choose another folder, or start afresh with --restart (resume=False in Python)"

_MEMBERS = "members"
_CHECKPOINT = "checkpoint"


def check_folder(folder: Path, members: Sequence[Path] | None = None) -> None:
    """Refuse a folder where a run would replace what it did not make.

    Parameters
    ----------
    folder : Path
        Where the model is to lie.
    members : sequence of Path, optional
        Of a bag, within the folder; without, it is one network.

    Raises
    ------
    OutputError
        It holds a stamp set.
    ConfigError
        It holds a bag where one network is to lie, one network where a bag is, a bag of others, or a model
        that was brought there.
    """
    refuse_stamps(folder)
    there = {f"{_MEMBERS}/{path.name}" for path in (folder / _MEMBERS).glob("*") if path.is_dir()}
    if members is None:
        if there or _architecture(folder) == ENSEMBLE:
            raise ConfigError(f"{folder} holds a bag of networks, and one network was asked for: {AFRESH}")
        if not (folder / _CHECKPOINT).exists() and any((folder / name).exists() for name in (CARD_FILE, WEIGHTS_FILE)):
            raise ConfigError(f"{folder} holds a model, and no checkpoint of a run to carry on: {AFRESH}")
        return
    if (folder / _CHECKPOINT).exists() or (folder / WEIGHTS_FILE).exists():
        raise ConfigError(f"{folder} holds one network, and a bag was asked for: {AFRESH}")
    strangers = sorted(there - {str(path) for path in members})
    if strangers:
        raise ConfigError(f"{folder} holds a bag of other networks ({', '.join(strangers[:3])}): {AFRESH}")


def clear_folder(folder: Path) -> None:
    """Remove what an earlier run left, of one network or of a bag: none of it may be taken for this one's.

    Raises
    ------
    OutputError
        It holds a stamp set, or something cannot be removed.
    """
    refuse_stamps(folder)
    try:
        for name in (CARD_FILE, WEIGHTS_FILE, "history.csv"):  # the card first: without it nothing looks whole
            (folder / name).unlink(missing_ok=True)
        for name in (_CHECKPOINT, "tensorboard", "prepared", _MEMBERS):
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
    except OSError as error:
        raise OutputError(f"cannot remove the earlier run in {folder}: {error}; choose another folder") from error


def _architecture(folder: Path) -> str:
    try:
        return str(json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))["architecture"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
