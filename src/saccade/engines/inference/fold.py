"""Batch norm folded into the convolution before it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


def folded(layer: nn.Conv2d | nn.Linear, norm: nn.Module | None = None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of `norm(layer(x))` in evaluation mode as one layer, both float64.

        w' = w * g,   b' = (b - mean) * g + beta,   g = gamma / sqrt(var + eps)   (per output channel)

    Computed in float64 whatever the layer's type, so that one rounding is left to whoever stores the result. Without
    a norm, the layer's own weight and bias (None if it has none).

    Raises:
        ValueError: a norm without running statistics, which has nothing to fold.
    """
    weight = layer.weight.detach().double()
    bias = None if layer.bias is None else layer.bias.detach().double()
    if norm is None:
        return weight, bias
    if not is_foldable(norm):
        raise ValueError(
            f"Only a batch norm with running statistics can be folded into the layer before it, not {norm}. Build it "
            "with track_running_stats=True and train it, or deploy the network without it."
        )
    norm = cast(nn.BatchNorm2d, norm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * norm.weight.detach().double()
    bias = torch.zeros_like(gain) if bias is None else bias
    bias = (bias - norm.running_mean.double()) * gain
    if norm.affine:
        bias = bias + norm.bias.detach().double()
    return weight * gain.view(-1, *[1] * (weight.ndim - 1)), bias


def is_foldable(norm: nn.Module) -> bool:
    """Whether this is torch's batch norm, with running statistics."""
    return type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d) and norm.running_mean is not None
