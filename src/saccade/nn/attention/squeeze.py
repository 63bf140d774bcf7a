"""What the squeeze-and-excite family shares: the bottleneck after the pooling, and a convolution that keeps H and W."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.nn.attention.contract import resample


class Bottleneck(nn.Module):
    """W1 ReLU(W0 z), [..., n] -> [..., n], W0 [n/r, n] and W1 [n, n/r]; with `bias` W1 ReLU(W0 z + b0) + b1.

    The hidden width is n // r, and never less than 1: a few time steps have nothing to spare. The first row of W0
    starts with a positive sum (and bias), the others as torch draws them: one ReLU at least is open for a source that
    is positive and much the same everywhere. Otherwise every other module with a hidden width of 1 would be born dead:
    no ReLU open, no gradient, and the gate 1/2 whatever comes in.
    """

    def __init__(self, size: int, reduction: int, bias: bool = False) -> None:
        super().__init__()
        hidden = max(1, size // reduction)
        self.squeeze = nn.Linear(size, hidden, bias=bias)
        self.excite = nn.Linear(hidden, size, bias=bias)
        with torch.no_grad():
            first = self.squeeze.weight[0]
            first.copy_(torch.where(first.sum() < 0, -first, first))
            if bias:
                self.squeeze.bias[0].abs_()

    def forward(self, z: Tensor) -> Tensor:
        return self.excite(F.relu(self.squeeze(z)))

    def resize(self, size: int) -> None:
        """Resample n; the hidden width stays."""
        self.squeeze.weight = resample(self.squeeze.weight, 1, size, summed=True)
        self.excite.weight = resample(self.excite.weight, 0, size)
        if self.excite.bias is not None:
            self.excite.bias = resample(self.excite.bias, 0, size)
        self.squeeze.in_features = self.excite.out_features = size


class SameConv2d(nn.Conv2d):
    """Conv2d with no bias and output as large as the input; an even width pads one more on the right and below."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=(kernel - 1) // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.kernel_size[0] % 2 else F.pad(x, (0, 1, 0, 1)))
