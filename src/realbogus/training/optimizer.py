"""AdamW for weights that lie in memory pixel by pixel (channels last)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["AdamW"]

_TURNED, _BACK = (0, 2, 3, 1), (0, 3, 1, 2)


class AdamW(torch.optim.AdamW):
    """torch's fused AdamW; on a CPU it sees weights of a convolution in the order in which they lie in memory.

    torch's fused step on a CPU copies every tensor that does not lie plane by plane before it looks
    at it, there and back. A value, its gradient and its moments are turned alike, so that nothing is
    copied and the result is the same to the last bit.

    Parameters
    ----------
    parameters, **options
        As torch's.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.ones(8, 4, 3, 3).contiguous(memory_format=torch.channels_last))
    >>> weight.grad = torch.ones_like(weight)
    >>> AdamW([weight], lr=0.5, weight_decay=0.0).step()
    >>> round(float(weight.detach().mean()), 6), weight.is_contiguous(memory_format=torch.channels_last)
    (0.5, True)
    """

    def __init__(self, parameters: Any, **options: Any) -> None:
        super().__init__(parameters, fused=True, **options)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; a closure is called before the weights are turned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with self._turned():
            super().step()
        return loss

    @contextlib.contextmanager
    def _turned(self) -> Iterator[None]:
        weights = [value for group in self.param_groups for value in group["params"] if _pixel_by_pixel(value)]
        for weight in weights:
            self._turn(weight, _TURNED)
        try:
            yield
        finally:
            for weight in weights:
                self._turn(weight, _BACK)

    def _turn(self, weight: Tensor, order: tuple[int, ...]) -> None:
        slope, weight.grad = weight.grad, None  # a gradient must have its weight's shape at any time
        weight.data = weight.data.permute(order)
        if slope is not None:
            # in the order of its weight, without which torch's step takes wrong pairs
            weight.grad = slope.permute(order).contiguous() if order == _TURNED else slope.permute(order)
        moments = self.state.get(weight, {})
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.dim() == len(order):
                moments[name] = value.permute(order)


def _pixel_by_pixel(weight: Tensor) -> bool:
    lies = weight.device.type == "cpu" and weight.grad is not None and weight.dim() == 4
    return lies and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)
