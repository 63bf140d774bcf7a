"""CBAM: Convolutional Block Attention Module.

Woo, Park, Lee, Kweon. ECCV 2018. arXiv 1807.06521.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.nn.attention.contract import Attention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import Bottleneck, SameConv2d
from saccade.nn.folding import fold_time, unfold_time


@register_attention("cbam")
class CBAM(Attention):
    """Channel, then spatial attention at every step: gate [T, B, C, H, W] = g_c * g_s.

        g_c = sigmoid(W1 ReLU(W0 mean) + W1 ReLU(W0 max)),   mean and maximum of x over H, W        [T, B, C, 1, 1]
        g_s = sigmoid(conv k x k of [mean; max]),            mean and maximum of g_c * x over C     [T, B, 1, H, W]

    W0 [C/r, C], W1 [C, C/r]. The weights are shared over time, so sequences of any length are accepted.

    Args:
        reduction: r, 16 in the paper; the hidden width is C // r, at least 1.
        kernel_size: k, 7 in the paper.

    Differs from the released code, which is reported (not verified by us) to have biases in the bottleneck and a batch
    norm after the spatial convolution; the formulas above have neither.
    """

    fixed_steps = False
    positive = True
    looks_at_steps = "own"
    published_at = "in no spiking network"

    def __init__(
        self, channels: int, steps: int, reduction: int = 16, kernel_size: int = 7, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("CBAM", reduction=reduction, kernel_size=kernel_size)
        self.mlp = Bottleneck(channels, reduction)
        self.conv = SameConv2d(2, 1, kernel_size)

    def compute_gate(self, source: Tensor) -> Tensor:
        g_c = self._channel_score(source).sigmoid()
        return g_c * self._spatial_score(g_c * source).sigmoid()

    def _channel_score(self, x: Tensor) -> Tensor:
        return (self.mlp(x.mean(dim=(3, 4))) + self.mlp(x.amax(dim=(3, 4))))[..., None, None]

    def _spatial_score(self, x: Tensor) -> Tensor:
        pooled = torch.stack((x.mean(dim=2), x.amax(dim=2)), dim=2)
        return unfold_time(self.conv(fold_time(pooled)), x.shape[0])
