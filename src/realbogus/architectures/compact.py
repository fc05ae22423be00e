"""A small network for PSF-normalised planes; it looks at the centre and at the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .table import ARCHITECTURES

__all__ = ["Compact", "compact"]


class Compact(nn.Module):
    """Pairs of 3x3 convolutions, a maximum over the centre and a mean over all, a small MLP.

    The maximum over the centre says what the detection itself looks like; the mean says what
    kind of surroundings it has.

    Parameters
    ----------
    in_channels : int
        Input planes.
    size : int
        Side of a plane, pixels.
    widths : sequence of int, even in number
        Features of the convolutions; after each pair but the last the map is halved.
    hidden : int
        Width of the MLP.
    dropout : float
        Before the last layer and before the MLP (half of it).
    conv_dropout : float
        On whole feature maps after each pair.
    centre : float
        Share of the side that counts as the centre.
    classes : int
        Outputs.
    """

    def __init__(
        self,
        in_channels: int,
        size: int,
        *,
        widths: Sequence[int] = (16, 24, 48, 48, 96, 96),
        hidden: int = 64,
        dropout: float = 0.5,
        conv_dropout: float = 0.0,
        centre: float = 0.5,
        classes: int = 1,
    ) -> None:
        super().__init__()
        if not widths or len(widths) % 2:
            raise ConfigError(f"compact: {len(widths)} widths; give an even number, two a stage")
        if not all(isinstance(width, int) and width > 0 for width in (*widths, hidden)):
            raise ConfigError(
                f"compact: widths {list(widths)} and hidden {hidden}; give whole numbers of features, 1 or more"
            )
        stages = len(widths) // 2
        side = size >> (stages - 1)
        if side < 2:
            raise ConfigError(f"compact: planes of {size} px are too small for {stages} stages; need {2**stages} px")
        layers: list[nn.Module] = []
        before = in_channels
        for number, width in enumerate(widths):
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(True),
            ]
            before = width
            if number % 2 and number + 1 < len(widths):
                layers.append(nn.MaxPool2d(2))
            if number % 2 and conv_dropout > 0:
                layers.append(nn.Dropout2d(conv_dropout))
        self.features = nn.Sequential(*layers)
        # as even as the map, so that the source's pixel, just right of the middle, stays inside when flipped
        half = max(1, round(side * centre / 2))
        self.first, self.last = side // 2 - half, side - side // 2 + half
        self.head = nn.Sequential(
            nn.Dropout(dropout / 2),
            nn.Linear(2 * before, hidden),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, planes: Tensor) -> Tensor:
        """Planes (N, C, S, S) to logits, (N,), or (N, classes) if there are more than one."""
        maps = self.features(planes)
        centre = maps[:, :, self.first : self.last, self.first : self.last].amax(dim=(2, 3))
        both = torch.cat([centre, maps.mean(dim=(2, 3))], dim=1)
        return cast(Tensor, self.head(both).squeeze(1))  # which leaves several classes alone


@ARCHITECTURES.register("compact")
def compact(
    in_channels: int,
    size: int,
    *,
    widths: Sequence[int] = (16, 24, 48, 48, 96, 96),
    hidden: int = 64,
    dropout: float = 0.5,
    conv_dropout: float = 0.0,
    centre: float = 0.5,
    classes: int = 1,
) -> nn.Module:
    """Build `Compact`: 172,000 parameters for two planes.

    Examples
    --------
    >>> sum(p.numel() for p in compact(2, 32).parameters())
    172337
    """
    return Compact(
        in_channels,
        size,
        widths=widths,
        hidden=hidden,
        dropout=dropout,
        conv_dropout=conv_dropout,
        centre=centre,
        classes=classes,
    )
