"""Tables of plug-ins: a name goes in, the object comes out, a stranger is an error.

An argument that takes a name also takes the object, so `resolve` passes anything
that is not a string through untouched.

Examples
--------
>>> from realbogus.registry import Registry
>>> shapes = Registry("shape")
>>> @shapes.register("square")
... def square(side):
...     return side * side
>>> shapes.resolve("square")(3)
9
>>> shapes.resolve("circle")
Traceback (most recent call last):
    ...
realbogus.errors.UnknownNameError: unknown shape 'circle': known are square
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import UnknownNameError

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """One table of named things of one kind.

    Parameters
    ----------
    kind : str
        What the entries are, in the singular; used in error messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate the object that `name` shall mean."""

        def keep(entry: T) -> T:
            self._entries[name] = entry
            return entry

        return keep

    def resolve(self, name: str | T) -> T:
        """Return the entry called `name`; anything but a string is returned as it is.

        Raises
        ------
        UnknownNameError
            The name is in no line of the table.
        """
        if not isinstance(name, str):
            return name
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(self)
            raise UnknownNameError(f"unknown {self.kind} {name!r}: known are {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
