"""Sphinx configuration. Warnings are errors; nothing is fetched."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "realbogus"
sys.path.insert(0, str(ROOT / "src"))

import fastapi  # noqa: E402, F401  (autodoc imports with TYPE_CHECKING set, and then it fails)

from realbogus import __version__  # noqa: E402  (the path must be set first)

project = "realbogus"
author = "The realbogus developers"
copyright = "2026, The realbogus developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "results"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

napoleon_google_docstring = False
# Types are prose ("ndarray of float32, shape (N,)"): no word of them is the name of an object.
napoleon_use_param = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# The light install builds the pages as well, of what would need torch only the texts.
autodoc_mock_imports = [
    name
    for name in ("torch", "torchvision", "timm", "safetensors", "onnx", "sklearn", "fastapi", "pydantic", "uvicorn")
    if importlib.util.find_spec(name) is None
]

html_theme = "furo"
html_title = f"realbogus {version}"
html_static_path = ["_static"]
html_show_sourcelink = False

# The rooms of the house in their order; a room that is not built yet is left out.
ROOMS = [
    *("errors", "registry", "config", "tables"),
    *("stamps", "preprocess", "metrics", "calibration", "classifier", "scoring"),
    *("images", "adapters", "architectures", "model", "ensemble"),
    *("dataset", "training", "evaluation", "runtimes"),
    "curation",
    *("pipeline", "study", "vetting", "serving", "cli"),
]


def write_api_pages(folder: Path) -> None:
    """Write one page a room, with every module that lies in it; pages of rooms that are gone go."""
    folder.mkdir(exist_ok=True)
    present = [room for room in ROOMS if _is_module(SOURCE / room)]
    pages = {f"{room}.md": _page(room) for room in present}
    entries = "\n".join(present)
    pages["index.md"] = f"# API\n\nOne page a room, from the ground up.\n\n```{{toctree}}\n{entries}\n```\n"
    for stale in set(folder.glob("*.md")) - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _modules(room: str) -> list[str]:
    """Dotted names below `realbogus`, a package before its modules."""
    if not (SOURCE / room).is_dir():
        return [room]
    paths = [p for p in sorted((SOURCE / room).rglob("*.py")) if p.stem != "__main__"]
    names = {p.parent if p.stem == "__init__" else p.with_suffix("") for p in paths}
    return [".".join(p.relative_to(SOURCE).parts) for p in sorted(names)]


def _page(room: str) -> str:
    parts = [f"# {room}\n"]
    for name in _modules(room):
        path = SOURCE.joinpath(*name.split("."))
        if name != room:
            parts.append(f"## {name}\n")
        # A package shows only what it defines itself: what it re-exports stands with its module.
        options = ":members:\n:show-inheritance:" + ("\n:ignore-module-all:" if path.is_dir() else "")
        parts.append(f"```{{eval-rst}}\n.. automodule:: realbogus.{name}\n{_indent(options)}\n```\n")
    return "\n".join(parts)


def _indent(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())


write_api_pages(Path(__file__).parent / "api")
