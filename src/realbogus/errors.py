"""Every error that realbogus raises on purpose.

A message says what came, what was expected and what to do. `InputError` and its
children are also `ValueError`, so callers that know nothing of realbogus still
catch bad input as bad input.

Examples
--------
>>> from realbogus.errors import FrameError, RealbogusError
>>> issubclass(FrameError, RealbogusError) and issubclass(FrameError, ValueError)
True
"""

from __future__ import annotations

__all__ = [
    "AlignmentError",
    "ConfigError",
    "FrameError",
    "InputError",
    "ModelError",
    "OutputError",
    "ParityError",
    "RealbogusError",
    "SubtractionError",
    "UnknownNameError",
]


class RealbogusError(Exception):
    """The root of all errors raised here."""


class InputError(RealbogusError, ValueError):
    """Something handed in from outside cannot be used."""


class ConfigError(InputError):
    """A configuration or option has an unknown key or an impossible value."""


class UnknownNameError(InputError):
    """A name that is in no table; the message lists the known ones."""


class FrameError(InputError):
    """One frame cannot be used. It never stops a night."""


class AlignmentError(FrameError):
    """A frame could not be placed on the reference."""


class SubtractionError(FrameError):
    """A difference image was not made, or was made and judged unfit."""


class ModelError(RealbogusError):
    """A model, card or bundle is missing, damaged or of another version."""


class ParityError(ModelError):
    """An exported model does not reproduce the one it came from."""


class OutputError(RealbogusError, OSError):
    """A result cannot be written where it was asked for."""
