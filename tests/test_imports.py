"""The direction of imports, read from the sources: a module imports only from rooms above it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "realbogus"

# Top to bottom. A module imports from rows above its own; rooms on one row never import each other.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("registry", "processes", "files", "columns", "groups", "doors", "cluster"),
    ("config",),
    ("tables",),
    ("stamps",),
    ("resample", "stretch"),
    ("preprocess",),
    ("metrics",),
    ("calibration_methods",),
    ("calibration",),
    ("classifier",),
    ("scoring",),
    ("images",),
    ("adapters",),
    ("architectures",),
    ("model",),
    ("ensemble_files",),
    ("ensemble",),
    ("dataset", "training", "evaluation", "runtimes"),
    ("curation",),
    ("pipeline", "study", "vetting"),
    ("serving",),
    ("cli",),
    ("__main__",),
)

# The same inside images/; `detect_sep` is a part of `detect`, and the parts of one thing are free among
# themselves.
IMAGES: tuple[tuple[str, ...], ...] = (
    ("frame",),
    ("telescope",),
    ("robust",),
    ("headers",),
    ("fits_file",),
    ("extraction",),
    ("psf",),
    ("sources",),
    ("measure",),
    ("badpixels",),
    ("read", "write"),
    ("maps",),
    ("geometry",),
    ("match",),
    ("patterns",),
    ("warp",),
    ("grid",),
    ("align",),
    ("members",),
    ("combine",),
    ("reference",),
    ("subtract",),
    ("detect",),
    ("cut",),
    ("candidates",),
    ("inject",),
    ("simulate",),
)

# What the base install lacks, and the only places that may load it with the module.
HEAVY = frozenset(
    {
        "torch",
        "torchvision",
        "timm",
        "safetensors",
        "onnx",
        "onnxscript",
        "sklearn",
        "lightning_fabric",
        "ray",
        "fastavro",
        "cleanlab",
        "fastapi",
        "uvicorn",
        "openvino",
        "nncf",
        "prometheus_client",
        "sqlalchemy",
        "psycopg",
        "confluent_kafka",
    }
)
HEAVY_ROOMS = (
    *("architectures", "model", "training", "runtimes.torch", "runtimes.export"),
    *("vetting.app", "vetting.server"),
    *("serving.http.answers", "serving.http.app", "serving.http.counters", "serving.http.server"),
)


@dataclass(frozen=True)
class Import:
    """One import statement's target."""

    module: str  # dotted, below the package; "" is the package's own __init__
    target: str  # dotted; starts with "." where it lies in the package
    line: int
    when: str  # "load", "call" or "typing"


def imports_of(package: Path) -> list[Import]:
    """Every import of every module under `package`."""
    found: list[Import] = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        is_init = parts[-1] == "__init__"
        module = parts[:-1] if is_init else parts
        home = module if is_init else module[:-1]
        for node, when in _statements(ast.parse(path.read_text(encoding="utf-8")), "load"):
            for target in _targets(node, home, package):
                found.append(Import(".".join(module), target, node.lineno, when))
    return found


