"""Which study a folder holds, and on which machine it runs."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError
from ..files import plain, write_text
from ..processes import processor_name
from ..stamps import StampSet
from .data import data_sha256
from .plan import Plan

__all__ = ["agree", "machine"]

_FILE, _PART = "study.json", "study.part.json"


def agree(out: Path, plan: Plan, stamps: StampSet | None) -> None:
    """Refuse a folder that holds the study of other data, another seed, other epochs or another release.

    Hours of training must not be lost to a mistyped option. Networks may be added or left
    out, and a changed recipe starts the runs afresh that it concerns.

    Raises
    ------
    ConfigError
        The message says what differs.
    """
    mine = {
        "realbogus": __version__,
        "scale": plan.scale,
        "seed": plan.seed,
        "epochs": plan.recipe.training.epochs,
        "stamps": None if stamps is None else data_sha256(stamps)[:16],
    }
    path = out / _FILE
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            differ = [f"{key} {before[key]} there, {value} here" for key, value in mine.items() if before[key] != value]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} cannot be read ({error!r}): choose another folder") from error
        if differ:
            raise ConfigError(
                f"{out} holds another study ({'; '.join(differ)}): give the same options, or choose another folder"
            )
        return
    strangers = sorted(item.name for item in out.iterdir() if item.name not in (".lock", _PART))
    if strangers:
        raise ConfigError(f"{out} holds {', '.join(strangers[:3])}, which is no study of ours: choose an empty folder")
    text = json.dumps(plain(mine), indent=1) + "\n"
    write_text(path, text)


def machine() -> dict[str, Any]:
    """Say what the study ran on."""
    import torch

    return {
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
