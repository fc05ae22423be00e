"""What answers: a classifier, its policy, a queue. Knows nothing of the web but its bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ... import __version__
from ...classifier import Classifier
from ...errors import InputError
from ..policy import policy_of
from ..policy_file import PolicyFile, history_of
from ..scorer import Scorer
from .bodies import GZIP, posted_from
from .engine import Engine, Result
from .limits import Limits, Refusal
from .posted import Given, Posted

__all__ = ["Service"]

#: Bodies that are read at the same time; reading is work for the processor.
_READERS = 2
#: Bytes of a body that has a reader of its own.
_SMALL = 2**20
_HISTORY = 20


class Service:
    """Scores bodies.

    Parameters
    ----------
    classifier : Classifier
        Model, ensemble or bundle.
    policy : str, optional
        As `policy_of` reads it; a `.json` file may be changed while the service runs.
    limits : Limits, optional
    seen : callable, optional
        Told of every batch: its results and seconds.
    longitude_deg : float
        Of the telescope, east positive: for a policy that counts by night.
    say : callable, optional
        Told of changes of the policy's file.

    Raises
    ------
    ConfigError
        The policy is none, or needs a calibration that the card lacks.
    """

    def __init__(
        self,
        classifier: Classifier,
        policy: str | None = None,
        limits: Limits | None = None,
        seen: Callable[[list[Result], float], None] | None = None,
        *,
        longitude_deg: float = 0.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.card = classifier.card
        self.limits = limits or Limits()
        self.scorer = Scorer(classifier, policy_of(policy, self.card, say=say), longitude_deg=longitude_deg)
        self.engine = Engine(self.scorer, self.card.channels, self.limits, seen)  # type: ignore[arg-type]
        self.started = time.monotonic()
        self.held = 0
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="realbogus-reading")
        # what is read in a moment does not wait behind what takes seconds
        self._quick = ThreadPoolExecutor(1, thread_name_prefix="realbogus-reading-small")

    def __enter__(self) -> Service:
        self.engine.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.__exit__()
        for pool in (self._readers, self._quick):
            pool.shutdown(wait=False, cancel_futures=True)

    def hold(self, count: int) -> None:
        """Take note of bytes that came, or went (less than zero).

        Raises
        ------
        Refusal
            503: bodies hold too much memory together.
        """
        self.held += count
        if count > 0 and self.held > self.limits.held_bytes:
            raise Refusal(503, f"requests hold {self.held} bytes already: ask again a little later")

    async def score(self, data: bytes, media: str, given: Given) -> dict[str, Any]:
        """Read a body and score what is in it.

        Parameters
        ----------
        data : bytes
        media : str
            Its media type.
        given : Given
            What the address says.

        Returns
        -------
        dict
            Values for JSON; see `answers.Answer`.

        Raises
        ------
        Refusal
            It gets no scores, and why.
        """
        loop = asyncio.get_running_loop()
        # a small file that is gzipped may unpack to a large one
        small = len(data) <= _SMALL and data[:2] != GZIP
        try:
            async with asyncio.timeout(self.limits.answer_s):
                posted = await loop.run_in_executor(
                    self._quick if small else self._readers, self._read, data, media, given
                )
                results = await asyncio.wrap_future(self.engine.submit(posted))
        except Refusal:
            raise
        except TimeoutError:
            raise Refusal(503, f"no score within {self.limits.answer_s:g} s: ask again later, or send less") from None
        except Exception as error:
            raise Refusal(503, f"the model or its policy fails: {error}") from error
        return {
            "model": self.card.name,
            "model_version": self.card.version,
            "policy": self.scorer.policy.text,
            "candidates": [_candidate(posted, row, result) for row, result in enumerate(results)],
            "failed": [{"id": entry.id, "reason": entry.reason, "where": entry.where} for entry in posted.failed],
        }

    def _read(self, data: bytes, media: str, given: Given) -> Posted:
        try:
            return posted_from(data, media, given, self.card.channels, self.limits)
        except Refusal:
            raise
        except Exception as error:  # what a body is made of decides it alone, so it is the body's fault
            raise Refusal(422, f"the body cannot be read ({type(error).__name__}: {str(error)[:200]})") from error

    def health(self) -> dict[str, Any]:
        """Say how the service is."""
        return {
            "ready": self.engine.alive,
            "model": self.card.name,
            "model_version": self.card.version,
            "realbogus": __version__,
            "uptime_s": round(time.monotonic() - self.started, 3),
            "waiting": self.engine.waiting,
        }

    def policy(self) -> dict[str, Any]:
        """Say which scores are real, and how that has changed."""
        file = self._policy_file()
        if file is not None:
            with self.engine.lock:
                file.look()
        return {
            "policy": self.scorer.policy.text,
            "changeable": file is not None,
            "history": [] if file is None else [_line(entry) for entry in history_of(file.path)[-_HISTORY:]],
        }

    def change(self, policy: str, who: str, why: str) -> dict[str, Any]:
        """Change the policy from the next candidate on.

        Raises
        ------
        Refusal
            409: no file holds it. 422: it is no policy.
        """
        file = self._policy_file()
        if file is None:
            raise Refusal(409, "this service was started without a file for its policy: --policy FILE.json")
        try:
            file.change(policy, who=who or "HTTP", why=why)
        except InputError as error:
            raise Refusal(422, str(error)) from None
        return self.policy()

    def _policy_file(self) -> PolicyFile | None:
        return self.scorer.policy if isinstance(self.scorer.policy, PolicyFile) else None


def _candidate(posted: Posted, row: int, result: Result) -> dict[str, Any]:
    return {
        "id": posted.ids[row],
        **result,
        "reason": result["reason"] or None,
        "noise": _known(posted.noise[row]),
        "noise_from": posted.noise_from[row],
        "fwhm": _known(posted.fwhm[row]),
        "fwhm_from": posted.fwhm_from[row],
        "missing": float(posted.missing[row]),
    }


def _known(value: float) -> float | None:
    return float(value) if abs(value) < float("inf") else None


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry.get(name) for name in ("time", "who", "why", "old", "new", "refused")}
