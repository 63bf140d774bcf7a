"""A float weight as a sum of int8 slices, one scale per output channel and slice.

    w = s_1 q_1 + s_2 q_2 + ... + rest,   q_i in [-127, 127],   s_1 = max |w| / 127,   s_{i+1} = s_i / 254

Every slice holds what the ones before it rounded away, which is at most half their scale, so that after n slices

    |rest| <= s_n / 2 = max |w| / (254 * 254^(n-1))

per output channel: 3.9e-3, 1.6e-5 and 6.1e-8 of its largest weight for one, two and three slices. The input being 0
or 1, each slice's products and sums are exact in integers.
"""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 127
RATIO = 2 * LARGEST  # from a slice's scale to the next: a rounding error of half a step fills the next slice


def int8_slices(weight: Tensor, count: int) -> list[tuple[Tensor, Tensor]]:
    """`count` pairs (q int8 like the weight, scale float64 per output channel), coarsest first.

    `weight` is float64, output channels first.
    """
    per_channel = (-1, *[1] * (weight.ndim - 1))
    scale = weight.abs().flatten(1).amax(1) / LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # a channel of zeros needs some scale
    rest, slices = weight, []
    for _ in range(count):
        q = torch.round(rest / scale.view(per_channel)).clamp_(-LARGEST, LARGEST)
        rest = rest - q * scale.view(per_channel)
        slices.append((q.to(torch.int8), scale))
        scale = scale / RATIO
    return slices
