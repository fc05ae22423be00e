"""Runs a toy study again and again, each time killed elsewhere, the last time to its end.

torch is loaded once, before any of its threads; every run is a fork of this process.
Arguments: the folder of the study, then a pattern of files for each kill.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import timm  # noqa: F401
import torch
from toys import make_plan, make_stamps

from realbogus.study import figures
from realbogus.study.reproduce import reproduce
from realbogus.training import train  # noqa: F401


def doom(out: Path, pattern: str) -> None:
    """Let this process be killed as soon as it opens or renames a file while a file of that pattern is there."""

    def look(event: str, _: object) -> None:  # who looks from outside may look away at the wrong moment
        if event in ("open", "os.rename") and any(out.glob(pattern)):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def main(out: Path, patterns: list[str]) -> None:
    torch.set_num_threads(1)
    figures.FIGURES.clear()  # they follow from the scores, and take longer than all else here
    stamps = make_stamps()
    for pattern in patterns:
        child = os.fork()
        if not child:
            doom(out, pattern)
            reproduce(out, plan=make_plan(), stamps=stamps, jobs=1)
            os._exit(7)  # it ended before it was killed
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"the study ended before {pattern} was seen")
        print("killed at", pattern, flush=True)
    reproduce(out, plan=make_plan(), stamps=stamps, jobs=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
