"""Reading ahead: a source is read in a thread while what came before is scored."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """Yield what `items` yields, in its order, read at most `depth` ahead by a thread.

    An error of `items` comes when all before it has been handed out. Where the reader of this generator leaves, the
    thread ends with the item that it is at.

    Parameters
    ----------
    items : iterator
        Used by that thread alone.
    depth : int
        How many wait to be taken at most; 0: no thread.

    Examples
    --------
    >>> list(ahead(iter(range(5))))
    [0, 1, 2, 3, 4]
    """
    if depth < 1:
        yield from items
        return
    waiting: queue.Queue[tuple[T, BaseException | None]] = queue.Queue(depth)
    gone = threading.Event()

    def put(item: T, error: BaseException | None) -> bool:
        while not gone.is_set():
            try:
                waiting.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
        except BaseException as error:  # whatever it is, it belongs to the one who waits for the next item
            put(_END, error)
        else:
            put(_END, None)
        finally:
            if isinstance(items, Generator):
                items.close()  # what it holds is let go in the thread that used it

    reader = threading.Thread(target=read, name="realbogus-ahead", daemon=True)
    reader.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        gone.set()
        reader.join(timeout=5.0)
