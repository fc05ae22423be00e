"""What README and docs show must be true: code, profiles, options, links, versions."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of these languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def commands(page: Path) -> list[list[str]]:
    """The words of every `realbogus ...` line in the shell blocks of a page."""
    lines = [line.strip() for block in blocks(page, "console", "bash", "sh") for line in block.splitlines()]
    words = [line.removeprefix("$ ").split("#")[0].split() for line in lines]
    return [line for line in words if line[:1] == ["realbogus"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_import_what_exists(page: Path) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{page.name}: {node.module} has no {alias.name}"
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "realbogus":
                assert hasattr(importlib.import_module("realbogus"), node.attr), f"{page.name}: {node.attr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_night_is_guarded_against_its_own_workers(page: Path) -> None:
    """Spawned workers import the script again; a night at its top level would never come to an end."""
    for code in blocks(page, "python"):
        bare = [node for node in ast.parse(code).body if not isinstance(node, ast.If | ast.FunctionDef)]
        calls = [node for statement in bare for node in ast.walk(statement) if isinstance(node, ast.Call)]
        names = [ast.unparse(call.func) for call in calls]
        assert not {"night", "realbogus.night"} & set(names), f"{page.name}: put it under `if __name__ ...`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_profiles_are_read(page: Path, tmp_path: Path) -> None:
    from realbogus.images.telescope import telescope

    for number, text in enumerate(blocks(page, "toml")):
        path = tmp_path / f"mine-{number}.toml"
        path.write_text(text, encoding="utf-8")
        assert telescope(path).name == path.stem


def test_commands_have_the_options_that_the_pages_show() -> None:
    shown: dict[str, set[str]] = {}
    for page in PAGES:
        for words in commands(page):
            options = {
                word.split("=")[0] for word in words[2:] if re.fullmatch(r"-{1,2}[a-z][a-z-]*", word.split("=")[0])
            }
            shown.setdefault(words[1], set()).update(options)
    table = (ROOT / "docs" / "night.md").read_text(encoding="utf-8")
    shown["night"] |= set(re.findall(r"^\| `(--?[a-z-]+)", table, re.MULTILINE))
    assert "--calibrate" in shown["night"]
    # one interpreter for all verbs: starting one takes longer than asking
    code = "import sys; from realbogus.cli import parser; p = parser(); a = {a.dest: a for a in p._actions}"
    code += f"\nfor verb in {sorted(shown)!r}: print('VERB', verb); print(a['verb'].choices[verb].format_help())"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n{code}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"a page shows a verb that does not exist:\n{run.stderr}"
    for part in run.stdout.split("VERB ")[1:]:
        verb, _, text = part.partition("\n")
        known = set(re.findall(r"(?<![\w-])-{1,2}[a-z][a-z-]*", text))
        assert shown[verb] <= known, f"realbogus {verb} has no option {sorted(shown[verb] - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for target in targets:
        path = target.split("#")[0]
        if path and "://" not in path and not path.startswith("api/"):  # the API pages are made by the build
            assert (page.parent / path).exists(), f"{page.name} links to {target}, which is not there"


def test_the_page_of_the_night_names_every_flag() -> None:
    from realbogus.pipeline.flags import WORDS

    text = (ROOT / "docs" / "night.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `flags`"))
    assert re.findall(r"`([^`]+)`", row)[2:] == list(WORDS.values())


def test_one_version_everywhere() -> None:
    import realbogus

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {realbogus.__version__}\n" in citation


def test_constraints_hold_every_direct_dependency() -> None:
    """CI installs by the constraints file; a dependency it does not name would float."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += [entry for entry in extra if not entry.startswith("realbogus")]
    names = {re.split(r"[<>=!~\[; ]", entry)[0].lower() for entry in wanted}
    pins = (ROOT / "constraints-ci.txt").read_text(encoding="utf-8").lower()
    held = set(re.findall(r"^([a-z0-9_-]+)==", pins, re.MULTILINE))
    assert names == held
