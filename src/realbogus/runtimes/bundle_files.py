"""A bundle on disk: written whole or not at all, every file checked by its hash when it is read.

The files of the networks carry a piece of their hash in the name, and `bundle.json`, which names them, comes last and
takes the place of an old one in a single step: at every moment the folder is the old bundle or the new one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..classifier import Card
from ..ensemble import ENSEMBLE
from ..ensemble_files import inside, member_path
from ..errors import ConfigError, ModelError, OutputError, UnknownNameError
from ..files import write_text, write_whole
from .bundle import Bundle
from .certificate import Certificate
from .gate import Gate
from .node import Node
from .onnx import Device
from .runtime import RUNTIMES, Runtime

__all__ = ["BUNDLE_FILE", "check_bundle_place", "is_bundle", "read_bundle", "refuse_bundle", "write_bundle"]

BUNDLE_FILE = "bundle.json"
#: Of a bundle without a gate, and with one: who knows nothing of gates must not open that and leave it out.
_FORMAT, _GATED = 1, 2
_MEMBERS = "members"
#: How `_store` names a network's files, also one that was cut off.
_OURS = re.compile(r"\d{2,}-.+-[0-9a-f]{8}(\.part)?\.(onnx|xml|bin)")
#: Networks of an ensemble that are opened at a time.
_AT_ONCE = 8
_DAMAGED = "the bundle was damaged or changed after it was written: copy or export it again"


def is_bundle(folder: Path | str) -> bool:
    """Whether a folder holds a bundle."""
    return (Path(folder) / BUNDLE_FILE).is_file()


def refuse_bundle(folder: Path | str) -> None:
    """Refuse the folder of a bundle as the place of a model: of two in one folder nobody would know which is meant.

    Raises
    ------
    OutputError
        It holds a bundle.
    """
    if is_bundle(folder):
        raise OutputError(f"{folder} holds a bundle ({BUNDLE_FILE}): choose another folder for the model")


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
    strangers: list[str] = []
    try:
        if folder.is_dir():
            strangers = [path.name for path in folder.iterdir()]
            strangers = [name for name in strangers if name not in (_MEMBERS, BUNDLE_FILE, "bundle.part.json")]
        if (folder / _MEMBERS).is_dir():
            there = (path for path in (folder / _MEMBERS).iterdir())
            strangers += [
                f"{_MEMBERS}/{path.name}" for path in there if path.is_dir() or not _OURS.fullmatch(path.name)
            ]
    except OSError as error:
        raise OutputError(f"cannot look into {folder}: {error}; choose a folder you may write") from error
    strangers.sort()
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
    gate = bundle.gate
    values: dict[str, Any] = {
        "format": _FORMAT if gate is None else _GATED,
        "realbogus": __version__,
        "runtime": bundle.runtime,
        "precision": bundle.precision,
        "classifier": tree,
        "certificate": None if bundle.certificate is None else bundle.certificate.to_dict(),
        "files": files,
    }
    if gate is not None:
        values["gate"] = _store(gate.node, folder, files) | {"cut": gate.cut, "passed": gate.passed}
    values["sha256"] = _digest(values)
    write_text(folder / BUNDLE_FILE, json.dumps(values, indent=1) + "\n")
    try:
        for path in (folder / _MEMBERS).iterdir():  # what an older bundle, or one that was cut off, left
            if f"{_MEMBERS}/{path.name}" not in files and _OURS.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove the old bundle in {folder}: {error}") from error
    return folder


def read_bundle(folder: Path | str, *, threads: int = 0, device: Device = "cpu") -> Bundle:
    """Open a bundle; one that is replaced while it is read is the new one.

    Parameters
    ----------
    folder : path
        Written by `write_bundle`.
    threads : int
        Processor threads; 0 leaves the choice to the runtime.
    device : {"cpu", "cuda"}
        Where it runs; its runtime must be one that does so there.

    Raises
    ------
    ModelError
        It is missing, damaged, incomplete, foreign, of a newer realbogus, or contradicts itself.
    ConfigError
        Its runtime is not installed, or does not run on the device.
    """
    folder = Path(folder)
    before = _description(folder)
    try:
        return _read(folder, before, threads, device)
    except ModelError:
        after = _description(folder)
        if after == before:
            raise
        return _read(folder, after, threads, device)


def _read(folder: Path, text: bytes, threads: int, device: Device) -> Bundle:
    values = _values(folder, text)
    try:
        runtime = RUNTIMES.resolve(values["runtime"])
        if values["precision"] not in runtime.precisions:
            raise ModelError(f"{folder} has the precision {values['precision']!r}, which {values['runtime']} has not")
        if device not in runtime.devices:
            where = " and ".join(runtime.devices)
            raise ConfigError(
                f"{folder} is for {values['runtime']}, which we run on {where}, not on {device!r}: "
                "export it with --runtime onnx for that"
            )
        root = _open(values["classifier"], folder, values["files"], runtime, threads, device)
        gate = None
        if ("gate" in values) != (values["format"] == _GATED):
            raise ModelError(
                f"{folder} is of format {values['format']} and has {'a' if 'gate' in values else 'no'} gate: {_DAMAGED}"
            )
        if "gate" in values:
            its = values["gate"]
            node = _open(its, folder, values["files"], runtime, threads, device)
            gate = Gate(node, its["cut"], its["passed"])
        given = values["certificate"]
        return Bundle(
            root,
            gate=gate,
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


def _description(folder: Path) -> bytes:
    try:
        return (folder / BUNDLE_FILE).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder} is no bundle ({error}); expected a folder with {BUNDLE_FILE}") from error


def _values(folder: Path, text: bytes) -> dict[str, Any]:
    path = folder / BUNDLE_FILE
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): {_DAMAGED}") from error
    if not isinstance(values, dict) or not isinstance(values.get("format"), int):
        raise ModelError(f"{path} says nothing of its format: it is damaged, or no bundle of ours")
    if values["format"] not in (_FORMAT, _GATED):
        raise ModelError(
            f"{folder} has bundle format {values['format']} (written by realbogus {values.get('realbogus')}), this "
            f"realbogus {__version__} reads {_FORMAT} and {_GATED}: update the older one, or export again"
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
    device: Device,
) -> Node:
    card = Card.from_json(json.dumps(tree["card"]), source=str(folder / BUNDLE_FILE))
    if card.architecture == ENSEMBLE:
        trees = list(tree["members"])
        if not trees:
            raise ModelError(f"the ensemble in {folder} has no members: {_DAMAGED}")
        with ThreadPoolExecutor(min(len(trees), _AT_ONCE)) as crew:  # to compile a network takes up to a second
            members = list(crew.map(lambda each: _open(each, folder, files, runtime, threads, device), trees))
        return Node(card, members=tuple(members))
    graph = _contents(folder, tree["graph"], files)
    weights = _contents(folder, tree["weights"], files) if "weights" in tree else b""
    name, arithmetic = str(folder / tree["graph"]), tree["arithmetic"]
    if arithmetic not in ("f32", "bf16") or arithmetic not in runtime.precisions:
        raise ModelError(f"{name} is to be run in {arithmetic!r}, which its runtime does not do: {_DAMAGED}")
    network = runtime.open(card, graph, weights, arithmetic, threads, device, name)
    if network.card.preprocess != card.preprocess:
        raise ModelError(f"{name} and what {BUNDLE_FILE} says of it prepare stamps differently: {_DAMAGED}")
    return Node(card, network, arithmetic=arithmetic)


def _contents(folder: Path, name: str, files: Mapping[str, Any]) -> bytes:
    """Read a file of the bundle once: what was checked is what is opened."""
    path = inside(folder, name)
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the bundle {folder} lacks a file ({error}): copy the whole folder again") from error
    if hashlib.sha256(contents).hexdigest() != files[name]["sha256"]:
        raise ModelError(f"{path} is not the file that was written ({len(contents)} bytes): {_DAMAGED}")
    return contents
