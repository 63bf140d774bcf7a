"""The convolutions that every temporal-channel attention is made of, and their causal forms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SameConv1d(nn.Conv1d):
    """Conv1d, n channels in and out, no bias, output as long as the input: [B, n, L] -> [B, n, L].

    Zero padding of (k - 1) // 2 on the left and k // 2 on the right, as torch's padding="same" does; written out
    because torch warns about the copy that an even width costs.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, bias=False)

    def pads(self) -> tuple[int, int]:
        """Zeros on the left and on the right."""
        k = self.kernel_size[0]
        return (k - 1) // 2, k // 2

    def used_weight(self) -> Tensor:
        """The weight, with what is never read set to zero."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(F.pad(x, self.pads()), self.used_weight())


class PastConv1d(SameConv1d):
    """The same along time, all zeros on the left: output t reads inputs t - k + 1 to t."""

    def pads(self) -> tuple[int, int]:
        return self.kernel_size[0] - 1, 0


class LowerConv1d(SameConv1d):
    """The same with time in the channels, of which output t sums the inputs up to t: a lower triangular weight."""

    def used_weight(self) -> Tensor:
        return lower_steps(self.weight, self.weight.shape[0])


class LowerConv2d(nn.Conv2d):
    """Conv2d 1x1 with steps and channels stacked, [T*C, T*C]: output step t sums the input steps up to t.

    Args:
        dim: T * C.
        channels: C.
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__(dim, dim, 1)
        self.channels = channels

    def used_weight(self) -> Tensor:
        return lower_steps(self.weight, self.weight.shape[0] // self.channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.used_weight(), self.bias)


def used_weight(layer: Any) -> Any:
    """The layer's weight, with what is never read set to zero in the causal ones."""
    return layer.used_weight() if hasattr(layer, "used_weight") else layer.weight


def lower_steps(weight: Tensor, steps: int) -> Tensor:
    """[T*C, T*C, ...] with the blocks from a later step to an earlier one set to zero."""
    step = torch.arange(steps, device=weight.device)
    later = (step > step[:, None]).view(steps, 1, steps, 1, *[1] * (weight.ndim - 2))
    blocks = weight.unflatten(1, (steps, -1)).unflatten(0, (steps, -1))
    return blocks.masked_fill(later, 0).flatten(2, 3).flatten(0, 1)
