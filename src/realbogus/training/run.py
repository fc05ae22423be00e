"""The state of one training run, and how an epoch changes it."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from ..classifier import Card
from ..config import Config
from ..errors import ConfigError, ModelError
from ..metrics import confusion, roc_auc
from ..model import Model
from ..scoring import sigmoid
from .augment import augment, mix
from .average import follow
from .balance import BALANCES
from .checkpoint import Checkpoint, restore_optimizer, tensors_of_optimizer
from .convolution import small_maps
from .folder import AFRESH
from .hardware import seed_torch
from .loss import weighted_loss
from .optimizer import AdamW
from .part import Part, cuts
from .schedule import SCHEDULES

__all__ = ["Progress", "Run", "check_identity", "identity"]

#: Keys of the configuration that change how a run is done, not what comes out.
_HARDWARE = ("device", "devices", "threads", "compile", "data", "tensorboard")


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


class Run:
    """The state of one run between epochs.

    Every process of a run holds the same state and the whole data; of each batch it takes its
    share, so that the batch stays as large as the recipe says however many there are.

    Parameters
    ----------
    config : Config
        The recipe; its precision is named, as `settled` does it.
    seed : int
        Of all its randomness.
    card : Card
        What the finished model will carry; it names the network.
    fabric : Fabric
        The device, the precision and the other processes.
    """

    def __init__(self, config: Config, seed: int, card: Card, fabric: Fabric) -> None:
        self.config, self.seed, self.card, self.fabric = config, seed, card, fabric
        self.recipe = config.training
        self.identity = identity(card)
        self.model = Model.create(card, seed=seed, device=fabric.device)
        self.network = self.model.network
        self.average = copy.deepcopy(self.network) if self.recipe.ema > 0 else None
        self.best: dict[str, Tensor] = {}
        self.optimizer = AdamW(
            self.network.parameters(),
            lr=self.recipe.lr,
            betas=self.recipe.betas,
            weight_decay=self.recipe.weight_decay,
        )
        self.schedule = SCHEDULES.resolve(self.recipe.schedule)
        self.balance = BALANCES.resolve(self.recipe.balance)
        module: Any = torch.compile(self.network) if self.recipe.compile else self.network
        self.forward, self._stepper = fabric.setup(module, self.optimizer)
        self.history: list[dict[str, Any]] = []
        self.epoch = self.batches = 0

    def one_epoch(self, part: Part, check: Part | None, progress: Callable[[Progress], None] | None) -> dict[str, Any]:
        """Train once through the data, validate, and add a row to the history."""
        started = time.perf_counter()
        rank, count, device = self.fabric.global_rank, self.fabric.world_size, self.fabric.device
        rng = np.random.default_rng([self.seed, self.epoch + 1])
        generator = torch.Generator(device).manual_seed(_own(int(rng.integers(2**62)), rank))
        seed_torch(_own(int(rng.integers(2**62)), rank), device)  # dropout has no other source
        order = self.balance(part.labels.cpu().numpy().astype(np.int64), self.recipe, rng)
        variants = rng.integers(part.planes.shape[0], size=len(order))
        batches = list(cuts(len(order), self.recipe.batch_size, 2 * count))
        shares = rng.beta(self.recipe.mixup, self.recipe.mixup, len(batches)) if self.recipe.mixup > 0 else None
        self.batches = len(batches)
        self.forward.train()
        loss_sum = torch.zeros((), device=device)
        logits = torch.zeros(len(order), device=device)
        for number, (start, stop) in enumerate(batches):
            step = self.epoch * len(batches) + number
            lr = self.schedule(step, len(batches), self.recipe)
            whole = torch.from_numpy(order[start:stop]).to(device)
            chosen = whole[rank::count]
            planes = part.batch(chosen, torch.from_numpy(variants[start:stop][rank::count]))
            planes = augment(planes, self.recipe.augment, self.recipe.augment_probability, generator)
            labels, weights = part.wanted(chosen), part.weights[chosen]
            # DDP averages over the processes what must be summed over the batch
            scale = count * weights.sum() / part.weights[whole].sum().clamp_min(1e-12) if count > 1 else None
            if shares is not None:
                planes, labels, weights = mix(planes, labels, weights, float(shares[number]), generator)
            loss, out = self._step(planes, labels, weights, lr, scale)
            if self.average is not None:
                follow(self.average, self.network, self.recipe.ema, step + 1)
            loss_sum += loss * (stop - start)
            logits[start:stop][rank::count] = out
            if progress is not None:
                progress(Progress(self.epoch + 1, self.recipe.epochs, number + 1, len(batches)))
        self.epoch += 1
        self._agree()
        total = float(self._reduced(loss_sum, "mean")) / len(order)
        if not math.isfinite(total):
            raise ModelError(f"training diverged: the loss of epoch {self.epoch} is {total}; lower training.lr")
        shown = part.labels.cpu().numpy()[order]
        row = {"epoch": self.epoch, "lr": lr, **_facts("train", total, self._reduced(logits, "sum"), shown)}
        if check is not None:
            row |= self._validate(check)
            best = min((past["valid_loss"] for past in self.history), default=math.inf)
            if self.recipe.keep == "best" and row["valid_loss"] < best:
                self.best = {name: value.detach().clone() for name, value in self._kept().state_dict().items()}
        # of this epoch: a run may go on at a machine where `auto` means another
        row["precision"] = self.recipe.precision
        row["seconds"] = round(time.perf_counter() - started, 3)
        self.history.append(row)
        return row

    def _step(
        self, planes: Tensor, labels: Tensor, weights: Tensor, lr: float, scale: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        planes = planes.contiguous(memory_format=torch.channels_last)
        quick = small_maps(self.fabric.device.type == "cpu" and not self.recipe.compile)
        if self.recipe.compile and len(planes) != self.recipe.batch_size and self.fabric.world_size == 1:
            with self.fabric.autocast():  # to compile again for an epoch's last batch would not pay
                out = cast(Tensor, self.network(planes))
        else:
            with quick:
                out = cast(Tensor, self.forward(planes))
        logits = out.float().reshape(-1)
        loss = weighted_loss(logits, labels, weights, self.recipe)
        if scale is not None:
            loss = loss * scale
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.recipe.gradient_clip > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self._stepper.step()
        return loss.detach(), logits.detach()

    def _validate(self, check: Part) -> dict[str, Any]:
        network = self._kept().eval()
        rank, count, device = self.fabric.global_rank, self.fabric.world_size, self.fabric.device
        logits = torch.zeros(len(check), device=device)
        with torch.inference_mode():
            for start, stop in cuts(len(check), 4 * self.recipe.batch_size, count):
                chosen = torch.arange(start, stop, device=device)[rank::count]
                planes = check.batch(chosen, torch.zeros(len(chosen), dtype=torch.int64))
                out = cast(Tensor, network(planes.contiguous(memory_format=torch.channels_last)))
                logits[start:stop][rank::count] = out.float().reshape(-1)
        logits = self._reduced(logits, "sum")
        loss = float(weighted_loss(logits, check.wanted(), check.weights, self.recipe))
        return _facts("valid", loss, logits, check.labels.cpu().numpy())

    def _reduced(self, shares: Tensor, how: str) -> Tensor:
        """Sum or mean over the processes; each has zero where another has a value."""
        return cast(Tensor, self.fabric.all_reduce(shares, reduce_op=how))

    def _agree(self) -> None:
        """Take the first process's running means: each has seen its own stamps, and one of them is written."""
        if self.fabric.world_size > 1:
            for network in (self.network, self.average):
                for value in () if network is None else network.buffers():
                    torch.distributed.broadcast(value, 0)

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

    def restore(self, before: Checkpoint) -> None:
        """Go back to a checkpoint.

        Raises
        ------
        ModelError
            It lacks tensors, or is of another build of the network.
        """
        try:
            self.network.load_state_dict(_under("network.", before.tensors))
            if self.average is not None:
                self.average.load_state_dict(_under("average.", before.tensors))
            self.best = {name: value.to(self.fabric.device) for name, value in _under("best.", before.tensors).items()}
            restore_optimizer(self.optimizer, before.tensors)
        except (RuntimeError, KeyError, IndexError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise ModelError(
                f"the checkpoint does not fit the network {self.card.architecture} ({reason}): it is damaged or of "
                f"another release; {AFRESH}"
            ) from error
        self.history, self.epoch = list(before.history), before.epoch

    def finished(self) -> Model:
        """Return the model with the weights that are kept."""
        network = self._kept()
        row = self.history[-1]
        if self.best:
            network.load_state_dict(self.best)
            row = min(self.history, key=lambda past: float(past["valid_loss"]))
        metrics = {key: value for key, value in row.items() if key != "seconds"}
        card = replace(self.card, metrics={"training": metrics})
        return Model(network, card, device=self.fabric.device)


def identity(card: Card) -> str:
    """Hash of what decides a run: configuration, data and seed. The hardware does not belong to it."""
    same = {key: value for key, value in card.config["training"].items() if key not in _HARDWARE}
    facts = {"config": {**card.config, "training": same}, "data": card.data}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def check_identity(before: Checkpoint, card: Card, folder: Path | None) -> None:
    """Refuse a checkpoint of another run.

    Raises
    ------
    ConfigError
        Configuration, seed or data differ.
    """
    if before.identity != identity(card):
        raise ConfigError(f"{folder} holds the checkpoint of a run with another configuration, seed or data: {AFRESH}")


def _own(seed: int, rank: int) -> int:
    """Give each process a seed; the first keeps the one it would have alone."""
    return int(np.random.default_rng([seed, rank]).integers(2**62)) if rank else seed


def _facts(part: str, loss: float, logits: Tensor, labels: NDArray[Any]) -> dict[str, Any]:
    scores = sigmoid(logits.cpu().numpy())
    return {
        f"{part}_loss": loss,
        f"{part}_accuracy": confusion(scores, labels).accuracy,
        f"{part}_auc": roc_auc(logits.cpu().numpy(), labels),
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
