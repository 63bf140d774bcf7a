"""Convolutions of spikes in integers: bytes times signed bytes, summed in 32 bits, by oneDNN.

The instructions (VNNI and its kin) do four times as many operations as float32's. torch has no public function for
them; what its compiler calls is used, where it exists and proves right on this machine.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]


@functools.cache
def unavailable() -> str | None:
    """Why convolutions cannot be done in integers on this machine, in a few words, or None."""
    operations = torch.ops.onednn
    for name in ("qconv_prepack", "qconv2d_pointwise"):
        if not hasattr(operations, name):
            return f"torch {torch.__version__} has no onednn.{name}"
    try:
        return None if _proves_right() else "the processor's byte products saturate (no VNNI)"
    except (RuntimeError, TypeError) as error:
        return f"oneDNN refuses ({str(error).splitlines()[0]})"


def _proves_right() -> bool:
    """A convolution at the limits of the number range, which instructions that saturate get wrong."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (16, 32, 3, 3), generator=generator)
    weight[0] = 127
    x = torch.randint(0, 2, (2, 32, 5, 5), generator=generator) * 254
    conv = IntegerWeight(weight.to(torch.int8), torch.ones(16), None, (1, 1), (1, 1))
    frames = x.to(torch.uint8).contiguous(memory_format=torch.channels_last)
    got = conv(frames)
    twice = conv(frames, got.clone())
    expected = F.conv2d(x.double(), weight.double(), padding=1)
    return torch.equal(got.double(), expected) and torch.equal(twice.double(), 2 * expected)


class IntegerWeight:
    """One int8 weight, packed for oneDNN: `weight(x)` is scale * (q conv x) + bias.

    Args:
        q: int8 [K, C, h, w].
        scale: [K], what an output channel's sum of integers is multiplied by.
        bias: [K] or None.
        stride, padding: of the convolution.
    """

    def __init__(self, q: Tensor, scale: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> None:
        self.scale = scale.float()
        self.zero_points = torch.zeros(len(q), dtype=torch.int64)
        self.bias = None if bias is None else bias.float()
        self.geometry: list[Any] = [[*stride], [*padding], [1, 1], 1]
        self.packed = torch.ops.onednn.qconv_prepack(q.contiguous(), self.scale, 1.0, 0, *self.geometry, None)

    def __call__(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """uint8 [N, C, H, W] channels last -> float32 channels last; with `onto`, the sum of both (uses `onto` up)."""
        start = x, 1.0, 0, self.packed, self.scale, self.zero_points
        end = self.bias, *self.geometry, 1.0, 0, torch.float32
        if onto is None:
            return torch.ops.onednn.qconv2d_pointwise(*start, *end, "none", [], "")
        return torch.ops.onednn.qconv2d_pointwise.binary(*start, onto, *end, 1.0, 0, "sum", 1.0, "none", [], "")
