"""Which scores are real: a fixed threshold, or one that follows what goes by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..classifier import Card
from ..errors import ConfigError
from ..registry import Registry
from .flow import NEVER, Flow

__all__ = ["POLICIES", "Policy", "fixed", "policy_of"]

_Scores = NDArray[np.float32]
#: Candidates that a share is not estimated from fewer than.
LEAST = 200
#: A policy that follows the scores forgets them over so many candidates.
MEMORY = 100_000.0
#: Nights whose number is remembered, and of these the last whose scores are.
_NIGHTS, _FLOWS = 10_000, 4


class Policy(Protocol):
    """Says from which score on a candidate is real."""

    @property
    def text(self) -> str:
        """The policy in words, as `policy_of` reads it; goes into every row."""
        ...

    def __call__(self, scores: _Scores, probabilities: _Scores | None, nights: NDArray[np.str_]) -> NDArray[np.float64]:
        """Return the threshold of each candidate, shape (N,); a score is NaN where there is none."""
        ...


class _Fixed:
    def __init__(self, text: str, threshold: float) -> None:
        self.text, self.threshold = text, threshold

    def __call__(self, scores: _Scores, probabilities: _Scores | None, nights: NDArray[np.str_]) -> NDArray[np.float64]:
        return np.full(len(scores), self.threshold)


class _Following:
    """One threshold for a batch, from the calibrated scores seen so far and those of the batch itself."""

    def __init__(self, text: str, find: Callable[[Flow], float], start: float) -> None:
        self.text, self.find, self.start = text, find, start
        self.flow = Flow(MEMORY)

    def __call__(self, scores: _Scores, probabilities: _Scores | None, nights: NDArray[np.str_]) -> NDArray[np.float64]:
        self.flow.add(scores, probabilities)
        threshold = self.find(self.flow) if self.flow.seen >= LEAST else self.start
        return np.full(len(scores), float(np.float32(threshold)))


@dataclass
class _Night:
    """What one night has left, where its threshold starts, and what went by while it counts."""

    left: int
    start: float
    flow: Flow | None = None


class _AtMost:
    """So many real ones a night and no more; their number never passes it, whatever order the nights come in.

    The threshold of a night is the one that the night before would have needed, and never below the card's. Where
    the night's number would be passed, the best of the batch take what is left. A candidate of no night counts to
    the one at hand.
    """

    def __init__(self, text: str, number: int, least: float) -> None:
        self.text, self.number, self.least = text, number, least
        self._nights: dict[str, _Night] = {}  # the one at hand is the last

    def __call__(self, scores: _Scores, probabilities: _Scores | None, nights: NDArray[np.str_]) -> NDArray[np.float64]:
        thresholds = np.full(len(scores), NEVER)
        for name in dict.fromkeys(nights.tolist()):
            mine = np.flatnonzero(nights == name)
            night = self._at_hand(name)
            assert night.flow is not None
            night.flow.add(scores[mine])
            thresholds[mine] = self._cut(night, scores[mine])
        return thresholds

    def _at_hand(self, name: str) -> _Night:
        """Return a night, which is the one at hand from now on."""
        last = next(reversed(self._nights), None)
        if last is not None and (name == "" or last == name):
            return self._nights[last]
        night = self._nights.pop(name, None)
        if night is None and last == "":
            night = self._nights.pop("")  # what came before the first night that has a name was of that night
        self._nights[name] = night = night or _Night(self.number, self._start())
        night.flow = night.flow or Flow()
        for older in list(self._nights)[:-_FLOWS]:
            self._nights[older].flow = None  # a night's number is kept for good, its scores only for the next night
        for forgotten in list(self._nights)[:-_NIGHTS]:
            del self._nights[forgotten]
        return night

    def _start(self) -> float:
        """Return the threshold that the last night with enough candidates would have needed."""
        for night in reversed(self._nights.values()):
            if night.flow is not None and night.flow.seen >= LEAST:
                return max(self.least, night.flow.above(self.number))
        return next((night.start for night in reversed(self._nights.values())), self.least)

    def _cut(self, night: _Night, scores: _Scores) -> float:
        threshold = float(np.float32(night.start))
        passing = np.sort(scores[scores >= np.float32(threshold)])[::-1]
        if len(passing) > night.left:
            # the best of them; where several share the last place none of them has it
            first_out = passing[night.left]
            threshold = float(np.nextafter(first_out, np.float32(2)))
            passing = passing[passing > first_out]
        night.left -= len(passing)
        return threshold


#: What makes a policy, by name: its value as text and the card in, the policy out.
POLICIES: Registry[Callable[[str, Card], Policy]] = Registry("policy")


def fixed(threshold: float) -> Policy:
    """Return the policy of one number.

    Raises
    ------
    ConfigError
        It is not in [0, 1].

    Examples
    --------
    >>> fixed(0.7).text
    'fixed=0.7'
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold {threshold!r}: scores lie in 0 to 1, give a number between")
    return _Fixed(f"fixed={_shown(threshold)}", float(threshold))