def _statements(tree: ast.AST, when: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, when
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _statements(node, "call" if when == "load" else when)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from _statements(ast.Module([child], []), "typing")
            for child in node.orelse:
                yield from _statements(ast.Module([child], []), when)
        else:
            yield from _statements(node, when)


def _targets(node: ast.Import | ast.ImportFrom, home: tuple[str, ...], package: Path) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        return [_inside(name.split("."), package) if _is_ours(name, package) else name for name in names]
    if node.level == 0:
        name = node.module or ""
        if not _is_ours(name, package):
            return [name]
        base = name.split(".")[1:]
    else:
        base = list(home[: len(home) - (node.level - 1)]) + (node.module.split(".") if node.module else [])
    return [_inside([package.name, *base, alias.name], package) for alias in node.names]


def _is_ours(name: str, package: Path) -> bool:
    return name.split(".")[0] == package.name


def _inside(parts: list[str], package: Path) -> str:
    """The longest part of a dotted name that is a module, as ".room.module"."""
    below = parts[1:]
    while below:
        path = package.joinpath(*below)
        if path.is_dir() or path.with_suffix(".py").is_file():
            break
        below = below[:-1]
    return "." + ".".join(below)


def _row(name: str, table: tuple[tuple[str, ...], ...]) -> int | None:
    names = (name, name.split("_")[0])
    return next((number for number, row in enumerate(table) if any(part in row for part in names)), None)


def _is_heavy(module: str) -> bool:
    return any(module == room or module.startswith((f"{room}.", f"{room}_")) for room in HEAVY_ROOMS)


def violations(
    package: Path,
    rooms: tuple[tuple[str, ...], ...] = ROOMS,
    images: tuple[tuple[str, ...], ...] = IMAGES,
) -> list[str]:
    """One readable line for each import that goes the wrong way."""
    wrong: list[str] = []
    for item in imports_of(package):
        where = f"{package.name}/{item.module.replace('.', '/') or '__init__'}, line {item.line}"
        if not item.target.startswith("."):
            name = item.target.split(".")[0]
            if name in HEAVY and item.when == "load" and not _is_heavy(item.module):
                wrong.append(
                    f"{where}: loads {name}, which the base install lacks: import it inside the function "
                    f"that needs it, or move the code to one of {', '.join(HEAVY_ROOMS)}"
                )
            continue
        target = item.target[1:]
        if _is_heavy(target) and item.when == "load" and not _is_heavy(item.module):
            wrong.append(f"{where}: loads {target}, which loads torch: import it inside the function that needs it")
        if not item.module or not target:  # the package's face may show everything; its version is for all
            continue
        ours, theirs = item.module.split("."), target.split(".")
        if ours[0] != theirs[0]:
            wrong += _backwards(where, ours[0], theirs[0], rooms, "ROOMS")
        elif ours[0] != "images" or item.when == "typing":  # modules of one room may name each other's types
            continue
        elif len(ours) > 1 and len(theirs) > 1 and ours[1].split("_")[0] != theirs[1].split("_")[0]:
            wrong += _backwards(where, ours[1], theirs[1], images, "IMAGES")
    return list(dict.fromkeys(wrong))


def _backwards(where: str, ours: str, theirs: str, table: tuple[tuple[str, ...], ...], title: str) -> list[str]:
    here, there = _row(ours, table), _row(theirs, table)
    for name, row in ((ours, here), (theirs, there)):
        if row is None:
            return [f"{where}: {name} has no row in {title} of tests/test_imports.py: give it its place there"]
    assert here is not None and there is not None
    if there < here:
        return []
    kind = "beside" if there == here else "below"
    return [f"{where}: {ours} imports {theirs}, which lies {kind} it; only rooms above may be imported"]


def test_imports_go_one_way() -> None:
    wrong = violations(PACKAGE)
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_module_has_a_place() -> None:
    for folder, table in ((PACKAGE, ROOMS), (PACKAGE / "images", IMAGES)):
        names = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        homeless = sorted(name for name in names - {"__init__"} if _row(name, table) is None)
        assert not homeless, f"{homeless} of {folder} have no row in tests/test_imports.py: give them their place there"


def test_the_base_install_needs_no_torch() -> None:
    """Every light module is loaded by an interpreter that has none of the heavy packages."""
    light = [
        ".".join(("realbogus", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.stem != "__main__"
    ]
    light = [name for name in light if not _is_heavy(name.removeprefix("realbogus."))]
    assert "realbogus.cli" in light
    code = f"""
import importlib, sys

sys.path.insert(0, {str(PACKAGE.parent)!r})

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(HEAVY)!r}:
            raise ImportError(name + " is not in the base install")

sys.meta_path.insert(0, Absent())
import realbogus, realbogus.cli
for name in {light!r}:
    importlib.import_module(name)
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr


def _tree(folder: Path, **sources: str) -> Path:
    package = folder / "toy"
    for name, source in ({"__init__": ""} | sources).items():
        path = package / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({"errors": "from .stamps import x", "stamps": ""}, "errors imports stamps, which lies below it"),
        ({"errors": "def f():\n    from . import stamps", "stamps": ""}, "errors imports stamps"),
        ({"errors": "import toy.stamps", "stamps": ""}, "errors imports stamps"),
        ({"errors": "if TYPE_CHECKING:\n    from .stamps import x", "stamps": ""}, "errors imports stamps"),
        (
            {"dataset__in____init__": "from ..evaluation import x", "evaluation__in____init__": ""},
            "dataset imports evaluation, which lies beside it",
        ),
        ({"images__in__frame": "from .detect import x", "images__in__detect": ""}, "frame imports detect"),
        ({"stamps": "import torch"}, "loads torch"),
        ({"stamps": "try:\n    from torch.nn import Linear\nexcept ImportError:\n    pass"}, "loads torch"),
        ({"pipeline": "from .model import Model", "model": "import torch"}, "loads model, which loads torch"),
        ({"helpers": "from .errors import x", "errors": ""}, "helpers has no row in ROOMS"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, sources: dict[str, str], complaint: str) -> None:
    found = violations(_tree(tmp_path, **sources))
    assert len(found) == 1
    assert complaint in found[0]


def test_right_imports_pass(tmp_path: Path) -> None:
    package = _tree(
        tmp_path,
        __init__="from .cli import main",
        errors="",
        stamps="import numpy\nfrom .errors import x\ndef f():\n    import torch",
        images__in__frame="from ..errors import x\nif TYPE_CHECKING:\n    from .detect import y",
        images__in__detect="from .frame import x\nfrom ..stamps import y",
        model="import torch\nfrom . import errors",
        runtimes__in__torch_model="import torch\nfrom ..model import Model",
        cli="from .images import frame\ndef f():\n    from .model import Model",
    )
    assert violations(package) == []
