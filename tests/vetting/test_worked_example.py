"""The worked example of the docs: every command of the page is run, and two people look at stamps."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from running import SOURCE, Running

from realbogus.stamps import StampSet
from realbogus.tables import read_parquet

pytest.importorskip("torch", reason='a model is trained: pip install "realbogus[train]"')
pytest.importorskip("fastapi", reason='stamps are looked at: pip install "realbogus[vet]"')

PAGE = SOURCE.parent / "docs" / "worked_example.md"


def commands() -> list[list[str]]:
    """The words of every `realbogus` line of the page, in order."""
    found = re.findall(r"^\$ realbogus (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [line.split() for line in found]


def look(words: list[str], here: Path) -> int:
    """Vote as everybody who has a link: real where the stamp says so, bogus elsewhere; return how many votes."""
    stamps = StampSet.load(here / words[0])
    real = dict(zip(stamps.catalogue["id"], stamps.labels == 1, strict=True))
    running, count = Running(*words, "--port", "0", cwd=here), 0
    try:
        assert running.links
        for link in running.links.values():
            parts = urlsplit(link)
            told = parse_qs(parts.fragment)
            headers = {
                "X-Realbogus-Token": told["token"][0], "X-Realbogus-Vetter": told["vetter"][0],
                "Content-Type": "application/json",
            }  # fmt: skip

            def ask(
                path: str, body: object = None, base: str = parts.netloc, headers: dict[str, str] = headers
            ) -> dict:
                data = None if body is None else json.dumps(body).encode()
                with urlopen(Request(f"http://{base}/api/{path}", data, headers), timeout=60) as answer:
                    return json.loads(answer.read())

            start, total = 0, int(ask("session")["count"])
            while start < total:
                items = ask(f"page?start={start}")["items"]
                votes = [
                    {"key": f"{told['vetter'][0]}-key-{start + place}", "id": item["id"], "show": item["show"],
                     "vote": "real" if real[item["id"]] else "bogus"}
                    for place, item in enumerate(items)
                ]  # fmt: skip
                assert len(ask("votes", {"votes": votes})["taken"]) == len(votes)
                start, count = start + len(items), count + len(votes)
    finally:
        running.end(signal.SIGINT)
    return count


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which the page's commands were run, and what each said."""
    here = tmp_path_factory.mktemp("worked")
    (here / "configs").symlink_to(SOURCE.parent / "configs")
    said = {}
    for words in commands():
        if words[0] == "vet":
            said[" ".join(words)] = str(look(words[1:], here))
            continue
        run = subprocess.run(
            [sys.executable, "-m", "realbogus", *words], cwd=here, capture_output=True, text=True, check=False,
            timeout=600, env=os.environ | {"PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
        assert run.returncode == 0, f"realbogus {' '.join(words)}\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
        said[" ".join(words)] = run.stdout
    return here, said


def test_every_command_of_the_page_works(done: tuple[Path, dict[str, str]]) -> None:
    here, said = done
    verbs = [words.split()[0] for words in said]
    order = "simulate night night assemble audit vet votes assemble split train evaluate export night check vet check"
    assert " ".join(verbs) == order
    assert (here / "report" / "comparison.md").exists()
    assert "which reproduces the model" in said["export model -o mine.onnx"]


def test_nothing_is_lost_and_people_stand_above_catalogues(done: tuple[Path, dict[str, str]]) -> None:
    here, said = done
    labelled, trusted = StampSet.load(here / "set"), StampSet.load(here / "trusted")
    night, injected = (read_parquet(here / name / "candidates.parquet") for name in ("night", "injected"))
    assert len(labelled) == len(trusted) == len(night) + len(injected)
    table = read_parquet(here / "said.parquet")
    looked = int(said["vet audit/suspects --order set --vetters ann,ben"])
    assert len(table) and looked >= 2 * len(table)
    origin = dict(zip(trusted.catalogue["id"], trusted.catalogue["origin"], strict=True))
    assert {str(origin[name]) for name in table["id"]} == {"vote"}


def test_the_model_learned_and_was_used(done: tuple[Path, dict[str, str]]) -> None:
    here, _ = done
    card = json.loads((here / "model" / "card.json").read_text())
    parts = read_parquet(here / "parts" / "split.parquet")
    assert card["data"]["stamps"] == (parts["side"] == "train").sum()
    report = json.loads(next((here / "report").glob("*mine*/report.json")).read_text())
    assert report["auc"] > 0.8
    summary = json.loads((here / "again" / "summary.json").read_text())
    assert summary["model"] == "mine"
    assert (here / "check" / "result.md").exists()
