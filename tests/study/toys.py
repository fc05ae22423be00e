"""A study small enough to be run whole in seconds; also what the process that is killed runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from astropy.table import Table

from realbogus.config import Config, with_overrides
from realbogus.stamps import StampSet
from realbogus.study.plan import Network, Plan

OPTIONS = {"widths": [8, 8, 16, 16], "hidden": 16}
QUICK = {
    "preprocess.size": 32, "training.epochs": 3, "training.batch_size": 32, "training.lr": 2e-2,
    "training.threads": 1, "training.device": "cpu", "training.tensorboard": False,
}  # fmt: skip


def make_plan(**changes: Any) -> Plan:
    """A plan of compact networks: one alone, three bagged, two of a better recipe."""
    small = {**QUICK, "model.architecture": "compact", "model.options": OPTIONS}
    sharp = {"training.loss": "bce", "training.balance": "balanced", "training.lr": 2e-2}
    trio = tuple(Network(name, "compact", OPTIONS) for name in ("resnet18", "two", "three"))
    base = Plan(
        scale="toy",
        networks=(trio[0], Network("four", "compact", OPTIONS)),
        trio=trio,
        recipe=with_overrides(Config(), QUICK),
        screen=with_overrides(Config(), {**small, **sharp, "training.epochs": 6}),
        best=with_overrides(Config(), {**small, **sharp, "training.epochs": 3}),
        best_members=2,
        hard_too=True,
        bands=(0.2, 0.3),
        draws=50,
    )
    return replace(base, **changes)


def make_stamps(count: int = 160) -> StampSet:
    """Stars are real, hot pixels and dipoles bogus; twenty stamps a field."""
    rng = np.random.default_rng(8)
    side = 64
    number = np.arange(count)
    labels = number % 3 == 0
    noise, fwhm = rng.uniform(2, 10, count), rng.uniform(2, 4, count).round(1)
    offset = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offset / (fwhm[:, None] / 2.355)) ** 2)
    star = profile[:, :, None] * profile[:, None, :]
    hot = np.zeros_like(star)
    hot[:, side // 2, side // 2] = 1.0
    dipole = star - np.roll(star, 2, axis=2)
    shape = np.where(labels[:, None, None], star, np.where((number % 3 == 1)[:, None, None], hot, dipole))
    snr = rng.uniform(4, 20, count)
    pixels = shape * snr[:, None, None] + rng.standard_normal((count, side, side))
    rows = Table(
        {
            "id": [f"toy-{k}" for k in number],
            "source": [f"star-{k // 2}" for k in number],
            "field": [f"field-{k // 2 % 8}" for k in number],
            "kind": np.where(labels, "star", np.where(number % 3 == 1, "hot pixel", "dipole")),
            "noise": noise,
            "fwhm": fwhm,
            "seeing": 0.862 * fwhm,
            "mag": 20 - 2.5 * np.log10(snr),
            "snr": snr,
            "label": labels.astype(int),
        }
    )
    return StampSet((pixels * noise[:, None, None])[:, None].astype(np.float32), rows)
