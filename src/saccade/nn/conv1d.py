"""The one convolution that every temporal-channel attention is made of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv1d(nn.Conv1d):
    """Conv1d, n channels in and out, no bias, output as long as the input: [B, n, L] -> [B, n, L].

    Zero padding of (k - 1) // 2 on the left and k // 2 on the right, as torch's padding="same" does; written out
    because torch warns about the copy that an even width costs.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        k = self.kernel_size[0]
        return F.conv1d(F.pad(x, ((k - 1) // 2, k // 2)), self.weight)
