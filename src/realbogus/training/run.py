"""The state of one training run, and how an epoch changes it."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..classifier import Card
from ..config import Config
from ..errors import ConfigError, ModelError
from ..metrics import confusion, roc_auc
from ..model import Model
from ..preprocess import Preprocess
from ..scoring import sigmoid
from ..stamps import StampSet
from .augment import augment
from .balance import BALANCES
from .checkpoint import Checkpoint, restore_optimizer, tensors_of_optimizer
from .hardware import autocast
from .loss import weighted_loss
from .planes import prepare_planes
from .schedule import SCHEDULES

__all__ = ["Part", "Progress", "Run", "make_part"]


@dataclass(frozen=True)
class Progress:
    """Where a run stands; handed to the `progress` callback after every batch and every epoch.

    Parameters
    ----------
    epoch, epochs : int
        The current epoch, from 1, and how many there will be.
    batch, batches : int
        Batches done in this epoch, and how many it has.
    row : dict or None
        The epoch's row of the history, when the epoch has ended.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    row: dict[str, Any] | None = None


@dataclass(frozen=True)
class Part:
    """Rows that are trained on or validated against.

    Parameters
    ----------
    planes : Tensor of float16, shape (V, M, P, S, S)
        V versions of the M stamps that occur.
    position : Tensor of int64, shape (N,)
        Which of the M stamps each row is.
    labels, weights : Tensor of float32, shape (N,)
        One entry a row.
    """

    planes: Tensor
    position: Tensor
    labels: Tensor
    weights: Tensor


