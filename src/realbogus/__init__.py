"""realbogus: which detections in astronomical difference images are real."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Names resolved on first use, so that `import realbogus` stays quick and needs no torch.
_WHERE = {
    "Card": ".classifier",
    "Classifier": ".classifier",
    "Frame": ".images.frame",
    "Preprocess": ".preprocess",
    "StampSet": ".stamps",
    "night": ".pipeline.night",
    "read_frame": ".images.read",
}

__all__ = ["Card", "Classifier", "Frame", "Preprocess", "StampSet", "__version__", "night", "read_frame"]

if TYPE_CHECKING:
    from .classifier import Card, Classifier
    from .images.frame import Frame
    from .images.read import read_frame
    from .pipeline.night import night
    from .preprocess import Preprocess
    from .stamps import StampSet


def __getattr__(name: str) -> Any:
    try:
        module = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module 'realbogus' has no attribute {name!r}") from None
    return getattr(import_module(module, __name__), name)
