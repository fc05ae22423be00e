"""Convolutions of small maps and small kernels on a CPU, as matrix products.

Networks made for 224 pixels have maps of 4x4 and 2x2 pixels where they see 64. There the
kernels of torch's CPU library fall back to slow ways (the gradient of a 3x3 convolution of
512 features on 2x2 pixels takes ten times what its arithmetic needs), and much of what they
compute lies outside the map. Gradients of 1x1 kernels take a third more than a product does, at
any size. What follows is the same sum, term by term, as products of
matrices. In bfloat16 one product does it all, forward and back, and what has a depthwise kernel
is computed in float32: its gradients take several times as long in bfloat16. On a GPU and
for larger maps nothing is changed. Nor is it where a matrix would take more than some
hundred megabytes, as with planes of 224 pixels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["small_maps"]

#: Output pixels up to which a gradient of weights is quicker so; for depthwise kernels of 3x3, fewer.
_PIXELS = 16
_PIXELS_3X3 = 4
#: Features in times features out, and stamps, above which the products pay.
_FEATURES = 128 * 128
_FEATURES_DENSE = 128 * 64
_FEATURES_1X1 = 64 * 64
_BATCH = 16
#: The same of a product in bfloat16, and pixels up to which it is quicker for a kernel of 1x1.
_FEATURES_HALF = 128 * 256
_PIXELS_HALF_1X1 = 64
#: Numbers in the largest matrix that is made: 256 MiB.
_NUMBERS = 2**26


@contextlib.contextmanager
def small_maps(active: bool) -> Iterator[None]:
    """Let convolutions of small maps inside be matrix products, where they are quicker so."""
    if not active:
        yield
        return
    with _SmallMaps():
        yield


class _SmallMaps(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is functional.conv2d:
            plain = _Plain.of(*args, **(kwargs or {}))
            out = plain and plain.convolved()
            if out is not None:
                return out
        return func(*args, **(kwargs or {}))


class _Plain:
    """The arguments of a convolution without dilation, the same along both axes; `half` is bfloat16."""

    def __init__(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, groups: int, half: bool
    ) -> None:
        self.x, self.weight, self.bias = x, weight, bias
        self.stride, self.padding, self.groups, self.half = stride, padding, groups, half

    @classmethod
    def of(
        cls, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> _Plain | None:  # fmt: skip
        steps, pads, gaps = _one(stride), _one(padding), _one(dilation)
        square = weight.shape[2] == weight.shape[3] and x.shape[-1] == x.shape[-2]
        mixed = torch.is_autocast_enabled("cpu")
        half = mixed and torch.get_autocast_dtype("cpu") == torch.bfloat16
        known = half if mixed else x.dtype == torch.float32
        plain = x.dim() == 4 and x.is_floating_point() and weight.dtype == torch.float32 and known
        if steps is None or pads is None or gaps != 1 or not (square and plain and weight.requires_grad):
            return None
        return cls(x, weight, bias, steps, pads, groups, half)

    def convolved(self) -> Tensor | None:
        """Return the convolution done in the quicker way, or None where that is torch's own."""
        if self.half and self.groups == self.x.shape[1] == len(self.weight) > 1:
            x = self.x.float()
            with torch.autocast("cpu", enabled=False):
                out = _Plain(x, self.weight, self.bias, self.stride, self.padding, self.groups, False).convolved()
                if out is None:
                    out = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
            return out.to(torch.bfloat16)
        form = self.form()
        if form is None:
            return None
        out = cast(Tensor, cast(Any, form).apply(self.x, self.weight, self.stride, self.padding))
        return out if self.bias is None else out + self.bias[:, None, None].to(out.dtype)

    def form(self) -> type[torch.autograd.Function] | None:
        """Which of the products below does it best, if any."""
        features_out, features_in, kernel = self.weight.shape[:3]
        side = self.x.shape[-1]
        pixels = ((side + 2 * self.padding - kernel) // self.stride + 1) ** 2
        if len(self.x) < _BATCH or pixels < 1:
            return None
        # a map that lies otherwise in memory than the products want it is copied
        if len(self.x) * max(features_in * side * side, features_out * pixels) > _NUMBERS:
            return None
        if self.half:
            few = len(self.x) * pixels * features_in * kernel**2 <= _NUMBERS
            plain = (kernel, self.stride, self.padding) == (1, 1, 0)
            most, least = (_PIXELS_HALF_1X1, _FEATURES_1X1) if plain else (_PIXELS, _FEATURES_HALF)
            quick = self.groups == 1 and pixels <= most and features_in * features_out >= least
            return _Columns if few and quick else None
        if kernel == 1:
            plain = (self.stride, self.padding, self.groups) == (1, 0, 1)
            return _Convolution if plain and features_in * features_out >= _FEATURES_1X1 else None
        if self.groups == self.x.shape[1] == features_out > 1:
            return _Depthwise if pixels <= (_PIXELS if kernel > 3 else _PIXELS_3X3) else None
        if self.groups != 1 or pixels > _PIXELS:
            return None
        if side <= kernel:
            small = features_out * pixels * features_in * side * side <= _NUMBERS
            return _Dense if small and features_in * features_out >= _FEATURES_DENSE else None
        return _Convolution if features_in * features_out >= _FEATURES else None


class _Convolution(torch.autograd.Function):
    """torch's convolution, but for the gradient of the weights: one product for each place in the kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, stride=stride, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        to_x = _to_input(slope, x, weight, ctx.stride, ctx.padding, 1) if ctx.needs_input_grad[0] else None
        return to_x, _to_weights(slope, x, weight, ctx.stride, ctx.padding), None, None


class _Dense(torch.autograd.Function):
    """A convolution whose kernel is as large as the map: every pixel meets every other, so one matrix does it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        count, features_in, side, _ = x.shape
        features_out, kernel = weight.shape[0], weight.shape[-1]
        out = (side + 2 * padding - kernel) // stride + 1
        matrix = weight.new_zeros(out, out, features_out, side, side, features_in)
        for u, rows in _overlaps(side, out, kernel, stride, padding):
            for v, columns in _overlaps(side, out, kernel, stride, padding):
                for y, i in rows:
                    for z, j in columns:
                        matrix[y, z, :, i, j] = weight[:, :, u, v]
        square = matrix.view(out * out * features_out, side * side * features_in)
        ctx.save_for_backward(x, weight, square)
        ctx.stride, ctx.padding = stride, padding
        flat = x.permute(0, 2, 3, 1).reshape(count, -1)
        return (flat @ square.T).view(count, out, out, features_out).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight, square = ctx.saved_tensors
        count, features_in, side, _ = x.shape
        to_x = None
        if ctx.needs_input_grad[0]:
            flat = slope.permute(0, 2, 3, 1).reshape(count, -1)
            to_x = (flat @ square).view(count, side, side, features_in).permute(0, 3, 1, 2)
        return to_x, _to_weights(slope, x, weight, ctx.stride, ctx.padding), None, None


class _Columns(torch.autograd.Function):
    """A convolution in bfloat16: what each place of the kernel meets side by side in one row, and one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        count, features_in, side, _ = x.shape
        features_out, kernel = weight.shape[0], weight.shape[-1]
        out = (side + 2 * padding - kernel) // stride + 1
        maps = functional.pad(x.to(torch.bfloat16).permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
        met = maps.unfold(1, kernel, stride).unfold(2, kernel, stride).permute(0, 1, 2, 4, 5, 3)
        columns = met.reshape(count * out * out, kernel * kernel * features_in)
        rows = weight.to(torch.bfloat16).permute(0, 2, 3, 1).reshape(features_out, -1)
        ctx.save_for_backward(columns, rows)
        ctx.maps, ctx.weights, ctx.stride, ctx.padding = x.shape, weight.shape, stride, padding
        ctx.kind = x.dtype
        return (columns @ rows.T).view(count, out, out, features_out).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        columns, rows = ctx.saved_tensors
        (count, features_in, side, _), (features_out, _, kernel, _) = ctx.maps, ctx.weights
        out = slope.shape[-1]
        slopes = slope.permute(0, 2, 3, 1).reshape(-1, features_out)
        to_weights = (slopes.T @ columns).float().view(features_out, kernel, kernel, features_in).permute(0, 3, 1, 2)
        if not ctx.needs_input_grad[0]:
            return None, to_weights, None, None
        parts = (slopes @ rows).view(count, out, out, kernel, kernel, features_in)
        if kernel == ctx.stride == 1 and ctx.padding == 0:
            return parts.view(count, side, side, features_in).permute(0, 3, 1, 2).to(ctx.kind), to_weights, None, None
        to_x = parts.new_zeros((count, features_in, side, side), dtype=torch.float32)
        to_x = to_x.contiguous(memory_format=torch.channels_last)
        for u, v, pixels, met in _shifted(to_x, parts.flatten(3).permute(0, 3, 1, 2), kernel, ctx.stride, ctx.padding):
            pixels += met[..., (u * kernel + v) * features_in :][..., :features_in]
        return to_x.to(ctx.kind), to_weights, None, None


class _Depthwise(torch.autograd.Function):
    """torch's depthwise convolution, but for the gradient of the weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        to_x = _to_input(slope, x, weight, ctx.stride, ctx.padding, x.shape[1]) if ctx.needs_input_grad[0] else None
        kernel = weight.shape[-1]
        sums = weight.new_zeros(kernel, kernel, weight.shape[0])
        for u, v, pixels, slopes in _shifted(x, slope, kernel, ctx.stride, ctx.padding):
            torch.sum(pixels * slopes, dim=(0, 1, 2), out=sums[u, v])
        return to_x, sums.permute(2, 0, 1)[:, None], None, None


def _to_input(slope: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, groups: int) -> Tensor:
    gradients = torch.ops.aten.convolution_backward(
        slope, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, [True, False, False]
    )
    return cast(Tensor, gradients[0])


def _to_weights(slope: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Slopes (N, O, H', W') and maps (N, I, H, W) to the gradient of the weights (O, I, K, K)."""
    features_out, features_in, kernel = weight.shape[:3]
    sums = weight.new_zeros(kernel, kernel, features_out, features_in)
    for u, v, pixels, slopes in _shifted(x, slope, kernel, stride, padding):
        torch.mm(slopes.reshape(-1, features_out).T, pixels.reshape(-1, features_in), out=sums[u, v])
    return sums.permute(2, 3, 0, 1)


def _shifted(
    x: Tensor, slope: Tensor, kernel: int, stride: int, padding: int
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """For each place of the kernel: the pixels it meets within the map, and the slopes there, (N, Y, X, features)."""
    maps, slopes = x.permute(0, 2, 3, 1), slope.permute(0, 2, 3, 1)
    places = _overlaps(x.shape[-1], slope.shape[-1], kernel, stride, padding)
    for u, rows in places:
        for v, columns in places:
            (y, i), (z, j) = rows[0], columns[0]
            end_y, end_z = y + len(rows), z + len(columns)
            end_i, end_j = rows[-1][1] + 1, columns[-1][1] + 1
            yield u, v, maps[:, i:end_i:stride, j:end_j:stride], slopes[:, y:end_y, z:end_z]


@lru_cache(maxsize=256)
def _overlaps(
    side: int, out: int, kernel: int, stride: int, padding: int
) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    """Along one axis, for each place of the kernel that meets the map: the pairs (pixel out, pixel in)."""
    found = []
    for place in range(kernel):
        pairs = tuple((o, o * stride + place - padding) for o in range(out))
        inside = tuple(pair for pair in pairs if 0 <= pair[1] < side)
        if inside:
            found.append((place, inside))
    return tuple(found)


def _one(value: Any) -> int | None:
    """Return the number that both axes have, or None."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) or len(set(value)) != 1:
        return None
    return int(value[0])