class Run:
    """The state of one run between epochs.

    Parameters
    ----------
    config : Config
        The recipe.
    seed : int
        Of all its randomness.
    model : Model
        The network to train, with random weights.
    card : Card
        What the finished model will carry.
    """

    def __init__(self, config: Config, seed: int, model: Model, card: Card) -> None:
        self.config, self.seed, self.model, self.card = config, seed, model, card
        self.recipe = config.training
        same = {key: value for key, value in card.config["training"].items() if key not in ("device", "threads")}
        facts = {"config": {**card.config, "training": same}, "data": card.data}
        self.identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        self.network = model.network
        self.average = copy.deepcopy(self.network) if self.recipe.ema > 0 else None
        self.best: dict[str, Tensor] = {}
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.recipe.lr,
            betas=self.recipe.betas,
            weight_decay=self.recipe.weight_decay,
        )
        self.schedule = SCHEDULES.resolve(self.recipe.schedule)
        self.balance = BALANCES.resolve(self.recipe.balance)
        self.history: list[dict[str, Any]] = []
        self.epoch = self.batches = 0

    def one_epoch(self, part: Part, check: Part | None, progress: Callable[[Progress], None] | None) -> dict[str, Any]:
        """Train once through the data, validate, and add a row to the history."""
        started = time.perf_counter()
        rng = np.random.default_rng([self.seed, self.epoch + 1])
        generator = torch.Generator(self.model.device).manual_seed(int(rng.integers(2**62)))
        torch.manual_seed(int(rng.integers(2**62)))  # dropout has no other source
        order = self.balance(part.labels.cpu().numpy().astype(np.int64), self.recipe, rng)
        variants = rng.integers(part.planes.shape[0], size=len(order))
        cuts = _cuts(len(order), self.recipe.batch_size)
        self.batches = len(cuts)
        self.network.train()
        losses, logits = [], []
        for number, (start, stop) in enumerate(cuts):
            lr = self.schedule(self.epoch * len(cuts) + number, len(cuts), self.recipe)
            chosen = torch.from_numpy(order[start:stop]).to(part.position.device)
            planes = _batch(part, chosen, torch.from_numpy(variants[start:stop]), self.model.device)
            planes = augment(planes, self.recipe.augment, self.recipe.augment_probability, generator)
            loss, out = self._step(planes, part.labels[chosen], part.weights[chosen], lr)
            losses.append(loss * (stop - start))
            logits.append(out)
            if progress is not None:
                progress(Progress(self.epoch + 1, self.recipe.epochs, number + 1, len(cuts)))
        self.epoch += 1
        shown = part.labels.cpu().numpy()[order]
        total = float(torch.stack(losses).sum()) / len(order)
        if not math.isfinite(total):
            raise ModelError(f"training diverged: the loss of epoch {self.epoch} is {total}; lower training.lr")
        row = {"epoch": self.epoch, "lr": lr, **_facts("train", total, torch.cat(logits), shown)}
        if check is not None:
            row |= self._validate(check)
            best = min((past["valid_loss"] for past in self.history), default=math.inf)
            if self.recipe.keep == "best" and row["valid_loss"] < best:
                self.best = {name: value.detach().clone() for name, value in self._kept().state_dict().items()}
        row["seconds"] = round(time.perf_counter() - started, 3)
        self.history.append(row)
        return row

    def _step(self, planes: Tensor, labels: Tensor, weights: Tensor, lr: float) -> tuple[Tensor, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with autocast(self.model.device, self.recipe.precision):
            out = cast(Tensor, self.network(planes.contiguous(memory_format=torch.channels_last)))
        logits = out.float().reshape(-1)
        loss = weighted_loss(logits, labels, weights, self.recipe)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        if self.average is not None:
            self._follow(self.average)
        return loss.detach(), logits.detach()

    @torch.no_grad()
    def _follow(self, average: nn.Module) -> None:
        # A young average forgets faster, so that it does not stay at the random start.
        steps = next(iter(self.optimizer.state.values()))["step"].item()
        decay = min(self.recipe.ema, (1 + steps) / (10 + steps))
        now = self.network.state_dict()
        for name, value in average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - decay)
            else:
                value.copy_(now[name])

    def _validate(self, check: Part) -> dict[str, Any]:
        network = self._kept().eval()
        logits, losses = [], []
        with torch.inference_mode():
            for start, stop in _cuts(len(check.labels), 4 * self.recipe.batch_size):
                chosen = torch.arange(start, stop, device=check.position.device)
                planes = _batch(check, chosen, torch.zeros(stop - start, dtype=torch.int64), self.model.device)
                planes = planes.contiguous(memory_format=torch.channels_last)
                out = cast(Tensor, network(planes)).float().reshape(-1)
                loss = weighted_loss(out, check.labels[start:stop], check.weights[start:stop], self.recipe)
                losses.append(loss * (stop - start))
                logits.append(out)
        total = float(torch.stack(losses).sum()) / len(check.labels)
        return _facts("valid", total, torch.cat(logits), check.labels.cpu().numpy())

    def _kept(self) -> nn.Module:
        kept: nn.Module = self.network if self.average is None else self.average
        return kept

    def checkpoint(self) -> Checkpoint:
        """Return everything that the next epoch depends on."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= tensors_of_optimizer(self.optimizer)
        return Checkpoint(self.epoch, self.identity, self.history, tensors)

    def restore(self, before: Checkpoint, folder: Path | None) -> None:
        """Go back to a checkpoint."""
        if before.identity != self.identity:
            raise ConfigError(
                f"{folder} holds the checkpoint of a run with another configuration, seed or data: "
                "choose another folder, or train with resume=False"
            )
        self.network.load_state_dict(_under("network.", before.tensors))
        if self.average is not None:
            self.average.load_state_dict(_under("average.", before.tensors))
        self.best = {name: value.to(self.model.device) for name, value in _under("best.", before.tensors).items()}
        restore_optimizer(self.optimizer, before.tensors)
        self.history, self.epoch = before.history, before.epoch

    def finished(self) -> Model:
        """Return the model with the weights that are kept."""
        network = self._kept()
        row = self.history[-1]
        if self.best:
            network.load_state_dict(self.best)
            row = min(self.history, key=lambda past: float(past["valid_loss"]))
        metrics = {key: value for key, value in row.items() if key != "seconds"}
        card = replace(self.card, metrics={"training": metrics})
        return Model(network, card, device=self.model.device)


def make_part(
    stamps: StampSet,
    rows: NDArray[np.int64],
    weights: NDArray[np.float32],
    preprocess: Preprocess,
    config: Config,
    rng: np.random.Generator | None,
    device: torch.device,
) -> Part:
    """Preprocess the rows that occur, once each, and lay out what a batch is made of."""
    unique, position = np.unique(rows, return_inverse=True)
    planes = prepare_planes(stamps, unique, preprocess, config.training, rng)
    if device.type == "cuda" and planes.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
        planes = planes.to(device)
    labels = torch.from_numpy(stamps.labels[rows].astype(np.float32)).to(device)
    return Part(planes, torch.from_numpy(position).to(device), labels, torch.from_numpy(weights[rows]).to(device))


def _batch(part: Part, chosen: Tensor, variants: Tensor, device: torch.device) -> Tensor:
    where = part.planes.device
    planes = part.planes[variants.to(where), part.position[chosen].to(where)]
    return planes.to(device, torch.float32)


def _cuts(count: int, batch: int) -> list[tuple[int, int]]:
    # A last batch of one has no variance to normalise by, so it joins the one before.
    edges = [*range(0, count, batch), count]
    if len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    return list(itertools.pairwise(edges))


def _facts(part: str, loss: float, logits: Tensor, labels: NDArray[Any]) -> dict[str, Any]:
    scores = sigmoid(logits.cpu().numpy())
    return {
        f"{part}_loss": loss,
        f"{part}_accuracy": confusion(scores, labels).accuracy,
        f"{part}_auc": roc_auc(logits.cpu().numpy(), labels),
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
