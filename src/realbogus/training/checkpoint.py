"""Where a training run stands, on disk: tensors in safetensors, the rest in JSON, no pickle.

The tensors of an epoch get a file of their own and `state.json` names it; that file is
replaced in one step, so a kill at any moment leaves one whole checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import ModelError, OutputError
from .folder import AFRESH

__all__ = ["Checkpoint", "read_checkpoint", "restore_optimizer", "tensors_of_optimizer", "write_checkpoint"]

_STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A run after a whole number of epochs.

    Parameters
    ----------
    epoch : int
        Epochs done.
    identity : str
        Hash of configuration, data and seed; a checkpoint of another run is not resumed.
    history : list of dict
        One row an epoch.
    tensors : mapping of str to Tensor
        Weights, averages and optimizer moments.
    """

    epoch: int
    identity: str
    history: list[dict[str, Any]]
    tensors: Mapping[str, Tensor]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before is removed only when this one is whole.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    name = f"epoch-{checkpoint.epoch:05d}.safetensors"
    state = {
        "epoch": checkpoint.epoch,
        "identity": checkpoint.identity,
        "history": checkpoint.history,
        "tensors": name,
    }
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in checkpoint.tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / (name + ".part"))
        os.replace(folder / (name + ".part"), folder / name)
        (folder / (_STATE + ".part")).write_text(json.dumps(state, indent=1), encoding="utf-8")
        os.replace(folder / (_STATE + ".part"), folder / _STATE)
        for old in folder.glob("epoch-*.safetensors*"):
            if old.name != name:
                old.unlink()
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write the checkpoint {folder}: {error}; choose a folder you may write") from error


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint in a folder; None where there is none.

    Raises
    ------
    ModelError
        There is one, but it is damaged.
    """
    if not (folder / _STATE).exists():
        return None
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        tensors = load_file(folder / state["tensors"])
        return Checkpoint(int(state["epoch"]), str(state["identity"]), list(state["history"]), tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"the checkpoint {folder} is damaged ({error}): {AFRESH}") from error


def tensors_of_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten an optimizer's per-parameter state to `optimizer.<parameter>.<name>`."""
    return {
        f"optimizer.{number}.{name}": value
        for number, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }


@torch.no_grad()
def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `tensors_of_optimizer` took; a KeyError where a part of it is missing."""
    whole = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                # in the order of the parameter in memory: fused optimizers go through both side by side
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            else:
                value = value.clone()  # the optimizer counts in it, and several processes share the memory of one
            entries.setdefault(int(number), {})[name] = value
    names = {name for entry in entries.values() for name in entry}
    short = [number for number, entry in entries.items() if entry.keys() != names]
    if short:
        raise KeyError(f"optimizer.{short[0]} lacks {sorted(names - entries[short[0]].keys())}")
    optimizer.load_state_dict({"state": entries, "param_groups": whole["param_groups"]})
