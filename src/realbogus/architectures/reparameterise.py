"""From the branches a network is trained with to the plain network it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .parts import load_library

__all__ = ["fused", "reparameterise", "widened"]


def reparameterise(network: nn.Module) -> nn.Module:
    """Return a plain network that gives the same logits; one without branches comes back as it is.

    Parallel branches of RepVGG and UniRepLKNet become one convolution, with the batch
    normalisation in it. The plain network is for use, not for training: it has the running
    statistics in its weights. The one handed in is left alone.

    Parameters
    ----------
    network : torch.nn.Module
        Any network of the table.

    Returns
    -------
    torch.nn.Module
        In evaluation mode if it was made plain.

    Examples
    --------
    >>> from realbogus.architectures import build_network
    >>> network = build_network("compact", 1, 32)
    >>> reparameterise(network) is network
    True
    """
    # what timm's walk over the modules looks for
    if not any(hasattr(module, "reparameterize") for module in network.modules()):
        return network
    with torch.no_grad():
        plain: nn.Module = load_library("timm.utils.model").reparameterize_model(network)
    return plain.eval()


def fused(weight: Tensor, bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Put a batch normalisation into the convolution before it.

    Parameters
    ----------
    weight : Tensor, (O, I, K, K)
        Kernel.
    bias : Tensor, (O,), optional
        Bias; none is zero.
    norm : torch.nn.Module
        `BatchNorm2d`, of which the running statistics are used, or `Identity`.

    Returns
    -------
    weight, bias : Tensor, (O, I, K, K) and (O,)
        Of the one convolution.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(1, eps=0).eval()
    >>> norm.running_mean[:], norm.running_var[:] = 3.0, 4.0
    >>> weight, bias = fused(torch.ones(1, 1, 1, 1), None, norm)
    >>> weight.item(), bias.item()
    (0.5, -1.5)
    """
    bias = torch.zeros_like(weight[:, 0, 0, 0]) if bias is None else bias
    if not isinstance(norm, nn.BatchNorm2d):
        return weight.detach(), bias.detach()
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return (weight * scale[:, None, None, None]).detach(), ((bias - norm.running_mean) * scale + norm.bias).detach()


def widened(weight: Tensor, dilation: int, side: int) -> Tensor:
    """Write a dilated kernel as one of `side` x `side` without dilation: zeros lie between its weights.

    Parameters
    ----------
    weight : Tensor, (O, I, K, K)
        Kernel, K odd.
    dilation : int
        Pixels from one weight to the next.
    side : int, odd
        Side of the result; at least (K - 1) * dilation + 1.

    Returns
    -------
    Tensor, (O, I, side, side)
        The kernel in the middle (UniRepLKNet, equation 1).

    Examples
    --------
    >>> widened(torch.ones(1, 1, 3, 3), 2, 7)[0, 0, 1].int().tolist()
    [0, 1, 0, 1, 0, 1, 0]
    """
    extent = (weight.shape[-1] - 1) * dilation + 1
    margin = (side - extent) // 2
    wide = weight.new_zeros(*weight.shape[:2], side, side)
    wide[:, :, margin : margin + extent : dilation, margin : margin + extent : dilation] = weight
    return wide
