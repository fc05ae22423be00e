"""What the tests of the study share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # toys.py; importlib mode puts no test folder on the path

from toys import make_plan, make_stamps

from realbogus.stamps import StampSet
from realbogus.study.reproduce import reproduce


@pytest.fixture(scope="session")
def study_stamps() -> StampSet:
    """Stamps in eight fields."""
    return make_stamps()


@pytest.fixture(scope="session")
def whole(study_stamps: StampSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed study."""
    out = tmp_path_factory.mktemp("study")
    reproduce(out, plan=make_plan(), stamps=study_stamps, jobs=1)
    return out
