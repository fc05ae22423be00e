"""Parts that travel, and the crew that scores them, with a Ray made up of plain calls."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from ray_kit import Mean, Shelf

from realbogus.cli import main
from realbogus.errors import ConfigError, InputError, ModelError
from realbogus.serving import crew as crews
from realbogus.serving.batch import Batch, Failed
from realbogus.serving.crew import Crew
from realbogus.serving.engines import Scattered, local, on_ray
from realbogus.serving.loop import score
from realbogus.serving.parts import Answer, answered, parts_of
from realbogus.serving.scorer import Scorer
from realbogus.serving.sources import open_source, pieces
from realbogus.serving.worker import Worker, open_model


def same(one: Batch, two: Batch) -> None:
    assert one.rows.colnames == two.rows.colnames and one.failed == two.failed and one.channels == two.channels
    for name in one.rows.colnames:
        assert one.rows[name].tolist() == two.rows[name].tolist()
    np.testing.assert_array_equal(one.pixels, two.pixels)
    assert [entry and entry.body for entry in one.packets or ()] == [
        entry and entry.body for entry in two.packets or ()
    ]


@pytest.mark.parametrize("rows", [(0, 50), (13, 41)])
def test_parts_of_stamps_travel_light_and_give_what_the_set_gives(
    stamp_folder: Path, rows: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stamp_folder.parent)
    source = open_source(stamp_folder.name, rows=rows, prefix="n/")
    sent = [pickle.dumps(part) for part in parts_of(source, 8, 1.0)]
    assert max(map(len, sent)) < 6000
    monkeypatch.chdir("/")  # a worker runs elsewhere
    arrived = [batch for data in sent for batch in pickle.loads(data).batches(8)]
    for one, two in zip(arrived, source.batches(8, 1.0), strict=True):
        same(one, two)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of 23 alerts in blocks of a few, its last block cut short."""
    pytest.importorskip("fastavro", reason='alert packets need fastavro: pip install "realbogus[alerts]"')
    import fastavro
    import made

    image = made.noise((made.HEIGHT, made.WIDTH))
    records = [made.ztf_at(image, 60.0 + 3 * number, 80.0, number + 1) for number in range(23)]
    path = tmp_path_factory.mktemp("container") / "A" / "large.avro"
    path.parent.mkdir()
    with path.open("wb") as out:
        fastavro.writer(out, made.ZTF_SCHEMA, records, sync_interval=len(made.container(made.ZTF_SCHEMA, records[:2])))
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    return path


