"""Batch norm and the LIF recurrence in plain PyTorch.

    y = slope[c] * x + offset[c],   slope = weight / sqrt(var + eps),   offset = bias - mean * slope,   spikes = LIF(y)

y is float32 (or float64) whatever x is: nothing is rounded between the norm and the neuron.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.ops.lif import reference
from saccade.ops.lif.spec import LIFSpec


def statistics(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """mean, biased variance and 1 / sqrt(variance + eps) per channel of x [T, B, C, H, W]; float32 or wider."""
    var, mean = torch.var_mean(x.float() if x.dtype.itemsize < 4 else x, dim=(0, 1, 3, 4), correction=0)
    return mean, var, (var + eps).rsqrt()


def norm_lif(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, decay: float, gain: float, spec: LIFSpec
) -> Tensor:
    """Spikes [T, B, C, H, W] in x's dtype. Gradients flow into mean and rstd too, if they were made from x."""
    slope = weight * rstd
    offset = bias - mean * slope
    y = slope[:, None, None] * x.to(mean.dtype) + offset[:, None, None]
    return reference.lif(y, decay, gain, spec).to(x.dtype)
