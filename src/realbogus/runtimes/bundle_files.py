"""A bundle on disk: written whole or not at all, every file checked by its hash when it is read.

The files of the networks carry a piece of their hash in the name, and `bundle.json`, which names them, comes last and
takes the place of an old one in a single step: at every moment the folder is the old bundle or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..classifier import Card
from ..ensemble import ENSEMBLE
from ..ensemble_files import member_path
from ..errors import ConfigError, ModelError, OutputError, UnknownNameError
from ..files import write_text, write_whole
from .bundle import Bundle, Node
from .certificate import Certificate
from .openvino import Hint
from .runtime import RUNTIMES, Runtime

__all__ = ["BUNDLE_FILE", "check_bundle_place", "is_bundle", "read_bundle", "write_bundle"]

BUNDLE_FILE = "bundle.json"
_FORMAT = 1
_MEMBERS = "members"
_DAMAGED = "the bundle was damaged or changed after it was written: copy or export it again"


def is_bundle(folder: Path | str) -> bool:
    """Whether a folder holds a bundle."""
    return (Path(folder) / BUNDLE_FILE).is_file()


def check_bundle_place(folder: Path | str) -> Path:
    """Refuse a place where a bundle cannot be written: a file, or a folder of other things.

    Raises
    ------
    OutputError
        It cannot.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: a bundle is a folder, choose another name")
    strangers = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    strangers = [name for name in strangers if name not in (_MEMBERS, BUNDLE_FILE, "bundle.part.json")]
    if strangers:
        raise OutputError(f"{folder} holds other things ({', '.join(strangers[:3])}): choose a folder of its own")
    return folder


def write_bundle(bundle: Bundle, folder: Path | str) -> Path:
    """Write a bundle as a folder and return it; one that is there is replaced.

    Raises
    ------
    OutputError
        The folder cannot be written, or holds other things.
    """
    folder = check_bundle_place(folder)
    files: dict[str, dict[str, Any]] = {}
    tree = _store(bundle.root, folder, files)
    values = {
        "format": _FORMAT,
        "realbogus": __version__,
        "runtime": bundle.runtime,
        "precision": bundle.precision,
        "threshold": bundle.card.threshold,
        "classifier": tree,
        "certificate": None if bundle.certificate is None else bundle.certificate.to_dict(),
        "files": files,
    }
    values["sha256"] = _digest(values)
    write_text(folder / BUNDLE_FILE, json.dumps(values, indent=1) + "\n")
    try:
        for path in (folder / _MEMBERS).iterdir():  # what an older bundle, or one that was cut off, left
            if f"{_MEMBERS}/{path.name}" not in files and path.suffix in (".onnx", ".xml", ".bin"):
                path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove the old bundle in {folder}: {error}") from error
    return folder


def read_bundle(folder: Path | str, *, threads: int = 0, hint: Hint = "throughput") -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    folder : path
        Written by `write_bundle`.
    threads : int
        Processor threads; 0 leaves the choice to the runtime.
    hint : {"throughput", "latency"}
        Whether many stamps a second or one stamp soon is asked of OpenVINO.

    Raises
    ------
    ModelError
        It is missing, damaged, incomplete, foreign or of a newer realbogus.
    ConfigError
        Its runtime is not installed.
    """
    folder = Path(folder)
    values = _values(folder)
    try:
        runtime = RUNTIMES.resolve(values["runtime"])
        if values["precision"] not in runtime.precisions:
            raise ModelError(f"{folder} has the precision {values['precision']!r}, which {values['runtime']} has not")
        root = _open(values["classifier"], folder, values["files"], runtime, threads, hint)
        given = values["certificate"]
        return Bundle(
            root,
            runtime=values["runtime"],
            precision=values["precision"],
            certificate=None if given is None else Certificate.from_dict(given),
        )
    except UnknownNameError as error:
        raise ModelError(f"{folder} cannot be opened here ({error}): update realbogus") from error
    except ConfigError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder / BUNDLE_FILE} does not say what it should ({error!r}): {_DAMAGED}") from error


def _values(folder: Path) -> dict[str, Any]:
    path = folder / BUNDLE_FILE
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{folder} is no bundle ({error}); expected a folder with {BUNDLE_FILE}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): {_DAMAGED}") from error
    if not isinstance(values, dict) or not isinstance(values.get("format"), int):
        raise ModelError(f"{path} says nothing of its format: it is damaged, or no bundle of ours")
    if values["format"] != _FORMAT:
        raise ModelError(
            f"{folder} has bundle format {values['format']} (written by realbogus {values.get('realbogus')}), this "
            f"realbogus {__version__} reads {_FORMAT}: update the older one, or export again"
        )
    if values.pop("sha256", None) != _digest(values):
        raise ModelError(f"{path} is not as it was written: {_DAMAGED}")
    return values


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _store(node: Node, folder: Path, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the networks of a node; return what `bundle.json` says of it."""
    tree: dict[str, Any] = {"card": json.loads(node.card.to_json())}
    if node.network is None:
        return tree | {"members": [_store(member, folder, files) for member in node.members]}
    graph, weights = node.network.contents
    # the hash keeps new files apart from old ones of the same name
    name = member_path(len(files), node.card.name, f"-{hashlib.sha256(graph + weights).hexdigest()[:8]}").as_posix()
    parts = {"graph": (".xml", graph), "weights": (".bin", weights)} if weights else {"graph": (".onnx", graph)}
    tree["arithmetic"] = node.arithmetic
    for part, (suffix, contents) in parts.items():
        tree[part] = name + suffix
        files[name + suffix] = {"sha256": hashlib.sha256(contents).hexdigest(), "bytes": len(contents)}
        write_whole(folder / (name + suffix), partial(_fill, contents))
    return tree


def _fill(contents: bytes, path: Path) -> None:
    path.write_bytes(contents)


def _open(
    tree: Mapping[str, Any],
    folder: Path,
    files: Mapping[str, Any],
    runtime: Runtime,
    threads: int,
    hint: Hint,
) -> Node:
    card = Card.from_json(json.dumps(tree["card"]), source=str(folder / BUNDLE_FILE))
    if card.architecture == ENSEMBLE:
        with ThreadPoolExecutor(len(tree["members"]) or 1) as crew:  # to compile a network takes up to a second
            members = list(crew.map(lambda each: _open(each, folder, files, runtime, threads, hint), tree["members"]))
        if not members:
            raise ModelError(f"the ensemble in {folder} has no members: {_DAMAGED}")
        return Node(card, members=tuple(members))
    graph = _contents(folder, tree["graph"], files)
    weights = _contents(folder, tree["weights"], files) if "weights" in tree else b""
    name = str(folder / tree["graph"])
    arithmetic = str(tree["arithmetic"])
    return Node(card, runtime.open(card, graph, weights, arithmetic, threads, hint, name), arithmetic=arithmetic)


def _contents(folder: Path, name: str, files: Mapping[str, Any]) -> bytes:
    """Read a file of the bundle once: what was checked is what is opened."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{folder} names the file {name!r}, which lies outside it: it is not opened")
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the bundle {folder} lacks a file ({error}): copy the whole folder again") from error
    if hashlib.sha256(contents).hexdigest() != files[name]["sha256"]:
        raise ModelError(f"{path} is not the file that was written ({len(contents)} bytes): {_DAMAGED}")
    return contents
