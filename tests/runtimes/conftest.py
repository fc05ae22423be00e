"""Small networks that know the toy stamps, and stamps to hold out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from realbogus.classifier import Card
from realbogus.ensemble import Ensemble
from realbogus.model import Model
from realbogus.stamps import StampSet

CALIBRATION = {
    "method": "platt",
    "parameters": {"slope": [1.5], "offset": [0.1]},
    "prevalence": None,
    "real": 9,
    "bogus": 9,
}


def taught(stamps: StampSet, widths: list[int], seed: int, views: int = 2) -> Model:
    card = Card(
        name=f"toy {seed}",
        architecture="compact",
        architecture_options={"widths": widths, "dropout": 0.0},
        views=views,
        calibration=CALIBRATION,
    )
    model = Model.create(card, seed=seed)
    network = model.network.train()
    planes = torch.from_numpy(card.preprocess(stamps.pixels, noise=stamps.noise, fwhm=stamps.fwhm))
    labels = torch.from_numpy(stamps.labels).float()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(network(planes).reshape(-1), labels).backward()
        optimizer.step()
    network.eval()
    return model


@pytest.fixture(scope="session")
def pair(toy_stamps: StampSet) -> Ensemble:
    """Two trained networks that vote."""
    members = [taught(toy_stamps, [4, 8, 8, 8], 1), taught(toy_stamps, [4, 4, 8, 8], 2)]
    ensemble = Ensemble.of(members, name="pair", threshold=0.4)
    return ensemble.with_card(replace(ensemble.card, calibration=CALIBRATION))


@pytest.fixture(scope="session")
def held_out(toy_stamps: StampSet) -> StampSet:
    """1,200 stamps of the same kind: the toy ones with other noise on them."""
    rng = np.random.default_rng(11)
    rows = np.tile(np.arange(len(toy_stamps)), 5)
    chosen = toy_stamps.select(rows)
    noise = rng.standard_normal(chosen.pixels.shape) * chosen.noise[:, None, None, None] * 0.7
    catalogue = chosen.catalogue.copy()
    catalogue["id"] = [f"held-{row}" for row in range(len(rows))]
    return StampSet((chosen.pixels + noise).astype(np.float32), catalogue)
