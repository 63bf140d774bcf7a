"""Batch norm folded into the convolution before it."""

from __future__ import annotations

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
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            f"Only a BatchNorm2d with running statistics can be folded into a convolution, not {norm}. Build it with "
            "track_running_stats=True and train it, or deploy the network without it."
        )
    gain = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * norm.weight.detach().double()
    bias = torch.zeros_like(gain) if bias is None else bias
    bias = (bias - norm.running_mean.double()) * gain
    if norm.affine:
        bias = bias + norm.bias.detach().double()
    return weight * gain.view(-1, *[1] * (weight.ndim - 1)), bias
