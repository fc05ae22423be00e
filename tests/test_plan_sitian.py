"""The plan of a survey: its arithmetic, and that the page says what the program says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plan_sitian", ROOT / "benchmarks" / "plan_sitian.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_consumers_are_planned_from_what_one_was_measured_to_do(program: ModuleType) -> None:
    night = program.plan(alerts=1e6, hours=1, peak=1.0, use=0.5, stream=100.0)
    assert night["consumers"] == 6  # 277.8 a second of 50 each
    assert program.plan(stream=10.0)["consumers"] == pytest.approx(
        10 * program.plan(stream=100.0)["consumers"], rel=0.1
    )


def test_the_page_has_the_figures_and_the_plan_of_the_program(program: ModuleType) -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    night = program.plan()
    assert f"| consumers, if it comes through Kafka | {night['consumers']:.0f}," in page
    assert f"| workers from stamps, one core each | {night['workers']:.0f} |" in page
    assert f"| brokers | {night['brokers']:.0f} of the assumed rate" in page
    for name in ("read", "unpack", "prepare", "network", "stream", "driver", "sink", "database"):
        value = program.FIGURES[name][0]
        assert re.search(rf"\| `{name}` [^|]*\| {value:,.0f} ", page), name