@pytest.mark.parametrize("wants", [False, True])
def test_a_large_file_is_cut_between_its_blocks(container: Path, wants: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(open_source(container, packets=wants).batches(100, 1.0))
    assert len(whole) == 1 and len(whole[0].failed) == 1 and "cut short" in whole[0].failed[0].reason
    monkeypatch.setattr(pieces, "LARGE", 1000)
    source = open_source(container.parent, packets=wants)
    parts = [pickle.loads(pickle.dumps(part)) for part in source.parts(4)]
    assert len(parts) > 3 and "large.avro#" in parts[1].name
    arrived = [batch for part in parts for batch in part.batches(4)]
    for one, two in zip(arrived, source.batches(4, 1.0), strict=True):
        same(one, two)
    ids = [name for batch in arrived if len(batch) for name in batch.rows["id"].tolist()]
    assert ids == whole[0].rows["id"].tolist()
    assert [entry for batch in arrived for entry in batch.failed] == list(whole[0].failed)
    if wants:
        assert [o.body for b in arrived if b.packets for o in b.packets] == [o.body for o in whole[0].packets or ()]


def test_groups_hold_so_many_pieces_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST", 100)
    found = (pieces.Member(str(number), bytes(size)) for number, size in enumerate([40, 40, 40, 300, 1, 1, 1, 1]))
    assert [[piece.size for piece in group] for group in pieces.groups_of(found, 3)] == [
        [40, 40], [40], [300], [1, 1, 1], [1],
    ]  # fmt: skip


def batch_of(start: int, count: int = 4, receipt: Any = None) -> Batch:
    ids = [f"c{number}" for number in range(start, start + count)]
    pixels = np.full((count, 1, 4, 4), start / 10, np.float32)
    return Batch(Table({"id": ids, "noise": np.ones(count), "fwhm": np.ones(count)}), pixels, receipt=receipt)


def test_an_answer_leaves_pixels_behind_where_nobody_wants_them() -> None:
    batch, scorer = batch_of(1), Scorer(Mean())
    kept, light = answered(batch, scorer), answered(batch, scorer, keep=False)
    assert kept.pixels is batch.pixels and kept.channels == ("difference",)
    assert light.pixels.shape == (4, 0, 4, 4) and light.channels == ()
    assert (
        scorer.judge(light, light.scores, light.reasons).rows["score"].tolist() == scorer(batch).rows["score"].tolist()
    )


class Receipt:
    def __reduce__(self) -> Any:
        raise TypeError("stays at home")


class Plain:
    """A source that cannot be cut."""

    count = None

    def __init__(self, error: Exception | None = None) -> None:
        self.committed: list[Any] = []
        self.error = error

    def batches(self, size: int, wait_s: float) -> Iterator[Batch]:
        for number in range(6):
            yield batch_of(4 * number, receipt=Receipt())
        if self.error is not None:
            raise self.error

    def commit(self, receipt: Any) -> None:
        self.committed.append(receipt)

    def close(self) -> None:
        self.committed.append("closed")


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(f"Traceback\n{type(cause).__name__}: {cause}")
        self.cause = cause


class Died(BaseException):
    """What a call raises that ends its process."""


class FakeRay:
    """Calls are made when their turn comes, last actor first; what travels is pickled."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self) -> None:
        self.started = 0

    def remote(self, **options: Any) -> Any:
        def decorate(kind: type) -> Any:
            def start(*words: Any) -> Any:
                self.started += 1
                actor = SimpleNamespace(dead=False, it=kind(*words), queue=[])
                for name in ("ready", "score"):
                    setattr(
                        actor, name, SimpleNamespace(remote=lambda *words, name=name: self.call(actor, name, words))
                    )
                return actor

            return SimpleNamespace(remote=start)

        return decorate

    def call(self, actor: Any, name: str, words: Any) -> Any:
        ref = type("Ref", (), {})()
        ref.actor, ref.name, ref.words, ref.value = actor, name, pickle.dumps(words), None
        actor.queue.append(ref)
        return ref

    def wait(self, refs: list[Any], num_returns: int = 1, timeout: float | None = None) -> Any:
        for ref in reversed(refs) if num_returns and len(refs) > 1 else refs:
            actor = ref.actor
            if ref.value is None and (actor.dead or actor.queue[:1] == [ref]):
                self.do(ref)
            if ref.value is not None:
                return [ref], []
        return [], refs

    def do(self, ref: Any) -> None:
        actor = ref.actor
        if actor.dead:
            ref.value = RayError("\nthe actor died")
            return
        actor.queue.remove(ref)
        try:
            ref.value = pickle.loads(pickle.dumps(getattr(actor.it, ref.name)(*pickle.loads(ref.words))))
        except Died:
            actor.dead, ref.value = True, RayError("\nthe actor died")
        except Exception as error:
            ref.value = RayTaskError(error)

    def get(self, ref: Any) -> Any:
        if isinstance(ref.value, RayError):
            raise ref.value
        return ref.value

    def kill(self, actor: Any, no_restart: bool = True) -> None:
        actor.dead = True


def scatter(
    source: Any, opener: Any = Mean, card: Any = Mean.card, workers: int = 2
) -> tuple[Shelf, FakeRay, list[str]]:
    ray, shelf, said, scorer = FakeRay(), Shelf(), [], Scorer(Mean())  # type: ignore[var-annotated]
    scattered = Scattered(
        source,
        lambda size: Crew(ray, opener, card.to_json(), workers=workers, size=size, keep=True, say=said.append),
    )

    def judge(batch: Batch) -> Any:
        assert isinstance(batch, Answer)
        return scorer.judge(batch, batch.scores, batch.reasons)

    score(scattered, judge, [shelf], size=8, ahead=0)
    return shelf, ray, said


def test_what_cannot_be_cut_is_read_here_in_order_with_its_receipts() -> None:
    source, shelf = Plain(), Shelf()
    score(Plain(), Scorer(Mean()), [shelf])
    found, ray, _ = scatter(source, workers=3)
    assert found.rows == shelf.rows and len(found.rows) == 24
    assert [type(entry) for entry in source.committed] == [Receipt] * 6 + [str]
    assert ray.started == 3


def test_an_error_of_the_source_comes_when_all_before_it_is_written() -> None:
    source = Plain(InputError("the folder went away"))
    with pytest.raises(InputError, match="went away"):
        scatter(source)
    assert len(source.committed) == 7


class Trap:
    """A part whose reading kills, as often as told, and that may raise after its first batch."""

    def __init__(self, start: int, kills: int = 0, error: bool = False) -> None:
        self.start, self.kills, self.error, self.name = start, kills, error, f"part {start}"

    def batches(self, size: int) -> Iterator[Batch]:
        if self.kills > len(DEATHS):
            DEATHS.append(self.start)
            raise Died
        yield batch_of(self.start)
        if self.error:
            raise InputError("torn")


DEATHS: list[int] = []


class Cut(Plain):
    def __init__(self, *parts: Trap) -> None:
        super().__init__()
        self._parts = parts

    def parts(self, size: int) -> Iterator[Trap]:
        yield from self._parts


@pytest.mark.parametrize("kills", [0, 1, 2, 3, 4])
def test_a_death_costs_nothing_and_many_cost_a_part_and_no_row(kills: int) -> None:
    DEATHS.clear()
    found, ray, said = scatter(Cut(Trap(0), Trap(4, kills), Trap(8), Trap(12)))
    assert ray.started == 2 + kills and sum("part 4: the actor died" in line for line in said) == kills
    ids = [f"c{number}" for number in range(16)]
    if kills <= crews.DEATHS:
        assert [row[0] for row in found.rows] == ids and not found.failed
    else:  # not even to be read
        assert [row[0] for row in found.rows] == ids[:4] + ids[8:]
        assert found.failed == [Failed("", "4 workers died while they read it", where="part 4")]
    reasons = {row[0]: row[4] for row in found.rows}
    assert (
        reasons["c0"] == ""
        and [reasons.get(f"c{number}", "") for number in range(4, 8)]
        == ["3 workers died while they scored part 4" if kills == 3 else ""] * 4
    )


def test_an_error_in_a_part_comes_behind_its_first_batches() -> None:
    source = Cut(Trap(0), Trap(4, error=True), Trap(8))
    with pytest.raises(InputError, match="torn"):
        scatter(source)
    assert len(source.committed) == 3  # two batches, and that it was closed


def dies() -> Any:
    raise Died


def lacks() -> Any:
    return open_model("/no/such.onnx")


@pytest.mark.parametrize(
    ("opener", "card", "error", "says"),
    [
        (dies, Mean.card, ModelError, "workers die while they open the model"),
        (lacks, Mean.card, InputError, r"a worker on .*there is no model at /no/such\.onnx"),
        (Mean, replace(Mean.card, threshold=0.7), ModelError, "whose card differs in threshold"),
    ],
)
def test_a_worker_without_the_model_is_an_error(opener: Any, card: Any, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        scatter(Plain(), opener, card)


def test_a_worker_says_where_it_is() -> None:
    assert Worker(Mean).ready(Mean.card.to_json())


def test_options_that_cannot_be(stamp_folder: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for engine, workers, says in ((local, 2, "give --engine ray"), (on_ray, 0, "give 1 or more")):
        with pytest.raises(ConfigError, match=says), engine(Plain(), Scorer(Mean()), Mean, workers=workers):
            pass
    for words, says in (
        (["--to", "a.csv", "--engine", "cloud"], "unknown engine 'cloud': known are local, ray"),
        (["-o", "a.csv", "--engine", "cloud"], "unknown engine 'cloud': known are local, ray"),
        (["-o", "a.csv", "--workers", "2"], "give --engine ray"),
    ):
        assert main(["score", str(stamp_folder), *words]) == 1
        assert says in " ".join(capsys.readouterr().err.split())
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["score", str(stamp_folder), "--to", "a.csv", "--engine", "ray"]) == 1
    assert 'pip install "realbogus[ray]"' in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
