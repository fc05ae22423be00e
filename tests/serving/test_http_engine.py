"""The queue: stamps that come together go together, a large request holds up no small one, a failure is one's own."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # http_kit.py; importlib mode puts no test folder on the path

from http_kit import PATIENCE, Bright, stamp

from realbogus.serving.http.engine import Engine
from realbogus.serving.http.limits import Limits, Refusal
from realbogus.serving.http.posted import Given, Plane, posted_of
from realbogus.serving.scorer import Scorer


def posted(*peaks: float):
    planes = [Plane(stamp(peak)[None], f"p{peak:g}", noise=1.0, fwhm=3.0) for peak in peaks]
    return posted_of(planes, Given(), ("difference",))


def engine_of(model: Bright, seen=None, **limits: float) -> Engine:
    return Engine(Scorer(model), model.card.channels, Limits(**limits), seen)


class Gate:
    """A scorer that waits until it may go on."""

    def __init__(self, score) -> None:
        self.score, self.open, self.busy = score, threading.Event(), threading.Event()

    def __call__(self, batch):
        self.busy.set()
        assert self.open.wait(PATIENCE)
        return self.score(batch)


def test_each_gets_its_own_score():
    with engine_of(Bright(), wait_ms=20.0) as engine:
        futures = [engine.submit(posted(peak, peak + 1)) for peak in range(20, 60, 2)]
        for peak, future in zip(range(20, 60, 2), futures, strict=True):
            want = [stamp(peak).max() / 100, stamp(peak + 1).max() / 100]
            assert [result["score"] for result in future.result(PATIENCE)] == pytest.approx(want)
    assert engine.waiting == 0 and not engine.alive


def test_single_stamps_that_wait_are_scored_together():
    model = Bright()
    gate = Gate(Scorer(model))
    seen = []
    with Engine(
        gate, model.card.channels, Limits(batch=8), lambda results, seconds: seen.append(len(results))
    ) as engine:
        first = engine.submit(posted(50))
        assert gate.busy.wait(PATIENCE)
        futures = [engine.submit(posted(50)) for _ in range(20)]
        gate.open.set()
        for future in (first, *futures):
            future.result(PATIENCE)
    assert seen == model.batches == [1, 8, 8, 4]


def test_a_stamp_alone_does_not_wait_for_company():
    with engine_of(Bright(), batch=64, wait_ms=30.0) as engine:
        begun = time.monotonic()
        engine.submit(posted(50)).result(PATIENCE)
        assert 0.02 < time.monotonic() - begun < 20


def test_a_large_request_takes_its_turns():
    model = Bright()
    gate = Gate(Scorer(model))
    done: list[str] = []
    with Engine(gate, model.card.channels, Limits(batch=4)) as engine:
        large = engine.submit(posted(*[30.0] * 40))
        large.add_done_callback(lambda _: done.append("large"))
        assert gate.busy.wait(PATIENCE)
        small = [engine.submit(posted(60)) for _ in range(3)]
        for future in small:
            future.add_done_callback(lambda _: done.append("small"))
        gate.open.set()
        assert len(large.result(PATIENCE)) == 40
    assert done == ["small"] * 3 + ["large"]
    assert model.batches == [4] * 10 + [3]  # and no batch went half empty for it


def test_while_small_ones_wait_large_ones_have_an_eighth():
    model = Bright()
    gate = Gate(Scorer(model))
    with Engine(gate, model.card.channels, Limits(batch=16)) as engine:
        large = [engine.submit(posted(*[30.0] * 40))]
        assert gate.busy.wait(PATIENCE)
        large.append(engine.submit(posted(*[40.0] * 17)))
        small = [engine.submit(posted(*[60.0] * count)) for count in (1, 1, 3)]
        gate.open.set()
        for future, peak, count in zip((*large, *small), (30, 40, 60, 60, 60), (40, 17, 1, 1, 3), strict=True):
            got = [result["score"] for result in future.result(PATIENCE)]
            assert got == pytest.approx([stamp(peak).max() / 100] * count)
    assert model.batches == [16, 5 + 2, 16, 16, 7]
    assert engine.waiting == 0


def test_too_many_are_refused_and_a_queue_that_is_empty_takes_the_largest():
    model = Bright()
    gate = Gate(Scorer(model))
    with Engine(gate, model.card.channels, Limits(batch=2, stamps=5, queue_rows=5)) as engine:
        first = engine.submit(posted(*[30.0] * 5))
        assert gate.busy.wait(PATIENCE)
        more = engine.submit(posted(30, 30))
        with pytest.raises(Refusal) as caught:
            engine.submit(posted(30))
        assert caught.value.status == 503 and engine.retry_s() >= 1
        gate.open.set()
        assert len(first.result(PATIENCE)) == 5 and len(more.result(PATIENCE)) == 2
        engine.submit(posted(30)).result(PATIENCE)  # and it goes on


def test_who_no_longer_waits_costs_nothing():
    model = Bright()
    gate = Gate(Scorer(model))
    with Engine(gate, model.card.channels, Limits(batch=2)) as engine:
        first = engine.submit(posted(30))
        assert gate.busy.wait(PATIENCE)
        gone, stays = engine.submit(posted(30, 30, 30)), engine.submit(posted(40))
        assert gone.cancel()
        gate.open.set()
        first.result(PATIENCE)
        stays.result(PATIENCE)
    assert sum(model.batches) == 2 and engine.waiting == 0


def test_a_failure_is_of_the_request_that_makes_it():
    score = Scorer(Bright())

    def fails(batch):
        if "p66" in batch.rows["id"].tolist():
            raise OSError("no room for the record of the policy")
        return score(batch)

    gate = Gate(fails)
    with Engine(gate, ("difference",), Limits()) as engine:
        engine.submit(posted(20))
        assert gate.busy.wait(PATIENCE)
        good, bad, other = engine.submit(posted(30, 40)), engine.submit(posted(50, 66, 50)), engine.submit(posted(20))
        gate.open.set()
        assert len(good.result(PATIENCE)) == 2 and len(other.result(PATIENCE)) == 1
        with pytest.raises(OSError, match="no room"):
            bad.result(PATIENCE)
        assert engine.alive and len(engine.submit(posted(30)).result(PATIENCE)) == 1


def test_a_stamp_that_has_no_score_says_why():
    flat = posted_of([Plane(np.zeros((1, 64, 64), "f4"))], Given(), ("difference",))
    with engine_of(Bright()) as engine:
        result = engine.submit(flat).result(PATIENCE)[0]
    assert result["score"] is None and not result["real"] and "noise" in result["reason"]
