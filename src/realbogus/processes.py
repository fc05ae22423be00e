"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import threading
import time

__all__ = ["end_with"]


def end_with(parent: int, seconds: float = 0.5) -> None:
    """End this process when its parent is gone; a worker calls it first.

    A process that is killed tells nobody: its workers would go on working for a result that nobody reads.

    Parameters
    ----------
    parent : int
        Process number of the parent.
    seconds : float
        Between two looks.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