def policy_of(given: Policy | str | None, card: Card, *, say: Callable[[str], None] | None = None) -> Policy:
    """Return the policy that a text means.

    Parameters
    ----------
    given : Policy, str or None
        `model` (the card's threshold; None too), a number, `fixed=0.7`, `precision=recall`, `at-most=100` (a night),
        `purity=0.9`, `completeness=0.95`, or the path of a `.json` file that holds one and may change.
    card : Card
        Of the classifier.
    say : callable, optional
        Told of changes of a file.

    Raises
    ------
    ConfigError
        It is no policy, its value cannot be, or it needs a calibration that the card lacks.

    Examples
    --------
    >>> card = Card(name="toy", architecture="compact", threshold=0.6)
    >>> policy_of(None, card).text, policy_of("0.7", card).text
    ('model', 'fixed=0.7')
    >>> policy_of("purity=0.9", card)
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: policy purity=0.9 needs probabilities, and the card of toy holds no calibration: ...
    """
    if given is None:
        given = "model"
    if not isinstance(given, str):
        return given
    text = given.strip()
    if text.endswith(".json"):
        from .policy_file import PolicyFile

        return PolicyFile(Path(text), card, say)
    name, _, value = text.partition("=")
    if not value and _number(name) is not None:
        name, value = "fixed", name
    return POLICIES.resolve(name.strip())(value.strip(), card)


def _shown(value: float) -> str:
    """Return all digits that tell a number from its neighbours: a policy changed in the seventh is another one."""
    return repr(int(value)) if value == int(value) else repr(float(value))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _share(name: str, text: str) -> float:
    value = _number(text)
    if value is None or not 0 < value < 1:
        raise ConfigError(f"policy {name}={text}: give a share between 0 and 1, say {name}=0.9")
    return value


def _calibrated(text: str, card: Card) -> None:
    if card.calibration is None:
        raise ConfigError(
            f"policy {text} needs probabilities, and the card of {card.name} holds no calibration: train with a "
            "validation side that has real and bogus, or give a fixed threshold"
        )


@POLICIES.register("model")
def _model(value: str, card: Card) -> Policy:
    if value:
        raise ConfigError(f"policy model={value}: `model` is the card's own threshold and takes no value")
    return _Fixed("model", card.threshold)


@POLICIES.register("fixed")
def _fixed(value: str, card: Card) -> Policy:
    number = _number(value)
    if number is None:
        raise ConfigError(f"policy fixed={value}: give a number between 0 and 1")
    return fixed(number)


@POLICIES.register("precision")
def _balanced(value: str, card: Card) -> Policy:
    if value != "recall":
        raise ConfigError(f"policy precision={value}: known is precision=recall; for a purity give purity={value}")
    _calibrated("precision=recall", card)
    return _Following("precision=recall", lambda flow: flow.balanced(), card.threshold)


@POLICIES.register("at-most")
def _at_most(value: str, card: Card) -> Policy:
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"policy at-most={value}: give a number of candidates a night, 1 or more")
    return _AtMost(f"at-most={int(value)}", int(value), card.threshold)


@POLICIES.register("purity")
def _purity(value: str, card: Card) -> Policy:
    share = _share("purity", value)
    _calibrated(f"purity={value}", card)
    return _Following(f"purity={_shown(share)}", lambda flow: flow.pure(share), card.threshold)


@POLICIES.register("completeness")
def _completeness(value: str, card: Card) -> Policy:
    share = _share("completeness", value)
    _calibrated(f"completeness={value}", card)
    return _Following(f"completeness={_shown(share)}", lambda flow: flow.complete(share), card.threshold)
