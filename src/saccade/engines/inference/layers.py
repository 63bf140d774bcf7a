"""Convolutions and linear layers for inference, batch norm folded in, in floats or in int8 slices.

All take and give sequences: [t, B, C, H, W] in channels-last order, or features [t, B, F].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.engines.inference.integer import IntegerWeight, Pair
from saccade.engines.inference.slices import LARGEST, RATIO, int8_slices
from saccade.nn.folding import fold_time, unfold_time
from saccade.ops.winograd import PACKED, PackedConv, in_planes, packs_weights, suits

#: the largest fan-in whose worst sum of products, 254 times 127, still fits into 32 bits
WIDEST = (2**31 - 1) // (RATIO * LARGEST)


class FloatConv(nn.Module):
    """Convolution in a floating type: [N, C, H, W] -> [N, K, H', W'], channels last. Bytes are converted on the way.

    Wide 3x3 convolutions take Winograd's way (`saccade.ops.winograd`).
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dtype: torch.dtype) -> None:
        super().__init__()
        self.channels, _, *self.kernel = weight.shape
        self.stride, self.padding = stride, padding
        self.register_buffer("weight", weight.to(dtype).contiguous())
        self.register_buffer("bias", None if bias is None else bias.to(dtype))
        self.packed = self._pack()
        if self.packed is None:
            self.weight = self.weight.contiguous(memory_format=torch.channels_last)
        self.winograd: PackedConv | None = None

    def _pack(self) -> Tensor | None:
        """The weight in oneDNN's own order, which it would otherwise make at every call; None where it cannot."""
        if self.weight.device.type != "cpu" or self.weight.dtype != torch.float32:
            return None
        if not packs_weights():
            return None
        geometry = [*self.padding], [*self.stride], [1, 1], 1
        return torch.ops.mkldnn._reorder_convolution_weight(self.weight, *geometry, None)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)
        if not suits(x, self.weight, (self.stride, self.padding, (1, 1), 1)):
            return self.direct(x)
        self.winograd = self.winograd or PackedConv(self.weight, self.bias)
        return self.winograd(x)

    def direct(self, x: Tensor) -> Tensor:
        """The same as a direct sum."""
        if self.packed is None:
            y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        elif in_planes(x, self.weight, PACKED):
            y = F.conv2d(x.contiguous(), self.weight, self.bias, self.stride, self.padding)
        else:
            geometry = [*self.padding], [*self.stride], [1, 1], 1
            y = torch.ops.mkldnn._convolution_pointwise(x, self.packed, self.bias, *geometry, "none", [], "")
        return y.contiguous(memory_format=torch.channels_last)  # the order of a single channel is ambiguous


class SlicedConv(nn.Module):
    """Convolution of spikes with a float weight in int8 slices: whole numbers [N, C, H, W] -> float32, channels last.

    Two slices of a 0/1 input are one convolution over twice the channels, x and 254 x against the finer and the
    coarser slice: their sum is taken in integers, and the output written once.

    Args:
        weight, bias: float64.
        stride, padding: of the convolution.
        slices: 1, 2 or 3.
        binary: whether the input is 0 or 1 alone; numbers of spikes up to 255 otherwise.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, slices: int, binary: bool
    ) -> None:
        super().__init__()
        self.channels, _, *self.kernel = weight.shape
        self.stride, self.padding = stride, padding
        parts = int8_slices(weight, slices)
        self.doubled = binary and slices >= 2 and 2 * weight[0].numel() <= WIDEST
        if self.doubled:
            (coarse, _), (fine, scale) = parts[:2]
            parts[:2] = [(torch.cat([fine, coarse], 1), scale)]
        biases = [bias, *[None] * (len(parts) - 1)]
        self.parts = [IntegerWeight(q, s, b, stride, padding) for (q, s), b in zip(parts, biases, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.parts
        x = x.to(torch.uint8)  # spikes that came by a module that works on floats
        y = first(_doubled(x) if self.doubled else x)
        for part in rest:
            y = part(x, y)
        return y


def _doubled(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, 2C, H, W], channels last: x and 254 x."""
    N, C, H, W = x.shape
    wide = torch.empty(N, H, W, 2 * C, dtype=x.dtype)
    pixels = x.permute(0, 2, 3, 1)
    wide[..., :C] = pixels
    torch.mul(pixels, RATIO, out=wide[..., C:])
    return wide.permute(0, 3, 1, 2)


def pack_convs(module: nn.Module, dtype: torch.dtype) -> None:
    """Replace the dense convolutions inside a module by packed ones, in place."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            conv: Any = child
            if type(child) is nn.Conv2d and is_plain(child):
                setattr(parent, name, FloatConv(conv.weight, conv.bias, conv.stride, conv.padding, dtype))


def is_plain(conv: nn.Conv2d) -> bool:
    """Whether a convolution is one that `FloatConv` and `SlicedConv` compute: dense, zeros around the frame."""
    settings = conv.groups, conv.dilation, conv.padding_mode, isinstance(conv.padding, str)
    return settings == (1, (1, 1), "zeros", False)


class OnFrames(nn.Module):
    """A convolution on every frame of a sequence: [t, B, C, H, W] -> [t, B, K, H', W']."""

    def __init__(self, conv: FloatConv | SlicedConv) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return unfold_time(self.conv(fold_time(x)), len(x))

    def numbers(self, x: Tensor) -> int:
        """How many currents one step of x makes."""
        conv = self.conv
        sides = zip(x.shape[-2:], conv.padding, conv.kernel, conv.stride, strict=True)
        size = [(n + 2 * p - k) // s + 1 for n, p, k, s in sides]
        return x.shape[1] * conv.channels * size[0] * size[1]


class OnFeatures(nn.Module):
    """A 1x1 convolution as a linear layer: [t, B, F] -> [t, B, K]."""

    def __init__(self, conv: FloatConv | SlicedConv) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return unfold_time(self.conv(fold_time(x)[..., None, None]).flatten(1), len(x))

    def numbers(self, x: Tensor) -> int:
        """How many currents one step of x makes."""
        return x.shape[1] * self.conv.channels


Layer = OnFrames | OnFeatures
