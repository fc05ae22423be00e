"""The loop: order of commits, waiting, errors, memory of the batches, reading ahead."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from realbogus.classifier import Card
from realbogus.errors import InputError, OutputError
from realbogus.serving.ahead import ahead
from realbogus.serving.batch import Batch, Failed, Scored
from realbogus.serving.loop import score
from realbogus.serving.micro import micro_batches
from realbogus.serving.patience import UnavailableError, patiently
from realbogus.serving.scorer import Scorer


class Half:
    card = Card(name="half", architecture="none", threshold=0.5)

    def predict(self, pixels, *, noise=None, fwhm=None):
        return np.asarray(pixels, dtype=np.float32).mean(axis=(1, 2, 3))


def batch_of(start: int, count: int, failed: tuple[Failed, ...] = ()) -> Batch:
    ids = [f"c{number}" for number in range(start, start + count)]
    rows = Table({"id": ids, "noise": np.ones(count), "fwhm": np.full(count, 3.0)})
    return Batch(rows, np.full((count, 1, 4, 4), 0.75, np.float32), failed=failed, receipt=start + count)


class Numbers:
    """A source of `total` candidates that writes down what happens to it."""

    def __init__(self, total: int, log: list[Any] | None = None) -> None:
        self.count, self.log, self.made = total, log if log is not None else [], 0

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        for start in range(0, self.count, size):
            self.made += 1
            yield batch_of(start, min(size, self.count - start))

    def commit(self, receipt: Any) -> None:
        self.log.append(("commit", receipt))

    def close(self) -> None:
        self.log.append("source closed")


class Shelf:
    """A sink that keeps ids; `away` says how often it is not there first."""

    lasting = True

    def __init__(self, name: str = "shelf", log: list[Any] | None = None, away: int = 0) -> None:
        self.name, self.log, self.away = name, log if log is not None else [], away
        self.ids: list[str] = []
        self.whole: bool | None = None

    def write(self, scored: Scored) -> None:
        if self.away:
            self.away -= 1
            raise UnavailableError(f"{self.name} is away")
        self.ids += scored.rows["id"].tolist()
        self.log.append((self.name, len(scored)))

    def refuse(self, failed: Any) -> None:
        self.log.append((self.name, "failed", len(failed)))

    def close(self, *, whole: bool = True) -> None:
        self.whole = whole
        self.log.append((self.name, "closed"))


def test_a_batch_is_committed_when_every_sink_has_it() -> None:
    log: list[Any] = []
    tally = score(Numbers(5, log), Scorer(Half()), [Shelf("a", log), Shelf("b", log)], size=3)
    assert log == [("a", 3), ("b", 3), ("commit", 3), ("a", 2), ("b", 2), ("commit", 5),
                   ("a", "closed"), ("b", "closed"), "source closed"]  # fmt: skip
    assert (tally.rows, tally.scored, tally.real, tally.failed) == (5, 5, 5, 0)


def test_a_file_has_its_batches_committed_when_it_is_in_place() -> None:
    log: list[Any] = []
    late = Shelf("file", log)
    late.lasting = False
    score(Numbers(4, log), Scorer(Half()), [late, Shelf("base", log)], size=2)
    assert log[-4:] == [("base", "closed"), ("commit", 2), ("commit", 4), "source closed"]
    assert ("commit", 2) not in log[:-4]


def test_a_sink_that_is_away_is_waited_for_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("realbogus.serving.patience.time.sleep", slept.append)
    monkeypatch.setattr(patiently, "__kwdefaults__", patiently.__kwdefaults__ | {"sleep": slept.append})
    said: list[str] = []
    shelf = Shelf(away=4)
    source = Numbers(6)
    score(source, Scorer(Half()), [shelf], size=2, say=said.append, ahead=0)
    assert shelf.ids == [f"c{number}" for number in range(6)]
    assert slept == [0.5, 1, 2, 4]
    assert said[0] == "shelf is away; trying again in 0.5 s, nothing is lost"
    assert said[-1] == "going on after 7.5 s"
    assert [entry for entry in source.log if entry[0] == "commit"] == [("commit", 2), ("commit", 4), ("commit", 6)]


def test_patience_may_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patiently, "__kwdefaults__", patiently.__kwdefaults__ | {"sleep": lambda seconds: None})
    shelf = Shelf(away=10**6)
    with pytest.raises(UnavailableError, match="shelf is away"):
        score(Numbers(4), Scorer(Half()), [shelf], patience_s=20)
    assert shelf.whole is False


def test_whoever_ends_it_while_a_sink_is_away_is_heard_and_nothing_is_committed() -> None:
    stop, said = threading.Event(), []

    def say(text: str) -> None:
        said.append(text)
        if "trying again in 2 s" in text:
            stop.set()

    source, shelf = Numbers(6), Shelf(away=10**6)
    began = time.monotonic()
    tally = score(source, Scorer(Half()), [shelf], size=2, say=say, stop=stop)
    assert time.monotonic() - began < 20 and tally.rows == 0
    assert source.log == ["source closed"] and shelf.whole is False
    assert said[-1].startswith("shelf is away; ended meanwhile: what was at hand is not committed")


def test_of_a_batch_without_a_receipt_nothing_is_kept_until_a_file_is_in_place() -> None:
    class Quiet(Numbers):
        def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
            yield Batch.of_failed([Failed("", "torn")])
            yield batch_of(0, 2)

    source, shelf = Quiet(2), Shelf()
    shelf.lasting = False
    score(source, Scorer(Half()), [shelf])
    assert source.log == [("commit", 2), "source closed"]


def test_a_sink_that_refuses_ends_it_uncommitted() -> None:
    class Refusing(Shelf):
        def write(self, scored: Scored) -> None:
            raise OutputError("no such column")

    source, good = Numbers(4), Shelf()
    with pytest.raises(OutputError, match="no such column"):
        score(source, Scorer(Half()), [good, Refusing()], size=2)
    assert source.log == ["source closed"]
    assert good.whole is False


def test_an_error_of_the_source_comes_after_what_came_before_it() -> None:
    class Breaking(Numbers):
        def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
            yield batch_of(0, 2)
            raise InputError("the folder went away")

    shelf = Shelf()
    source = Breaking(4)
    with pytest.raises(InputError, match="went away"):
        score(source, Scorer(Half()), [shelf])
    assert shelf.ids == ["c0", "c1"]
    assert source.log == [("commit", 2), "source closed"]


def test_an_error_at_closing_is_not_lost_and_nothing_is_committed() -> None:
    class Full(Shelf):
        lasting = False

        def close(self, *, whole: bool = True) -> None:
            raise OutputError("no room")

    source = Numbers(2)
    with pytest.raises(OutputError, match="no room"):
        score(source, Scorer(Half()), [Full(), Shelf()])
    assert source.log == ["source closed"]


def test_what_failed_goes_to_the_sinks_and_is_counted() -> None:
    class Poison(Numbers):
        def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
            yield batch_of(0, 2, (Failed("", "no Avro", where="0"),))
            yield Batch.of_failed([Failed("", "cut short", where="1")], receipt=9)

    log: list[Any] = []
    tally = score(Poison(3, log), Scorer(Half()), [Shelf("a", log)])
    assert (tally.rows, tally.failed, tally.read) == (2, 2, 4)
    assert log[:5] == [("a", 2), ("a", "failed", 1), ("commit", 2), ("a", "failed", 1), ("commit", 9)]


def test_nothing_is_read_far_ahead_and_no_batch_is_kept() -> None:
    class Watched(Shelf):
        most = alive = 0

        def write(self, scored: Scored) -> None:
            super().write(scored)
            seen.append(weakref.ref(scored.batch.pixels))
            self.alive = max(self.alive, sum(entry() is not None for entry in seen))
            self.most = max(self.most, source.made - len(self.log))

    seen: list[weakref.ref[Any]] = []
    source, shelf = Numbers(100), Watched()
    score(source, Scorer(Half()), [shelf], size=1, ahead=2)
    assert len(shelf.ids) == 100
    assert shelf.most <= 4  # two waiting, one in the thread's hand, one being written
    assert shelf.alive <= 2


def test_an_endless_source_goes_on_until_it_is_stopped() -> None:
    stop = threading.Event()

    class Endless(Numbers):
        def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
            for start in itertools.count():
                if stop.is_set():
                    return
                yield batch_of(start, 1)

    def progress(tally: Any) -> None:
        if tally.rows == 20:
            stop.set()

    tally = score(Endless(0), Scorer(Half()), [Shelf()], progress=progress)
    assert 20 <= tally.rows <= 25


@pytest.mark.parametrize(("sinks", "size"), [([], 8), ([Shelf()], 0)])
def test_what_cannot_be_is_refused(sinks: list[Shelf], size: int) -> None:
    with pytest.raises(InputError, match="give a sink"):
        score(Numbers(1), Scorer(Half()), sinks, size=size)


def test_the_thread_that_reads_ahead_ends_with_its_reader() -> None:
    before = threading.active_count()
    items = ahead(itertools.count(), 2)
    assert next(items) == 0
    items.close()
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_micro_batches_are_full_or_in_time() -> None:
    now = [0.0]

    def items() -> Iterator[int | None]:
        for at, item in ((0.0, 1), (0.2, 2), (0.4, None), (1.1, None), (1.2, None), (5.0, 3), (5.1, 4), (5.2, 5)):
            now[0] = at
            yield item

    assert list(micro_batches(items(), 3, 1.0, clock=lambda: now[0])) == [[1, 2], [3, 4, 5]]
