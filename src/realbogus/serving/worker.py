"""What a process of a cluster does: it keeps a model loaded, and scores parts."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

from ..classifier import Classifier
from ..errors import ConfigError, InputError, ModelError, RealbogusError
from .parts import Answer, Part, answered
from .scorer import Scorer

__all__ = ["Opener", "Worker", "open_model"]

#: Opens the classifier in another process; must pickle.
Opener = Callable[[], Classifier]


def open_model(path: str, threads: int = 1) -> Classifier:
    """Open a model in a worker: `default` is the one of the package there, anything else a path that it must see.

    Raises
    ------
    InputError
        There is nothing.
    ConfigError
        What runs it is not installed.
    """
    from ..runtimes import default_model, load_classifier

    place = default_model() if path == "default" else Path(path)
    if not place.exists():
        raise InputError(f"there is no model at {place}: machines of the cluster must see it under the same path")
    try:
        return load_classifier(place, threads=threads)
    except ImportError as error:
        raise ConfigError(f"{place} cannot be opened: {error}") from error


class Worker:
    """Scores parts with one classifier.

    Parameters
    ----------
    opener : callable
        Opens the classifier.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._scorer: Scorer | None = None

    def ready(self, card: str) -> str:
        """Open the classifier, and return where this is.

        Parameters
        ----------
        card : str
            What it must be, as JSON.

        Raises
        ------
        RealbogusError
            It cannot be opened, or is another one than the card says.
        """
        host = socket.gethostname()
        try:
            classifier = self._opener()
        except RealbogusError as error:
            raise type(error)(f"a worker on {host}: {error}") from None
        if classifier.card.to_json() != card:
            mine, asked = json.loads(classifier.card.to_json()), json.loads(card)
            wrong = sorted(key for key in mine.keys() | asked.keys() if mine.get(key) != asked.get(key))
            raise ModelError(
                f"a worker on {host} holds another model, whose card differs in {', '.join(wrong)}: give every "
                "machine the same files"
            )
        self._scorer = Scorer(classifier)
        return host

    def score(self, part: Part, size: int, keep: bool, why: str = "") -> tuple[list[Answer], Exception | None]:
        """Read a part and score it.

        Parameters
        ----------
        part : Part
        size : int
            Rows of a batch.
        keep : bool
            Whether pixels and packets are wanted.
        why : str
            Where it is given, nothing is scored, and this is the reason.

        Returns
        -------
        list of Answer
            Up to
        Exception or None
            what ended it: the driver raises it where its turn has come, as without a cluster.
        """
        found: list[Answer] = []
        try:
            for batch in part.batches(size):
                found.append(answered(batch, None if why else self._scorer, why, keep=keep))
        except RealbogusError as error:
            return found, type(error)(str(error))  # without what it came from, which may not travel
        return found, None
